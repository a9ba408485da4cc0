#include "train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/lm_loss.h"
#include "train/optimizer.h"

namespace hadal::train {

namespace {

constexpr std::size_t kTokensAtOnce = 4096;

std::vector<std::int32_t> argmax_rows(const Tensor& logits) {
  std::vector<std::int32_t> best;
  const std::int64_t vocab = logits.size(1);
  for (std::int64_t r = 0; r < logits.size(0); ++r) {
    const float* z = logits.data<float>() + r * vocab;
    best.push_back(static_cast<std::int32_t>(std::max_element(z, z + vocab) - z));
  }
  return best;
}

void count_drafts(const kernels::Context& cx, const model::CausalLm& model, const model::Batch& batch,
                  const model::ForwardResult& trunk, Evaluation& e) {
  const std::vector<model::MtpResult> modules = model.mtp(cx, batch, trunk, {});
  if (modules.empty()) return;
  const std::vector<std::int32_t> choice = argmax_rows(model.logits(cx, trunk.hidden_TD));
  e.drafts.resize(modules.size());
  e.accepted.resize(modules.size());
  e.chained.resize(modules.size());
  std::vector<bool> right_so_far(choice.size(), true);  // by slot
  for (std::size_t k = 0; k < modules.size(); ++k) {
    const std::vector<std::int32_t> guess = argmax_rows(model.logits(cx, modules[k].hidden_TD));
    for (std::size_t i = 0; i < guess.size(); ++i) {
      // Slot s predicts token s + k + 2 (k from 0); the trunk predicts it from position s + k + 1 of the same row.
      const auto slot = static_cast<std::size_t>(modules[k].slots[i]), at = slot + k + 1;
      const bool right = guess[i] == choice[at];
      right_so_far[slot] = right_so_far[slot] && right;
      ++e.drafts[k];
      e.accepted[k] += right;
      e.chained[k] += right_so_far[slot];
    }
  }
}

// sum += part, element by element; whichever is longer.
template <class A, class B>
void add_to(std::vector<A>& sum, const B& part) {
  sum.resize(std::max(sum.size(), part.size()));
  for (std::size_t i = 0; i < part.size(); ++i) sum[i] += part[i];
}

void add_loads(const model::ForwardResult& r, Evaluation& e) {
  e.loads_LE.resize(r.gates.size());
  for (std::size_t l = 0; l < r.gates.size(); ++l) add_to(e.loads_LE[l], r.gates[l].loads_E.span<std::int64_t>());
}

// logp: of every prediction of `rows`, one after the other.
void add_positions(const std::vector<std::vector<std::int32_t>>& rows, std::span<const float> logp, Evaluation& e) {
  std::size_t at = 0;
  for (const auto& row : rows) {
    if (row.size() > e.nats_T.size()) {
      e.nats_T.resize(row.size());
      e.tokens_T.resize(row.size());
    }
    for (std::size_t i = 0; i < row.size(); ++i) {
      e.nats_T[i] -= logp[at++];
      ++e.tokens_T[i];
    }
  }
}

}  // namespace

double Evaluation::bits_per_byte() const {
  return bytes > 0 ? nats / std::numbers::ln2 / static_cast<double>(bytes) : 0;
}
double Evaluation::loss() const { return tokens > 0 ? nats / static_cast<double>(tokens) : 0; }

double Evaluation::max_violation_mean() const {
  double sum = 0;
  for (const auto& layer : loads_LE) sum += max_violation(layer);
  return loads_LE.empty() ? 0 : sum / static_cast<double>(loads_LE.size());
}

double Evaluation::max_violation_worst() const {
  double worst = 0;
  for (const auto& layer : loads_LE) worst = std::max(worst, max_violation(layer));
  return worst;
}

double Evaluation::acceptance(std::size_t module) const {
  return module < drafts.size() && drafts[module] > 0
             ? static_cast<double>(accepted[module]) / static_cast<double>(drafts[module])
             : 0;
}

double Evaluation::chain_acceptance(std::size_t module) const {
  return module < drafts.size() && drafts[module] > 0
             ? static_cast<double>(chained[module]) / static_cast<double>(drafts[module])
             : 0;
}

void Evaluation::add(const Evaluation& other) {
  nats += other.nats;
  tokens += other.tokens;
  bytes += other.bytes;
  loads_LE.resize(std::max(loads_LE.size(), other.loads_LE.size()));
  for (std::size_t l = 0; l < other.loads_LE.size(); ++l) add_to(loads_LE[l], other.loads_LE[l]);
  add_to(drafts, other.drafts);
  add_to(accepted, other.accepted);
  add_to(chained, other.chained);
  add_to(nats_T, other.nats_T);
  add_to(tokens_T, other.tokens_T);
}

std::optional<Evaluation> evaluate(const kernels::Context& cx, const model::CausalLm& model,
                                   std::span<const std::vector<std::int32_t>> rows,
                                   const std::function<std::int64_t(std::int32_t)>& bytes_of,
                                   const std::function<bool(std::size_t)>& on_rows) {
  Evaluation e;
  for (std::size_t first = 0; first < rows.size();) {
    // Several rows share one pass; each is a sequence of its own, so its numbers do not depend on the others.
    std::vector<std::vector<std::int32_t>> inputs;
    std::vector<std::int32_t> targets;
    for (; first < rows.size() && (inputs.empty() || targets.size() + rows[first].size() <= kTokensAtOnce); ++first) {
      inputs.emplace_back(rows[first].begin(), rows[first].end() - 1);
      targets.insert(targets.end(), rows[first].begin() + 1, rows[first].end());
    }
    const model::Batch batch = model::batch_of_rows(inputs);
    const model::ForwardResult trunk = model.forward(cx, batch, {});
    const Tensor logp = ops::log_probs(cx, trunk.hidden_TD, model.head(),
                                       Tensor::of<std::int32_t>(targets, {static_cast<std::int64_t>(targets.size())}));
    for (const float l : logp.span<float>()) e.nats -= l;
    add_positions(inputs, logp.span<float>(), e);
    e.tokens += static_cast<std::int64_t>(targets.size());
    for (const std::int32_t t : targets) e.bytes += bytes_of(t);
    add_loads(trunk, e);
    count_drafts(cx, model, batch, trunk, e);
    if (on_rows && !on_rows(first)) return std::nullopt;
  }
  return e;
}

}  // namespace hadal::train
