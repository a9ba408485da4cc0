#include "train/dry_step.h"

#include <algorithm>
#include <bit>

#include "kernels/dry.h"
#include "train/evaluate.h"

namespace hadal::train {

namespace {

std::int64_t rows_of_step(const Recipe& r) {
  if (r.train.tokens == 0) return r.train.rows;
  const std::int64_t multiple = rows_multiple(r), length = r.data.sequence_length;
  const std::int64_t all = (r.train.tokens + length - 1) / length;  // a short run's last step
  return std::min(r.train.rows, (all + multiple - 1) / multiple * multiple);
}

std::vector<std::int32_t> row_of(std::int64_t length) {
  return std::vector<std::int32_t>(static_cast<std::size_t>(length) + 1);
}

}  // namespace

DryRun::DryRun(const kernels::Context& like, const Recipe& recipe, const model::Config& config)
    : cx(like.pool(), like.isa(), kernels::dry_table()),
      model(config, compute_type(recipe.model.dtype)),
      weights(sizes.count().live),
      optimizer(model, AdamWSettings{.moments = dtype_from_name(recipe.optimizer.moments)}),
      ema(optimizer, recipe.optimizer.ema),
      recipe_(recipe),
      rows_(rows_of_step(recipe)) {
  if (recipe.train.micro_rows > 0) micro_batches_ = std::max<std::int64_t>(1, rows_ / recipe.train.micro_rows);
}

void DryRun::hold_sums() {
  // While number i + 1 of n is on, the tree holds a set for every bit of i: floor(log2(n)) at most. One is in the walk.
  const int levels = std::bit_width(static_cast<std::uint64_t>(micro_batches_)) - 1;
  for (int l = 1; l < levels; ++l) {
    for (const TrainedParameter& p : optimizer.parameters()) {
      sums_.push_back(Tensor::empty(p.master.shape(), DType::f32));
      gradients.push_back(sums_.back().storage_number());
    }
  }
}

void DryRun::batch() {
  const std::int64_t micro = rows_ / micro_batches_, walked = micro * std::min<std::int64_t>(2, micro_batches_);
  const std::vector<SourceRow> rows(static_cast<std::size_t>(walked),
                                    {row_of(recipe_.data.sequence_length), std::vector<std::int32_t>{0}});
  StepMetrics m;
  m.lambda = recipe_.mtp.lambda;
  run_batch({cx, model, optimizer, recipe_,
             [&](std::int64_t, ObjectiveResult&) {
               for (const TrainedParameter& p : optimizer.parameters()) gradients.push_back(p.grad.storage_number());
             }},
            rows, m);
}

void DryRun::update() {
  optimizer.grad_norm(cx);
  optimizer.step(cx, 0, 1, 1);
  ema.update(cx, false);
}

std::size_t DryRun::validate(std::size_t heldout_rows) {
  const auto length = static_cast<std::size_t>(recipe_.data.sequence_length);
  const std::size_t most = std::max<std::size_t>(1, 4096 / (length + 1)) + 1;
  const std::vector<std::vector<std::int32_t>> rows(std::min(heldout_rows, most), row_of(recipe_.data.sequence_length));
  evaluate(
      cx, model, rows, [](std::int32_t) { return 1; }, nullptr);
  return rows.size();
}

}  // namespace hadal::train
