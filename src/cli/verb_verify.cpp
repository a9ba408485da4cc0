// hadal verify DIR --reference FILE: replays a reference file and compares every tensor in it.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/report/table.h"
#include "base/words.h"
#include "cli/failure.h"
#include "cli/json_out.h"
#include "cli/notes.h"
#include "cli/options.h"
#include "cli/print_table.h"
#include "cli/runtime.h"
#include "cli/verbs.h"
#include "verify/replay.h"

namespace hadal::cli {

namespace {

struct Arguments {
  std::string dir, reference, bf16_errors, dtype = "f32", form = "expanded";
  int threads = 0;
  bool as_json = false;
};

// Reals have an error and a bound, integers a count, inputs nothing.
std::string result_of(const verify::Row& row) {
  const bool counted = row.note == "integers" || row.note == "forced";
  if (row.note.empty()) return row.ok ? "ok" : "NO";
  if (row.ok && !counted) return "--  " + row.note;  // an input, or what bf16 leaves to f32
  if (!counted) return "NO  " + row.note;
  return row.ok ? row.note == "forced" ? "ok  forced" : "ok  all equal"
                : fmt::format("NO  integers that differ: {:.0f}", row.error);
}

// "237 tensors compared, 0 failed (inputs: 1, in f32 only: 79)"
std::string counts(const verify::Report& report) {
  const auto with = [&](const char* note) {
    return std::count_if(report.rows.begin(), report.rows.end(), [&](const verify::Row& r) { return r.note == note; });
  };
  std::string text = fmt::format("{} compared, {} failed (inputs: {}", plural(report.rows.size(), "tensor"),
                                 report.failed(), with("input"));
  if (with("f32 only") > 0) text += fmt::format(", in f32 only: {}", with("f32 only"));
  return text + ")";
}

// A line for each tensor; where the terminal is narrow, of long names the ends.
void print_table(const verify::Report& report) {
  report::Table table = {{"tensor", "error", "bound", "of bound", ""}};
  for (const verify::Row& row : report.rows) {
    const bool real = row.note.empty();
    table.push_back({row.tensor, real ? fmt::format("{:.2e}", row.error) : "",
                     real ? fmt::format("{:.1e}", row.bound) : "",
                     real && row.bound > 0 ? fmt::format("{:.3f}", row.error / row.bound) : "", result_of(row)});
  }
  for (const std::string& line : report::text_table(table, output_width())) fmt::print("{}\n", line);
}

void print_json(const verify::Report& report) {
  json rows = json::array();
  for (const verify::Row& r : report.rows)
    rows.push_back({{"tensor", r.tensor}, {"error", r.error}, {"bound", r.bound}, {"ok", r.ok}, {"note", r.note}});
  const json all = {{"passed", report.passed()},
                    {"compared", report.rows.size()},
                    {"failed", report.failed()},
                    {"first_difference", report.first_difference},
                    {"rows", rows}};
  cli::print_json(all);
}

void run(const Arguments& a) {
  verify::Options options;
  options.act = dtype_from_name(a.dtype);
  options.bf16_errors = a.bf16_errors;
  if (!a.bf16_errors.empty() && options.act != DType::bf16) fail("--bf16-errors is the yardstick of --dtype bf16 only");
  options.form = a.form == "absorbed" ? nn::MlaForm::latent : nn::MlaForm::expanded;
  Runtime runtime(a.threads);
  const verify::Report report = verify::replay(runtime.context(), a.dir, a.reference, options);
  note_missing_mtp(a.dir);
  if (a.as_json) {
    print_json(report);
  } else {
    print_table(report);
    if (!report.passed()) fmt::print("first to part: {}\n", report.first_difference);
    if (report.general_bounds) {
      fmt::print("note: no errors of PyTorch in bf16 to measure by (--bf16-errors): bounds are 5e-2, of losses 5e-3\n");
    }
    fmt::print("{}: {}\n", report.passed() ? "PASS" : "FAIL", counts(report));
  }
  if (!report.passed()) end_with(1);
}

}  // namespace

void add_verify(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("verify", "replay a reference file on a model and compare every tensor in it");
  verb.add_option("model", a->dir, "model folder").required();
  verb.add_option("--reference", a->reference, "reference file (tools/reference.py writes them)").required();
  verb.add_option("--bf16-errors", a->bf16_errors,
                  "PyTorch's errors in bf16, the yardstick of --dtype bf16 (tools/reference.py --errors-only)");
  verb.add_option("--dtype", a->dtype, "compute type").one_of({"f32", "bf16"});
  verb.add_option("--form", a->form, "form of MLA for logits and greedy text").one_of({"expanded", "absorbed"});
  add_threads(verb, a->threads);
  add_json(verb, a->as_json);
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
