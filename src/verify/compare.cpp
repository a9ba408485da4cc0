#include "verify/compare.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "verify/order.h"

namespace hadal::verify {

namespace {

bool starts_with(std::string_view s, std::string_view prefix) { return s.substr(0, prefix.size()) == prefix; }

// The first step, from 1, whose value parts from the reference, of a row of one value a step that parts as a whole.
int first_step(std::span<const double> mine, std::span<const double> wanted, double bound) {
  std::size_t i = 0;
  while (i + 1 < mine.size() && std::abs(mine[i] - wanted[i]) <= bound * std::abs(wanted[i])) ++i;
  return static_cast<int>(i) + 1;
}

}  // namespace

double relative_error(std::span<const double> a, std::span<const double> b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

std::size_t Report::failed() const {
  return static_cast<std::size_t>(std::count_if(rows.begin(), rows.end(), [](const Row& r) { return !r.ok; }));
}

Comparison::Comparison(const Reference& file, DType act, Keep keep) : file_(file), act_(act), keep_(std::move(keep)) {}

bool Comparison::has(const std::string& name) const { return file_.has(name); }

namespace {

// Of f32, where every error is rounding in another order.
double bound_in_f32(const std::string& name) {
  if (starts_with(name, "long.")) return 1e-3;                                    // some routings there are near ties
  if (name.ends_with("k_proj.bias") && starts_with(name, "steps.")) return 1e-3;  // its gradient nearly vanishes
  if (starts_with(name, "grad.") || starts_with(name, "steps.")) return 1e-4;
  return 1e-5;
}

}  // namespace

double Comparison::bound(const std::string& name) {
  if (act_ == DType::f32) return bound_in_f32(name);
  const auto stored = errors_.find(name);
  if (stored == errors_.end() && !has("bf16_error." + name)) {
    general_bounds_ = true;
    return starts_with(name, "loss.") ? 5e-3 : 5e-2;
  }
  const double error = stored != errors_.end() ? stored->second : file_.one_value("bf16_error." + name);
  // At 1, zeros would do: 0.9 at most, unless PyTorch itself is further off (an expert whose one token has next to no
  // gradient). Below f32's own bound PyTorch was exact by luck: where the true gradient is zero (attention over one
  // slot) a sum in another order is not.
  return std::clamp(1.5 * error, bound_in_f32(name), std::max(0.9, error));
}

void Comparison::read_errors(const std::filesystem::path& path) {
  constexpr std::string_view kPrefix = "bf16_error.";
  const Reference file(path);
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != "hadal-bf16-errors-1") {
    fail("{}: not a file of bf16 errors: metadata 'format' must be 'hadal-bf16-errors-1'", path.string());
  }
  if (file.values("tokens") != file_.values("tokens")) {
    fail("{}: its tokens are not those of {}: these are the errors of another text", path.string(), file_.path());
  }
  for (const std::string& name : file.names()) {
    if (!starts_with(name, kPrefix)) continue;
    const std::string of = name.substr(kPrefix.size());
    if (!has(of)) fail("{}: '{}' is of a tensor that {} does not have", path.string(), name, file_.path());
    errors_[of] = file.one_value(name);
  }
}

void Comparison::add(Row row) {
  if (rows_.contains(row.tensor)) throw std::logic_error("verify compares " + row.tensor + " twice");
  rows_[row.tensor] = std::move(row);
}

void Comparison::compare(const std::string& name, const Tensor& mine) { compare(name, to_doubles(mine)); }

void Comparison::compare(const std::string& name, std::span<const double> mine) {
  if (keep_) keep_(name, mine);
  const std::vector<double> wanted = file_.values(name);
  Row row{name, 0, bound(name), false, ""};
  if (wanted.size() != mine.size()) {
    row.note = fmt::format("{} elements in the file, {} here", wanted.size(), mine.size());
  } else {
    row.error = relative_error(mine, wanted);
    row.ok = row.error <= row.bound;  // false for NaN
    if (!row.ok && (name == "steps.losses" || name == "steps.grad_norms")) {
      row.step = first_step(mine, wanted, row.bound);
    }
  }
  add(std::move(row));
}

void Comparison::compare_integers(const std::string& name, std::span<const std::int64_t> mine) {
  if (keep_) keep_(name, std::vector<double>(mine.begin(), mine.end()));
  const std::vector<double> wanted = file_.values(name);
  Row row{name, 0, 0, false, act_ == DType::bf16 ? "forced" : "integers"};  // bf16 takes choices from the file
  if (wanted.size() != mine.size()) {
    row.note = fmt::format("{} elements in the file, {} here", wanted.size(), mine.size());
  } else {
    for (std::size_t i = 0; i < mine.size(); ++i) row.error += static_cast<double>(mine[i]) != wanted[i];
    row.ok = row.error == 0;
  }
  add(std::move(row));
}

void Comparison::used(const std::string& name) { add({name, 0, 0, true, "input"}); }

void Comparison::left_out(const std::string& name) { add({name, 0, 0, true, "f32 only"}); }

Report Comparison::finish(std::int64_t layers) {
  for (const std::string& name : file_.names()) {
    if (!rows_.contains(name)) rows_[name] = {name, 0, 0, false, "verify does not know how to compare this tensor"};
  }
  Report report;
  report.general_bounds = general_bounds_;
  for (auto& [name, row] : rows_) report.rows.push_back(std::move(row));
  std::stable_sort(report.rows.begin(), report.rows.end(),
                   [&](const Row& a, const Row& b) { return place(a, layers) < place(b, layers); });
  for (const Row& row : report.rows) {
    if (row.ok) continue;
    report.first_difference = describe(row, layers);
    break;
  }
  return report;
}

}  // namespace hadal::verify
