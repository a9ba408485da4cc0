// hadal report RUN: the run's figures as a table (and demo.json), and its report.html anew.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "model/accounting.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/report.h"
#include "train/run_figures.h"

namespace hadal::cli {

namespace {

struct Arguments {
  std::string run, json_out, source;
  std::int64_t compressed_bytes = 0, text_bytes = 0;
};

void row(const std::string& what, const std::string& value, const std::string& note = "") {
  fmt::print("  {:<44} {:>12}  {}\n", what, value, note);
}

void run(const Arguments& a) {
  namespace fs = std::filesystem;
  const std::vector<std::int64_t> steps = train::list_checkpoints(a.run);
  if (!fs::is_directory(a.run)) fail("{}: there is no such run folder", a.run);
  if (steps.empty()) fail("{}: no checkpoint in this run", a.run);
  const model::Config c = model::load_config(train::checkpoint_dir(a.run, steps.back()));
  const std::vector<train::StepMetrics> log = train::read_metrics(fs::path(a.run) / "metrics.jsonl");
  if (log.empty()) fail("{}: metrics.jsonl has no step", a.run);
  train::write_report(a.run, c);
  const train::StepMetrics& last = log.back();
  const train::Pace pace = train::pace(log);
  const std::vector<train::Validation> all_before = train::read_before(a.run);
  const auto validated = train::last_validation(log);
  const train::Validation after = validated ? validated->figures : train::Validation{};
  // Of the same rows, or it would be no comparison.
  const auto before = std::find_if(all_before.begin(), all_before.end(),
                                   [&](const train::Validation& v) { return !validated || v.name == after.name; });
  const bool compared = before != all_before.end();
  const double violation = train::mean_of(last.max_violation);
  const model::Accounting count = model::account(c, 1);
  const double compressed =
      a.text_bytes > 0 ? 8.0 * static_cast<double>(a.compressed_bytes) / static_cast<double>(a.text_bytes) : 0;
  fmt::print("\n");
  if (compared) row("bits per byte before training", fmt::format("{:.4f}", before->bits_per_byte), before->name);
  if (validated) {
    row(fmt::format("bits per byte at step {}", validated->step), fmt::format("{:.4f}", after.bits_per_byte),
        after.name);
    row("nats per token there", fmt::format("{:.4f}", after.lm_loss), after.name);
  } else {
    row("bits per byte", "-", "no held-out text, or no validation yet");
  }
  if (validated && compressed > 0)
    row("xz -9 on the same text", fmt::format("{:.4f}", compressed),
        after.bits_per_byte < compressed ? "the model needs less" : "the model needs more");
  if (validated) row("MaxVio, mean of the layers", fmt::format("{:.3f}", after.max_violation), after.name);
  row("MaxVio of the last batch", fmt::format("{:.3f}", violation));
  for (std::size_t k = 0; k < after.mtp_acceptance.size(); ++k)
    row(fmt::format("MTP module {}: guesses accepted", k + 1), fmt::format("{:.1f} %", 100 * after.mtp_acceptance[k]),
        "teacher-forced, held-out");
  row("cache of a token, bytes at 16 bits", std::to_string(2 * count.kv_elements),
      fmt::format("its heads as MHA: {}", 2 * count.kv_as_mha));
  row("tokens trained on", short_number(static_cast<double>(last.tokens)), duration(pace.seconds));
  row("tokens/s", short_number(pace.tokens_per_second));
  row("share of the GEMM peak", fmt::format("{:.0f} %", 100 * pace.share_of_peak));
  row("peak memory", fmt::format("{:.2f} GiB", last.memory_gib));
  if (a.json_out.empty()) return;
  const json j = {{"source", a.source},
                  {"bits_per_byte_before", compared ? json(before->bits_per_byte) : json()},
                  {"bits_per_byte_after", validated ? json(after.bits_per_byte) : json()},
                  {"xz_bits_per_byte", compressed},
                  {"max_violation_heldout", after.max_violation},
                  {"max_violation_batch", violation},
                  {"mtp_acceptance", after.mtp_acceptance},
                  {"kv_bytes_per_token", 2 * count.kv_elements},
                  {"parameters", count.parameters},
                  {"mtp_parameters", count.mtp_parameters},
                  {"tokens", last.tokens},
                  {"steps", last.step},
                  {"seconds", pace.seconds},
                  {"tokens_per_second", pace.tokens_per_second},
                  {"share_of_peak", pace.share_of_peak},
                  {"memory_gib", last.memory_gib},
                  {"report", (fs::path(a.run) / "report.html").string()}};
  write_file_atomically(a.json_out, j.dump(1) + "\n");
}

}  // namespace

void add_report(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("report", "figures of a run, and its report.html");
  verb->add_option("run", a->run, "folder of the run")->required();
  verb->add_option("--json", a->json_out, "write the figures to this file");
  verb->add_option("--source", a->source, "where the text is from, for the file");
  verb->add_option("--compressed-bytes", a->compressed_bytes,
                   "size of the held-out text after a compressor, to compare with")
      ->check(positive());
  verb->add_option("--text-bytes", a->text_bytes, "size of the held-out text")->check(positive());
  verb->callback([a] { run(*a); });
}

}  // namespace hadal::cli
