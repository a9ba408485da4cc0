// hadal verify DIR --reference FILE: replays a reference file and compares every tensor in it.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/runtime.h"
#include "cli/verbs.h"
#include "verify/replay.h"

namespace hadal::cli {

namespace {

struct Arguments {
  std::string dir, reference, dtype = "f32", form = "expanded";
  int threads = 0;
  bool as_json = false;
};

void print_table(const verify::Report& report) {
  std::size_t width = 10;
  for (const verify::Row& row : report.rows) width = std::max(width, row.tensor.size());
  for (const verify::Row& row : report.rows) {
    fmt::print("{:<{}}  {:>10.3e}  {:>8.1e}  {}  {}\n", row.tensor, width, row.error, row.bound, row.ok ? "ok" : "NO",
               row.note);
  }
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
  fmt::print("{}\n", all.dump(1));
}

void run(const Arguments& a) {
  verify::Options options;
  options.act = dtype_from_name(a.dtype);
  options.form = a.form == "absorbed" ? nn::MlaForm::latent : nn::MlaForm::expanded;
  Runtime runtime(a.threads);
  const verify::Report report = verify::replay(runtime.context(), a.dir, a.reference, options);
  if (a.as_json) {
    print_json(report);
  } else {
    print_table(report);
    if (!report.passed()) fmt::print("first to part: {}\n", report.first_difference);
    fmt::print("{}: {} tensors compared, {} failed\n", report.passed() ? "PASS" : "FAIL", report.rows.size(),
               report.failed());
  }
  if (!report.passed()) throw CLI::RuntimeError(1);
}

}  // namespace

void add_verify(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("verify", "replay a reference file on a model and compare every tensor in it");
  verb->add_option("model", a->dir, "model folder")->required();
  verb->add_option("--reference", a->reference, "reference file (tools/reference.py writes them)")->required();
  verb->add_option("--dtype", a->dtype, "compute type")->check(CLI::IsMember({"f32", "bf16"}));
  verb->add_option("--form", a->form, "form of MLA for logits and greedy text")
      ->check(CLI::IsMember({"expanded", "absorbed"}));
  verb->add_option("--threads", a->threads, "0: all CPUs")->check(CLI::Range(0, 1024));
  verb->add_flag("--json", a->as_json, "print one JSON object");
  verb->callback([a] { run(*a); });
}

}  // namespace hadal::cli
