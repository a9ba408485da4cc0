// hadal report RUN: the run's figures as a table, a sample of its text, and its report.html. Of several runs: one page
// that compares them.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/report/table.h"
#include "base/words.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/print_table.h"
#include "cli/runtime.h"
#include "cli/sample.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "model/accounting.h"
#include "train/checkpoint.h"
#include "train/compare.h"
#include "train/report.h"
#include "train/run_figures.h"

namespace hadal::cli {

namespace {

struct Arguments {
  std::vector<std::string> runs;
  std::string json_out, source, out = "comparison.html";
  std::int64_t compressed_bytes = 0, text_bytes = 0;
  int threads = 0;
  bool no_sample = false, as_json = false;
};

// What the figures of a run are made of.
struct Opened {
  explicit Opened(const fs::path& dir) : run(dir) {
    if (!fs::is_directory(dir)) fail("{}: there is no such run folder", dir.string());
    const std::vector<std::int64_t> steps = train::list_checkpoints(dir);
    if (steps.empty()) fail("{}: no checkpoint in this run", dir.string());
    checkpoint = train::checkpoint_dir(dir, steps.back());
    config = model::load_config(checkpoint);
    log = train::read_metrics(dir / "metrics.jsonl");
    if (log.empty()) fail("{}: metrics.jsonl has no step", dir.string());
    before = train::read_before(dir);
    after = train::last_validation(log);
    pace = train::pace(log);
  }
  fs::path run, checkpoint;
  model::Config config;
  train::StepLog log;
  std::vector<train::Validation> before;  // training
  std::optional<train::Validated> after;
  train::Pace pace;
};

double compressed_bits(const Arguments& a) {
  return a.text_bytes > 0 ? 8.0 * static_cast<double>(a.compressed_bytes) / static_cast<double>(a.text_bytes) : 0;
}

report::Table table_of(const Opened& o, const Arguments& a) {
  const train::StepMetrics& last = o.log.back();
  report::Table table = {{"figure", "value", ""}};
  std::string said;  // what is the same for several rows stands in the first
  const auto row = [&](const std::string& what, const std::string& value, const std::string& note = "") {
    table.push_back({what, value, note == said ? "" : note});
    said = note;
  };
  const auto validation = [&](const std::string& when, const train::Validation& v) {
    row("validation " + when + ", nats per token", fmt::format("{:.4f}", v.lm_loss), v.name);
    row("validation " + when + ", bits per byte", fmt::format("{:.4f}", v.bits_per_byte), v.name);
  };
  for (const train::Validation& v : o.before) validation("before training", v);
  if (o.after) {
    validation(fmt::format("at step {}", o.after->step), o.after->figures);
  } else {
    row("validation", "-", "no held-out text, or no validation yet");
  }
  if (const double compressed = compressed_bits(a); o.after && compressed > 0)
    row("xz -9 on the same text, bits per byte", fmt::format("{:.4f}", compressed),
        o.after->figures.bits_per_byte < compressed ? "the model needs less" : "the model needs more");
  if (o.after) {
    row("MaxVio there, mean of the layers", fmt::format("{:.3f}", o.after->figures.max_violation),
        o.after->figures.name);
    for (std::size_t k = 0; k < o.after->figures.mtp_acceptance.size(); ++k)
      row(fmt::format("MTP module {}: guesses accepted", k + 1),
          fmt::format("{:.1f} %", 100 * o.after->figures.mtp_acceptance[k]),
          "teacher-forced, " + o.after->figures.name);
  }
  const std::size_t recent = std::min(train::kRecentSteps, o.log.size());
  row(fmt::format("lm loss of the last {}, nats per token", recent == 1 ? "step" : plural(recent, "step")),
      fmt::format("{:.4f}", train::recent_lm_loss(o.log)), "training");
  row("MaxVio of the last batch", fmt::format("{:.3f}", train::mean_of(last.max_violation)), "training");
  for (const auto& [cause, steps] : train::skipped_steps(o.log)) row("steps skipped", std::to_string(steps), cause);
  const model::Accounting count = model::account(o.config, 1);
  row("cache per token at 16 bits, bytes", std::to_string(2 * count.kv_elements),
      fmt::format("its heads as MHA: {}", 2 * count.kv_as_mha));
  row("tokens trained on", short_number(static_cast<double>(last.tokens)),
      plural(static_cast<std::uint64_t>(last.step), "step"));
  row("time of the steps", duration(o.pace.seconds), "without validations and checkpoints");
  row("tokens/s", short_number(o.pace.tokens_per_second), "mean over that time");
  row("MFU", fmt::format("{:.0f} %", 100 * o.pace.share_of_peak), "mean over that time; share of the peak");
  row("peak memory", fmt::format("{:.2f} GiB", last.memory_gib));
  return table;
}

json figures_of(const Opened& o, const Arguments& a) {
  const train::StepMetrics& last = o.log.back();
  const model::Accounting count = model::account(o.config, 1);
  const train::Validation after = o.after ? o.after->figures : train::Validation{};
  // Of the same rows, or it would be no comparison.
  const auto before = std::find_if(o.before.begin(), o.before.end(),
                                   [&](const train::Validation& v) { return !o.after || v.name == after.name; });
  const bool compared = before != o.before.end();
  return {{"source", a.source},
          {"run", o.run.string()},
          {"nats_per_token_before", compared ? json(before->lm_loss) : json()},
          {"nats_per_token_after", o.after ? json(after.lm_loss) : json()},
          {"bits_per_byte_before", compared ? json(before->bits_per_byte) : json()},
          {"bits_per_byte_after", o.after ? json(after.bits_per_byte) : json()},
          {"xz_bits_per_byte", compressed_bits(a)},
          {"max_violation_heldout", after.max_violation},
          {"max_violation_batch", train::mean_of(last.max_violation)},
          {"mtp_acceptance", after.mtp_acceptance},
          {"kv_bytes_per_token", 2 * count.kv_elements},
          {"parameters", count.parameters},
          {"mtp_parameters", count.mtp_parameters},
          {"tokens", last.tokens},
          {"steps", last.step},
          {"seconds", o.pace.seconds},
          {"tokens_per_second", o.pace.tokens_per_second},
          {"share_of_peak", o.pace.share_of_peak},
          {"memory_gib", last.memory_gib},
          {"report", (o.run / "report.html").string()}};
}

void report_one(const Arguments& a) {
  const Opened o(a.runs.front());
  std::optional<train::Sample> sample;
  if (!a.no_sample) {
    std::string problem;
    const Runtime runtime(a.threads);
    sample = sample_of(o.run, o.checkpoint, runtime.context(), stop_flag(), problem);
    if (!problem.empty()) fmt::print(stderr, "{}\n", problem);
  }
  train::write_report(o.run, o.config, sample);
  if (!a.json_out.empty()) write_file_atomically(a.json_out, json_line(figures_of(o, a)));
  if (a.as_json) {
    print_json(figures_of(o, a));
    return;
  }
  print_table(table_of(o, a));
  if (sample) fmt::print("\n{}\n\n{}\n", for_reading(sample->how), for_reading(sample->prompt + sample->text));
  fmt::print("\nreport: {}\n", (o.run / "report.html").string());
}

void report_several(const Arguments& a) {
  const std::vector<fs::path> dirs(a.runs.begin(), a.runs.end());
  for (const fs::path& dir : dirs) {
    if (!fs::is_directory(dir)) fail("{}: there is no such run folder", dir.string());
  }
  const std::vector<std::string> names = train::distinct_names(dirs);
  train::write_comparison(a.out, dirs);
  if (!a.json_out.empty() || a.as_json) {
    json all = json::array();
    for (const fs::path& dir : dirs) all.push_back(figures_of(Opened(dir), a));
    if (!a.json_out.empty()) write_file_atomically(a.json_out, json_line(all));
    if (a.as_json) {
      print_json(all);
      return;
    }
  }
  print_table(train::run_table(names, dirs));
  fmt::print("\n");
  const report::Table differences = train::recipe_differences(names, dirs);
  if (differences.size() > 1) {
    print_table(differences);
  } else {
    fmt::print("no key of the recipes differs\n");
  }
  fmt::print("\nreport: {}\n", a.out);
}

}  // namespace

void add_report(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("report", "figures of a run and its report.html, or a comparison of several runs");
  verb.add_option("run", a->runs,
                  "folder of the run; of several, their curves over each other and what differs in their recipes")
      .required();
  verb.add_option("--out", a->out, "the page about several runs").shows_default();
  verb.add_flag("--no-sample", a->no_sample, "do not let the newest checkpoint write a sample of text");
  add_threads(verb, a->threads);
  add_json(verb, a->as_json, "print the figures as one JSON object, of several runs as a list, in one line");
  verb.add_option("--json-out", a->json_out, "write them to this file, beside what is printed");
  verb.add_option("--source", a->source, "where the text is from, for the file");
  verb.add_option("--compressed-bytes", a->compressed_bytes,
                  "size of the held-out text after a compressor, to compare with")
      .rule(positive());
  verb.add_option("--text-bytes", a->text_bytes, "size of the held-out text").rule(positive());
  verb.callback([a] { a->runs.size() == 1 ? report_one(*a) : report_several(*a); });
}

}  // namespace hadal::cli
