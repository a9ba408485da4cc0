#include "verify/order.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <utility>

namespace hadal::verify {

namespace {

// Stages of a replay.
enum Stage : int { kTrunk, kLogits, kMtp, kPacked, kGenerated, kLosses, kGradients, kSteps, kFinals, kOther };

bool starts_with(std::string_view s, std::string_view prefix) { return s.substr(0, prefix.size()) == prefix; }

// The number after `prefix`, or -1 if the name does not start with it.
std::int64_t number_after(const std::string& name, std::string_view prefix) {
  return starts_with(name, prefix) ? std::atoll(name.c_str() + prefix.size()) : -1;
}

// The first entry that is the name's end, or the number of entries.
template <std::size_t N>
int index_of_end(std::string_view name, const std::string_view (&ends)[N]) {
  int i = 0;
  while (i < static_cast<int>(N) && !name.ends_with(ends[i])) ++i;
  return i;
}

// Ops of a layer in the order of the forward.
constexpr std::string_view kOps[] = {".attention", ".experts", ".gate_weights", ".ffn", ".output"};

// How far the backward of a layer has come when the gradient of this parameter is made. What comes at once shares a
// rank, so the table has pairs.
int backward_rank(const std::string& name) {
  constexpr std::pair<std::string_view, int> kRanks[] = {
      {"shared_head.norm.weight", 0}, {"mlp.gate.weight", 3},
      {"down_proj.weight", 1},        {"up_proj.weight", 2},
      {"gate_proj.weight", 2},        {"post_attention_layernorm.weight", 4},
      {"o_proj.weight", 5},           {"kv_a_layernorm.weight", 7},
      {"q_a_layernorm.weight", 7},    {"kv_a_proj_with_mqa.weight", 8},
      {"q_a_proj.weight", 8},         {"input_layernorm.weight", 9},
      {"eh_proj.weight", 10},         {"enorm.weight", 11},
      {"hnorm.weight", 11},
  };
  for (const auto& [end, rank] : kRanks) {
    if (name.ends_with(end)) return rank;
  }
  return 6;  // what makes queries, keys and values: q_b, kv_b, or q, k and v with their biases
}

Place gradient_place(const std::string& name, std::int64_t layers) {
  const std::int64_t layer = number_after(name, "grad.model.layers.");
  if (layer < 0) {
    // From the head (0) past the MTP modules (1) and the final norm (2) and the layers (3) to the embedding (4).
    const bool norm = name == "grad.model.norm.weight", embedding = starts_with(name, "grad.model.embed_tokens.");
    return {kGradients, norm ? 2.0 : embedding ? 4.0 : 0.0, 0};
  }
  return {kGradients, layer >= layers ? 1.0 : 3.0, -100.0 * static_cast<double>(layer) + backward_rank(name)};
}

Place loss_place(const std::string& name) {
  constexpr std::string_view kLossOrder[] = {"loss.main", "loss.mtp", "loads", "loss.balance", "loss.total"};
  return {kLosses, static_cast<double>(index_of_end(name, kLossOrder)), 0};
}

}  // namespace

Place place(const Row& row, std::int64_t layers) {
  const std::string& name = row.tensor;
  if (const std::int64_t layer = number_after(name, "trace.layer."); layer >= 0) {
    return {kTrunk, static_cast<double>(layer), static_cast<double>(index_of_end(name, kOps))};
  }
  if (const std::int64_t layer = number_after(name, "routing.layer."); layer >= 0) {
    // As the trace of "experts", but of every row.
    if (layer < layers) return {kTrunk, static_cast<double>(layer), 1};
    return {kMtp, static_cast<double>(layer - layers + 1), 0};
  }
  if (name == "logits") return {kLogits, 0, 0};
  if (const std::int64_t k = number_after(name, "mtp_logits."); k >= 0) return {kMtp, static_cast<double>(k), 1};
  if (starts_with(name, "packed.")) return {kPacked, 0, 0};
  if (starts_with(name, "greedy.") || starts_with(name, "long.")) return {kGenerated, 0, 0};
  if (starts_with(name, "loss.") || name == "loads") return loss_place(name);
  if (starts_with(name, "grad.")) return gradient_place(name, layers);
  if (starts_with(name, "steps.final.")) {
    return {kFinals, std::isnan(row.error) ? -std::numeric_limits<double>::infinity() : -row.error / row.bound, 0};
  }
  if (starts_with(name, "steps.")) return {kSteps, static_cast<double>(row.step), name == "steps.grad_norms" ? 1.0 : 0};
  return {kOther, 0, 0};
}

std::string describe(const Row& row, std::int64_t layers) {
  const std::string& name = row.tensor;
  if (const std::int64_t layer = number_after(name, "trace.layer."); layer >= 0) {
    return "layer " + std::to_string(layer) + ", " + name.substr(name.rfind('.') + 1);
  }
  if (const std::int64_t layer = number_after(name, "routing.layer."); layer >= 0) {
    return layer < layers ? "layer " + std::to_string(layer) + ", experts"
                          : "MTP module " + std::to_string(layer - layers + 1) + ", experts";
  }
  return row.step > 0 ? name + ", from step " + std::to_string(row.step) : name;
}

}  // namespace hadal::verify
