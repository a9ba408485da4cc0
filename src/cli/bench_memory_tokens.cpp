// hadal bench memory-tokens: memory of a training step by the length of its row, and how linear it is.
#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/bench.h"
#include "cli/json_out.h"
#include "cli/runtime.h"
#include "train/bench.h"
#include "train/recipe.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::string preset = "tiny", dtype = "bf16";
};

struct Point {
  std::int64_t tokens;
  double bytes;  // of the step, above what model and optimizer keep
};

// bytes = intercept + slope * tokens, least squares.
struct Fit {
  double slope = 0, intercept = 0;
  double largest_deviation = 0;  // of a point from the line, as a share of the point
};

Fit fit(const std::vector<Point>& points) {
  double n = 0, t = 0, b = 0, tt = 0, tb = 0;
  for (const Point& p : points) {
    const auto tokens = static_cast<double>(p.tokens);
    n += 1;
    t += tokens;
    b += p.bytes;
    tt += tokens * tokens;
    tb += tokens * p.bytes;
  }
  Fit f;
  f.slope = (n * tb - t * b) / (n * tt - t * t);
  f.intercept = (b - f.slope * t) / n;
  for (const Point& p : points) {
    const double line = f.intercept + f.slope * static_cast<double>(p.tokens);
    f.largest_deviation = std::max(f.largest_deviation, std::abs(p.bytes - line) / p.bytes);
  }
  return f;
}

struct Row {
  std::string recompute;
  std::vector<Point> points;
};

void print_json(const Arguments& a, const std::vector<Row>& rows) {
  json modes;
  for (const Row& r : rows) {
    const Fit f = fit(r.points);
    json points = json::array();
    for (const Point& p : r.points)
      points.push_back(
          {{"tokens", p.tokens}, {"bytes", p.bytes}, {"bytes_per_token", p.bytes / static_cast<double>(p.tokens)}});
    modes[r.recompute] = {{"points", points},
                          {"bytes_per_token", f.slope},
                          {"constant_bytes", f.intercept},
                          {"largest_deviation", f.largest_deviation}};
  }
  const json j = {{"bench", "memory-tokens"}, {"preset", a.preset}, {"dtype", a.dtype}, {"recompute", modes}};
  cli::print_json(j);
}

void print_text(const Arguments& a, const std::vector<Row>& rows) {
  fmt::print("a step of {} in {} on one row, above weights and moments\n{:<12}{:>10}{:>16}{:>16}\n", a.preset, a.dtype,
             "recompute", "tokens", "bytes", "bytes per token");
  for (const Row& r : rows) {
    for (const Point& p : r.points) {
      fmt::print("{:<12}{:>10}{:>16.0f}{:>16.0f}\n", r.recompute, p.tokens, p.bytes,
                 p.bytes / static_cast<double>(p.tokens));
    }
    const Fit f = fit(r.points);
    fmt::print("{:<12}  {:.0f} bytes per token + {:.0f}; largest deviation {:.2f} %\n", "", f.slope, f.intercept,
               100 * f.largest_deviation);
  }
}

void run(const Arguments& a) {
  ThreadPool pool(threads_or_all(a.common.threads));
  const kernels::Context cx(pool, kernels::default_isa());
  const std::int64_t shortest = a.common.quick ? 64 : 1024;
  model::Config config = model::preset(a.preset);
  // With so many the chunk of logits that exists at one time (ops/lm_loss.cpp) is whole from 1K rows on.
  config.vocab_size = std::max<std::int64_t>(config.vocab_size, 8192);
  config.max_position_embeddings = std::max(config.max_position_embeddings, 32 * shortest);
  std::vector<Row> rows;
  for (const auto& [name, recompute] : {std::pair{"none", nn::Recompute::none},
                                        {"selective", nn::Recompute::selective},
                                        {"blocks", nn::Recompute::blocks}}) {
    Row& row = rows.emplace_back(Row{name, {}});
    for (const std::int64_t times : {1, 4, 16, 32}) {
      const std::int64_t tokens = times * shortest;
      const std::size_t bytes = train::bytes_of_step(
          cx, {.config = config, .compute = train::compute_type(a.dtype), .rows = 1, .sequence = tokens}, recompute);
      row.points.push_back({tokens, static_cast<double>(bytes)});
    }
  }
  a.common.json ? print_json(a, rows) : print_text(a, rows);
}

}  // namespace

void add_bench_memory_tokens(Command bench) {
  Command verb = bench.add_verb("memory-tokens", "memory of a training step a token, rows of 1K to 32K");
  auto a = std::make_shared<Arguments>();
  add_bench_options(verb, a->common);
  verb.add_option("--preset", a->preset, "architecture (" + model::preset_names() + ")").shows_default();
  verb.add_option("--dtype", a->dtype, "f32, bf16 or fp8").shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
