// hadal bench contention: decode and training beside other busy processes, which the benchmark starts itself, as shares
// of what the idle machine does.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/words.h"
#include "cli/bench.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/runtime.h"
#include "engine/bench.h"
#include "model/load.h"
#include "model/serve.h"
#include "train/bench.h"
#include "train/recipe.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::string preset = "demo", dtype = "bf16", what = "both";
  std::int64_t tokens = 1000, steps = 10, rounds = 5;
  int neighbours = 2;
};

// Processes that do nothing but compute, on whatever core the system gives them.
class Neighbours {
 public:
  explicit Neighbours(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t parent = getpid(), child = fork();
      if (child < 0) {
        const int why = errno;
        stop();
        fail("cannot start a busy process: {}", std::strerror(why));
      }
      if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(0);
        for (;;) asm volatile("");
      }
      children_.push_back(child);
    }
    // The system spreads them over the cores first.
    if (count > 0) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  ~Neighbours() {
    if (children_.empty()) return;
    stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(400));  // until our threads that rest have come back
  }
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

 private:
  void stop() {
    for (const pid_t child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
    children_.clear();
  }
  std::vector<pid_t> children_;
};

// Rates in tokens/s by rounds.
struct Row {
  std::string name;
  int threads = 0;
  std::size_t context = 0;                 // with so many threads
  std::vector<std::vector<double>> rates;  // [neighbours][round]
  double median(std::size_t neighbours) const {
    std::vector<double> r = rates[neighbours];
    std::sort(r.begin(), r.end());
    return r[r.size() / 2];
  }
};

class Bench {
 public:
  explicit Bench(const Arguments& a) : a_(a), config_(model::preset(a.preset)) {
    const int all = threads_or_all(a.common.threads);
    for (const int threads : all == 1 ? std::vector{1} : std::vector{1, all}) {
      pools_.push_back(std::make_unique<ThreadPool>(threads));
      contexts_.push_back(std::make_unique<kernels::Context>(*pools_.back(), kernels::default_isa()));
      for (const char* name : {"decode", "training"}) {
        if (a.what != "both" && a.what != name) continue;
        rows_.push_back({name, threads, contexts_.size() - 1,
                         std::vector<std::vector<double>>(static_cast<std::size_t>(a.neighbours) + 1)});
      }
    }
  }

  void measure() {
    model::CausalLm model(config_, dtype_from_name(a_.dtype));
    model::init_model(model, 1, config_.initializer_range);
    model::pack_for_serving(*contexts_.back(), model);
    for (std::int64_t round = 0; round < a_.rounds; ++round) {
      for (int n = 0; n <= a_.neighbours; ++n) {
        const Neighbours busy(n);
        for (Row& row : rows_) row.rates[static_cast<std::size_t>(n)].push_back(rate(row, model));
      }
    }
  }

  // One measurement, tokens/s.
  double rate(const Row& row, const model::CausalLm& model) {
    kernels::Context& cx = *contexts_[row.context];
    const bool quick = a_.common.quick;
    if (row.name == "decode")
      return 1 / engine::bench_decode(cx, model, {nn::MlaForm::latent, quick ? 16 : 512, a_.tokens}).mean;
    const train::BenchResult t = train::bench_training(cx, {.config = config_,
                                                            .compute = train::compute_type(a_.dtype),
                                                            .rows = quick ? 1 : 8,
                                                            .sequence = quick ? 16 : 256,
                                                            .warmup = quick ? 0 : 2,
                                                            .steps = static_cast<int>(a_.steps),
                                                            .peak = false});
    return t.tokens_per_s * t.seconds / t.mean;
  }

  // Against what one thread does beside as many.
  double to_one_thread(const Row& row, std::size_t neighbours) const {
    const auto one =
        std::find_if(rows_.begin(), rows_.end(), [&](const Row& r) { return r.name == row.name && r.threads == 1; });
    return row.median(neighbours) / one->median(neighbours);
  }

  void print() const {
    fmt::print("{} {}, {}, median of {}: tokens/s, and as a share of idle, and of one thread beside as many\n",
               a_.preset, a_.dtype, kernels::name_of(contexts_[0]->isa()),
               plural(static_cast<std::uint64_t>(a_.rounds), "round"));
    fmt::print("{:<10}{:>8}{:>12}{:>11}{:>9}{:>14}\n", "what", "threads", "neighbours", "tokens/s", "of idle",
               "of 1 thread");
    for (const Row& row : rows_) {
      for (std::size_t n = 0; n < row.rates.size(); ++n)
        fmt::print("{:<10}{:>8}{:>12}{:>11.0f}{:>9.2f}{:>14.2f}\n", row.name, row.threads, n, row.median(n),
                   row.median(n) / row.median(0), to_one_thread(row, n));
    }
  }

  json to_json() const {
    json rows = json::array();
    for (const Row& row : rows_) {
      for (std::size_t n = 0; n < row.rates.size(); ++n)
        rows.push_back({{"name", row.name},
                        {"threads", row.threads},
                        {"neighbours", n},
                        {"tokens_per_s", row.median(n)},
                        {"rounds", row.rates[n]},
                        {"share_of_idle", row.median(n) / row.median(0)},
                        {"share_of_one_thread", to_one_thread(row, n)}});
    }
    return {{"bench", "contention"},
            {"isa", kernels::name_of(contexts_[0]->isa())},
            {"preset", a_.preset},
            {"dtype", a_.dtype},
            {"rows", rows}};
  }

 private:
  Arguments a_;
  model::Config config_;
  std::vector<std::unique_ptr<ThreadPool>> pools_;
  std::vector<std::unique_ptr<kernels::Context>> contexts_;
  std::vector<Row> rows_;
};

void run(Arguments a) {
  if (a.common.quick) {
    a.preset = "tiny";
    a.tokens = 4;
    a.steps = a.rounds = a.neighbours = 1;
  }
  Bench bench(a);
  bench.measure();
  if (a.common.json) {
    print_json(bench.to_json());
  } else {
    bench.print();
  }
}

}  // namespace

void add_bench_contention(Command bench) {
  Command verb = bench.add_verb("contention", "decode and training beside other busy processes");
  auto a = std::make_shared<Arguments>();
  add_bench_options(verb, a->common);
  verb.add_option("--preset", a->preset, "architecture (" + model::preset_names() + ")").shows_default();
  verb.add_option("--dtype", a->dtype, "f32 or bf16").shows_default();
  verb.add_option("--what", a->what, "decode, training or both").one_of({"decode", "training", "both"}).shows_default();
  verb.add_option("--neighbours", a->neighbours, "most busy processes").rule(whole(0, 64)).shows_default();
  verb.add_option("--rounds", a->rounds, "measurements of each whose median counts")
      .rule(whole(1, 1000))
      .shows_default();
  verb.add_option("--tokens", a->tokens, "tokens of a decode").rule(whole(1, 100000)).shows_default();
  verb.add_option("--steps", a->steps, "steps of a training").rule(whole(1, 1000)).shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
