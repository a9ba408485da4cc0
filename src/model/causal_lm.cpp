#include "model/causal_lm.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "model/build.h"
#include "ops/columns.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace hadal::model {

CausalLm::CausalLm(const Config& config, DType compute)
    : config_(config), act_(compute == DType::f32 ? DType::f32 : DType::bf16), fp8_(compute == DType::f8_e4m3) {
  if (!fp8_ && act_ != compute) fail("a model computes in f32, bf16 or f8_e4m3, not in {}", name_of(compute));
  rope_ = build_rope(config);
  embed_tokens_ = Tensor::empty({config.vocab_size, config.hidden_size}, act_);
  norm_ = Tensor::empty({config.hidden_size}, DType::f32);
  if (!config.tie_word_embeddings) lm_head_ = Tensor::empty({config.vocab_size, config.hidden_size}, act_);
  const auto eps = static_cast<float>(config.rms_norm_eps);
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) blocks_.push_back(build_block(config, i));
  for (std::int64_t k = 0; k < config.num_nextn_predict_layers; ++k) {
    mtp_.emplace_back(build_block(config, config.num_hidden_layers + k), eps);
  }
  allocate(config, compute, blocks_, mtp_);
}

CausalLm::CausalLm(CausalLm&&) noexcept = default;
CausalLm::~CausalLm() = default;

nn::Input CausalLm::input(const kernels::Context& cx, const Batch& batch, const ForwardOptions& options) const {
  struct Owned {
    std::vector<std::int64_t> seq_start;
    ops::Balance balance;
  };
  const auto owned = std::make_shared<const Owned>(Owned{
      batch.seq_start,
      {batch.row_start, options.balance_coefficient, options.device_coefficient, options.communication_coefficient}});
  return {.cx = cx,
          .act = act_,
          .fp8 = fp8_,
          .positions_T = batch.positions_T,
          .rope = rope_,
          .seq_start = owned->seq_start,
          .cached = batch.cache != nullptr ? std::span(batch.cache->sequences) : std::span<const ops::CacheSequence>(),
          .form = options.form,
          .crossover = options.crossover,
          .balance = options.balance ? &owned->balance : nullptr,
          .probe = options.probe,
          .recompute = options.recompute,
          .owner = owned};
}

ForwardResult CausalLm::forward(const kernels::Context& cx, const Batch& batch, const ForwardOptions& options) const {
  if (fp8_ && batch.cache != nullptr)
    fail("a model in fp8 only trains: to generate, load its checkpoint in bf16 or f32");
  const nn::Input in = input(cx, batch, options);
  ForwardResult r;
  Tensor h = ops::embedding(cx, embed_tokens_, batch.tokens_T);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const nn::Block& block = blocks_[i];
    const ops::CacheLayer* layer = batch.cache != nullptr ? &batch.cache->layers[i] : nullptr;
    const std::size_t moe = r.gates.size();
    const Tensor forced = block.is_moe() && moe < batch.forced_routing.size() ? batch.forced_routing[moe] : Tensor();
    ops::GateResult gate;
    const nn::FirstWeights next = i + 1 < blocks_.size() ? blocks_[i + 1].first_weights() : nn::FirstWeights{&head()};
    h = block.forward(in, h, layer, forced, &gate, next);
    if (block.is_moe()) r.gates.push_back(std::move(gate));
  }
  r.residual_TD = h;
  r.hidden_TD = ops::rms_norm(cx, h, norm_, static_cast<float>(config_.rms_norm_eps), act_);
  return r;
}

