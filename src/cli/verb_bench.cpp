// hadal bench NAME: speed as fractions of this machine's own limits, measured in the same run.
#include "cli/bench.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/verbs.h"

namespace hadal::cli {

void add_bench_options(Command verb, BenchOptions& options) {
  add_threads(verb, options.threads);
  verb.add_option("--seconds", options.seconds, "how long to measure, about; three rounds at least")
      .rule(real(0, 3600))
      .shows_default();
  add_json(verb, options.json, "print one JSON object, in one line (docs/bench.md names its keys)");
  verb.add_flag("--quick", options.quick, "tiny sizes, one run of each: whether it runs, not how fast");
}

void add_bench(Command app) {
  Command verb = app.add_verb("bench", "speed, as fractions of this machine's limits");
  verb.needs_verb();
  add_bench_machine(verb);
  add_bench_gemm(verb);
  add_bench_grouped(verb);
  add_bench_attention(verb);
  add_bench_memory(verb);
  add_bench_memory_tokens(verb);
  add_bench_train(verb);
  add_bench_decode(verb);
  add_bench_tokenizer(verb);
  add_bench_contention(verb);
}

}  // namespace hadal::cli
