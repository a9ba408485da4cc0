#include "train/validator.h"

#include <algorithm>
#include <span>

#include "base/error.h"

namespace hadal::train {

namespace {

using Rows = std::span<const std::vector<std::int32_t>>;

// FNV-1a over lengths and tokens: other rows, another name.
std::uint32_t fingerprint(Rows rows) {
  std::uint64_t h = 0xcbf29ce484222325ull;
  const auto add = [&](std::uint64_t word) { h = (h ^ word) * 0x100000001b3ull; };
  for (const auto& row : rows) {
    add(row.size());
    for (const std::int32_t token : row) add(static_cast<std::uint32_t>(token));
  }
  return static_cast<std::uint32_t>(h ^ (h >> 32));
}

Validation figures_of(const Evaluation& e, const std::string& name, std::size_t rows, bool whole) {
  Validation v{name, static_cast<std::int64_t>(rows), whole};
  v.lm_loss = e.loss();
  v.bits_per_byte = e.bits_per_byte();
  v.max_violation = e.max_violation_mean();
  for (std::size_t k = 0; k < e.drafts.size(); ++k) v.mtp_acceptance.push_back(e.acceptance(k));
  return v;
}

}  // namespace

std::int64_t most_validation_rows(const Recipe& r) { return r.validation.full ? 0 : r.validation.rows + 1; }

Validator::Validator(const Recipe& r, const ValidationText& text) : text_(text), every_(r.validation.every) {
  const std::size_t all = text.rows.size();
  first_rows_ = std::min(all, static_cast<std::size_t>(r.validation.rows));
  if (all == 0) return;
  const auto named = [&](const std::string& which, std::size_t rows) {
    return fmt::format("{} of {} [{:08x}]", which, text.name, fingerprint(Rows(text.rows).first(rows)));
  };
  const std::string whole = fmt::format("all {} rows", all);
  if (first_rows_ == all) {
    name_ = named(whole, all);
  } else {
    name_ = named(fmt::format("first {} rows", first_rows_), first_rows_);
    if (r.validation.full) whole_name_ = named(whole, all);
  }
}

bool Validator::after(std::int64_t step, bool last) const {
  return !empty() && (last || (every_ > 0 && step % every_ == 0));
}

std::optional<Validator::Result> Validator::run(const kernels::Context& cx, const model::CausalLm& model, bool at_end,
                                                const Hooks& hooks) const {
  const std::size_t all = text_.rows.size(), read = at_end && reads_whole() ? all : first_rows_;
  const auto evaluated = [&](std::size_t from, std::size_t to) {
    return evaluate(cx, model, Rows(text_.rows).subspan(from, to - from), hooks.bytes_of, [&](std::size_t rows) {
      if (hooks.on_rows) hooks.on_rows(static_cast<std::int64_t>(from + rows), static_cast<std::int64_t>(read));
      return hooks.stop == nullptr || !hooks.stop->load();
    });
  };
  auto first = evaluated(0, first_rows_);
  if (!first) return std::nullopt;
  Result result{std::move(*first), {}};
  result.figures.push_back(figures_of(result.evaluation, name_, first_rows_, first_rows_ == all));
  if (read > first_rows_) {
    const auto rest = evaluated(first_rows_, all);
    if (!rest) return std::nullopt;
    result.evaluation.add(*rest);
    result.figures.push_back(figures_of(result.evaluation, whole_name_, all, true));
  }
  return result;
}

}  // namespace hadal::train
