#include "train/objective.h"

#include <algorithm>

#include "autograd/tape.h"
#include "ops/lm_loss.h"

namespace hadal::train {

namespace {

// Number of the document that token `i` of row r belongs to.
std::int32_t document_of(const TrainRows& rows, std::size_t r, std::int64_t i) {
  if (rows.documents.empty()) return 0;
  const auto& starts = rows.documents[r];
  return static_cast<std::int32_t>(std::upper_bound(starts.begin(), starts.end(), i) - starts.begin());
}

bool is_context(const TrainRows& rows, std::size_t r, std::int64_t i) {
  return !rows.contexts.empty() && std::binary_search(rows.contexts[r].begin(), rows.contexts[r].end(), i);
}

// Targets `ahead` tokens on for the given slots of the batch; -1 where the target lies in another document or is none.
Tensor targets_of(const TrainRows& rows, const std::vector<std::int64_t>& row_start,
                  const std::vector<std::int32_t>& slots, std::int64_t ahead) {
  Tensor t = Tensor::empty({static_cast<std::int64_t>(slots.size())}, DType::i32);
  std::size_t r = 0;
  for (std::size_t j = 0; j < slots.size(); ++j) {
    while (slots[j] >= row_start[r + 1]) ++r;
    const std::int64_t i = slots[j] - row_start[r];
    const bool counts = document_of(rows, r, i) == document_of(rows, r, i + ahead) && !is_context(rows, r, i + ahead);
    t.data<std::int32_t>()[j] = counts ? rows.tokens[r][static_cast<std::size_t>(i + ahead)] : -1;
  }
  return t;
}

Tensor constant(std::int64_t n, double value) {
  Tensor t = Tensor::empty({n}, DType::f32);
  for (float& v : t.span<float>()) v = static_cast<float>(value);
  return t;
}

double sum(const Tensor& values) {
  double total = 0;
  for (const float v : values.span<float>()) total += v;
  return total;
}

std::vector<std::int64_t> loads_of(const ops::GateResult& gate) {
  const auto loads = gate.loads_E.span<std::int64_t>();
  return {loads.begin(), loads.end()};
}

model::Batch inputs_of(const TrainRows& rows) {
  std::vector<std::vector<std::int32_t>> inputs, documents;
  for (const auto& row : rows.tokens) inputs.emplace_back(row.begin(), row.end() - 1);
  for (std::size_t r = 0; r < rows.documents.size(); ++r) {
    documents.emplace_back();
    for (const std::int32_t d : rows.documents[r]) {
      if (d < static_cast<std::int64_t>(inputs[r].size())) documents.back().push_back(d);
    }
  }
  return model::batch_of_rows(inputs, documents);
}

}  // namespace

std::int64_t TrainRows::loss_tokens() const {
  std::int64_t n = 0;
  for (const auto& row : tokens) n += static_cast<std::int64_t>(row.size()) - 1;
  return n;
}

double ObjectiveResult::total(const ObjectiveSettings& s) const {
  double t = main + s.balance_alpha * balance + s.device_alpha * device_balance +
             s.communication_alpha * communication_balance;
  for (const double m : mtp) t += s.mtp_lambda / static_cast<double>(mtp.size()) * m;
  return t;
}

ObjectiveResult run_objective(const kernels::Context& cx, model::CausalLm& model, const TrainRows& rows,
                              const ObjectiveSettings& s) {
  model::Batch batch = inputs_of(rows);
  batch.forced_routing = s.forced_routing;
  model::ForwardOptions options;
  options.balance = true;
  const auto sequences = static_cast<double>(s.global_rows);
  options.balance_coefficient = static_cast<float>(s.balance_alpha / sequences);
  options.device_coefficient = static_cast<float>(s.device_alpha / sequences);
  options.communication_coefficient = static_cast<float>(s.communication_alpha / sequences);
  options.recompute = s.recompute;
  const auto tokens = static_cast<double>(s.global_tokens);
  ObjectiveResult result;
  model::ForwardResult trunk = model.forward(cx, batch, options);
  std::vector<model::MtpResult> mtp = model.mtp(cx, batch, trunk, options);

  std::vector<std::int32_t> all(static_cast<std::size_t>(batch.tokens_T.size(0)));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
  std::vector<Tensor> losses;
  const auto add_loss = [&](const Tensor& hidden, const std::vector<std::int32_t>& slots, std::int64_t ahead,
                            double weight) {
    const Tensor targets = targets_of(rows, batch.row_start, slots, ahead);
    const ops::LmLoss loss = ops::lm_loss(cx, hidden, model.head(), targets, constant(hidden.size(0), weight / tokens));
    losses.push_back(loss.loss);
    return sum(loss.nll_T) / tokens;
  };
  result.main = add_loss(trunk.hidden_TD, all, 1, 1.0);
  const auto add_gate = [&](const ops::GateResult& gate) {
    result.loads_LE.push_back(loads_of(gate));
    result.balance += gate.balance / sequences;
    result.device_balance += gate.device_balance / sequences;
    result.communication_balance += gate.communication_balance / sequences;
  };
  for (const ops::GateResult& gate : trunk.gates) add_gate(gate);
  for (std::size_t k = 0; k < mtp.size(); ++k) {
    const double weight = s.mtp_lambda / static_cast<double>(model.mtp_modules().size());
    result.mtp.push_back(add_loss(mtp[k].hidden_TD, mtp[k].slots, static_cast<std::int64_t>(k) + 2, weight));
    if (mtp[k].gate.loads_E.defined()) add_gate(mtp[k].gate);
  }
  // The backward needs nothing of these but what the tape has kept.
  trunk = {};
  mtp.clear();
  std::vector<Tensor> seeds;
  std::erase_if(losses, [](const Tensor& l) { return !l.node(); });
  for (std::size_t i = 0; i < losses.size(); ++i) seeds.push_back(constant(1, 1.0).view({}));
  if (!losses.empty()) losses[0].node()->tape->backward(losses, seeds);
  return result;
}

}  // namespace hadal::train