namespace {

// Slots of depth k: the first len - k of every training row, as rows of the batch.
std::vector<std::int32_t> slots_of_depth(const Batch& batch, std::int64_t k) {
  std::vector<std::int32_t> slots;
  for (std::size_t r = 0; r + 1 < batch.row_start.size(); ++r) {
    for (std::int64_t i = batch.row_start[r]; i < batch.row_start[r + 1] - k; ++i)
      slots.push_back(static_cast<std::int32_t>(i));
  }
  return slots;
}

// Where each of `slots` stands in `from` (both rising).
std::vector<std::int32_t> places(const std::vector<std::int32_t>& slots, const std::vector<std::int32_t>& from) {
  std::vector<std::int32_t> result;
  std::size_t j = 0;
  for (const std::int32_t s : slots) {
    while (from[j] != s) ++j;
    result.push_back(static_cast<std::int32_t>(j));
  }
  return result;
}

// Starts given in rows of the batch, as starts in the list of slots; empty ranges go.
std::vector<std::int64_t> starts_in(const std::vector<std::int64_t>& starts, const std::vector<std::int32_t>& slots) {
  std::vector<std::int64_t> result;
  for (const std::int64_t s : starts) {
    const auto place = std::lower_bound(slots.begin(), slots.end(), s) - slots.begin();
    if (result.empty() || place > result.back()) result.push_back(place);
  }
  return result;
}

Tensor pick(const Tensor& values, const std::vector<std::int32_t>& rows, std::int64_t shift) {
  Tensor t = Tensor::empty({static_cast<std::int64_t>(rows.size())}, DType::i32);
  for (std::size_t i = 0; i < rows.size(); ++i)
    t.data<std::int32_t>()[i] = values.data<std::int32_t>()[rows[i] + shift];
  return t;
}

}  // namespace

std::vector<MtpResult> CausalLm::mtp(const kernels::Context& cx, const Batch& batch, const ForwardResult& trunk,
                                     const ForwardOptions& options) const {
  std::vector<MtpResult> results;
  std::vector<std::int32_t> before = slots_of_depth(batch, 0);
  Tensor previous = config_.mtp_hidden == MtpHidden::post_norm ? trunk.hidden_TD : trunk.residual_TD;
  for (std::size_t k = 1; k <= mtp_.size(); ++k) {
    const std::vector<std::int32_t> slots = slots_of_depth(batch, static_cast<std::int64_t>(k));
    if (slots.empty()) break;
    Batch part;
    part.tokens_T = pick(batch.tokens_T, slots, static_cast<std::int64_t>(k));
    part.positions_T = pick(batch.positions_T, slots, 0);
    part.seq_start = starts_in(batch.seq_start, slots);
    part.row_start = starts_in(batch.row_start, slots);
    const nn::Input in = input(cx, part, options);
    const std::size_t forced = trunk.gates.size() + k - 1;
    MtpResult r{.slots = slots};
    const auto [residual, hidden] = mtp_[k - 1].forward(
        in, ops::select_rows(cx, previous, places(slots, before)), ops::embedding(cx, embed_tokens_, part.tokens_T),
        forced < batch.forced_routing.size() ? batch.forced_routing[forced] : Tensor(), &r.gate);
    r.hidden_TD = hidden;
    previous = config_.mtp_hidden == MtpHidden::post_norm ? hidden : residual;
    before = slots;
    results.push_back(std::move(r));
  }
  return results;
}

Tensor CausalLm::logits(const kernels::Context& cx, const Tensor& hidden_TD) const {
  return ops::linear(cx, hidden_TD, head(), DType::f32);
}

const Tensor& CausalLm::head() const { return config_.tie_word_embeddings ? embed_tokens_ : lm_head_; }

void CausalLm::visit(const nn::Visitor& f) {
  f({"model.embed_tokens.weight", &embed_tokens_, nn::ParameterKind::embedding});
  for (std::size_t i = 0; i < blocks_.size(); ++i) blocks_[i].visit(fmt::format("model.layers.{}.", i), f);
  f({"model.norm.weight", &norm_, nn::ParameterKind::vector});
  if (!config_.tie_word_embeddings) f({"lm_head.weight", &lm_head_, nn::ParameterKind::embedding});
  for (std::size_t k = 0; k < mtp_.size(); ++k) mtp_[k].visit(fmt::format("model.layers.{}.", blocks_.size() + k), f);
}

std::vector<nn::Parameter> CausalLm::parameters() {
  std::vector<nn::Parameter> all;
  visit([&](const nn::Parameter& p) { all.push_back(p); });
  return all;
}

std::vector<Tensor> CausalLm::gate_biases() {
  std::vector<Tensor> all;
  visit([&](const nn::Parameter& p) {
    if (p.kind == nn::ParameterKind::gate_bias) all.push_back(*p.value);
  });
  return all;
}

std::pair<std::int64_t, std::int64_t> CausalLm::cache_widths(nn::MlaForm form) const {
  const Config& c = config_;
  if (!c.is_mla()) return {2 * c.num_key_value_heads * c.head_dim, 0};
  if (form == nn::MlaForm::latent) return {c.kv_lora_rank, c.qk_rope_head_dim};
  return {c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim), c.qk_rope_head_dim};
}

}  // namespace hadal::model
