// The causal language model: embedding, blocks, final norm, head, MTP modules. The same code trains and serves.
#pragma once

#include <memory>
#include <vector>

#include "model/batch.h"
#include "model/config.h"
#include "nn/block.h"

namespace hadal::model {

struct ForwardOptions {
  nn::MlaForm form = nn::MlaForm::expanded;
  std::int64_t crossover = 128;  // latent form only
  // alpha / sequences of the global batch, for the three losses of ops::Balance.
  float balance_coefficient = 0, device_coefficient = 0, communication_coefficient = 0;
  bool balance = false;  // compute the balance statistics
  const nn::Probe* probe = nullptr;
  nn::Recompute recompute = nn::Recompute::none;
};

struct ForwardResult {
  Tensor hidden_TD;                    // after the final norm, activation dtype: what the head takes
  Tensor residual_TD;                  // before it, f32
  std::vector<ops::GateResult> gates;  // one for each MoE layer, in order
};

struct MtpResult {
  Tensor hidden_TD;                 // after shared_head.norm
  std::vector<std::int32_t> slots;  // row of the batch of each row of hidden
  ops::GateResult gate;
};

class CausalLm {
 public:
  // Allocates the parameters, uninitialised. compute: dtype of linear weights and activations, f32 or bf16; or f8_e4m3
  // for training in fp8 (SPEC §6.2): activations, embedding, head and eh_proj bf16, the other linears quantise their
  // f32 weights as they go. Such a model has no cache.
  CausalLm(const Config& config, DType compute);
  CausalLm(CausalLm&&) noexcept;
  ~CausalLm();

  ForwardResult forward(const kernels::Context& cx, const Batch& batch, const ForwardOptions& options) const;

  // All MTP modules, each on the one before (SPEC §3.1): module k (1-based) at slot i sees hidden i and token i + k and
  // predicts token i + k + 1; slots are the first len - k of every training row.
  std::vector<MtpResult> mtp(const kernels::Context& cx, const Batch& batch, const ForwardResult& trunk,
                             const ForwardOptions& options) const;

  // f32 logits of hidden states.
  Tensor logits(const kernels::Context& cx, const Tensor& hidden_TD) const;
  const Tensor& head() const;  // (V, D): lm_head, or embed_tokens when tied

  // Every parameter in checkpoint order. A tied head is not visited.
  void visit(const nn::Visitor& f);
  std::vector<nn::Parameter> parameters();
  // Gate biases, one for each MoE layer and MTP module that has one, in the order of ForwardResult::gates then mtp().
  std::vector<Tensor> gate_biases();

  const Config& config() const { return config_; }
  DType act() const { return act_; }  // of activations
  bool fp8() const { return fp8_; }
  // Widths of one layer's cache rows in each form.
  std::pair<std::int64_t, std::int64_t> cache_widths(nn::MlaForm form) const;
  std::vector<nn::Block>& blocks() { return blocks_; }
  std::vector<nn::MtpModule>& mtp_modules() { return mtp_; }
  ops::RopeTable& rope() { return rope_; }

 private:
  nn::Input input(const kernels::Context& cx, const Batch& batch, const ForwardOptions& options) const;

  Config config_;
  DType act_;
  bool fp8_;
  ops::RopeTable rope_;
  Tensor embed_tokens_, norm_, lm_head_;
  std::vector<nn::Block> blocks_;
  std::vector<nn::MtpModule> mtp_;
};

}  // namespace hadal::model
