// What verify is for: well-known wrong implementations, planted one at a time, each fail on a fixture of a family that
// can show them, and the report names the place where they sit.
#include <gtest/gtest.h>

#include <optional>

#include "io/safetensors.h"
#include "planted_backward.h"
#include "planted_gate.h"
#include "planted_weights.h"
#include "support/temp_folder.h"
#include "verify/replay.h"

namespace hadal::planted {
namespace {

// A bug changes the table of kernels, the loaded model, or (what the replay is told to do) the file's metadata.
struct Plant {
  std::function<void(Table&)> kernels;
  std::function<void(CausalLm&)> model;
  std::function<void(io::Metadata&)> file;
};
Plant weights(std::function<void(CausalLm&)> f) { return {nullptr, std::move(f), nullptr}; }
Plant told(const std::string& key, const std::string& value) {
  return {nullptr, nullptr, [=](io::Metadata& m) { m.at(key) = value; }};
}
template <class P>
Plant kernel(void (*Table::*entry)(const Context&, const P&),
             std::type_identity_t<void (*)(const Context&, const P&)> f) {
  return {[=](Table& t) { t.*entry = f; }, nullptr, nullptr};
}

struct Bug {
  std::string name;
  Plant plant;
  std::string place;  // how first_difference starts
};

verify::Report replay(const std::string& model, const Plant& plant) {
  const std::filesystem::path dir = std::filesystem::path(HADAL_TEST_DATA) / "models" / model;
  std::filesystem::path reference = dir / "reference.safetensors";
  std::optional<test::TempFolder> folder;
  if (plant.file) {
    folder.emplace();
    const io::Safetensors original = io::Safetensors::open(reference);
    io::Metadata metadata = original.metadata();
    plant.file(metadata);
    io::NamedTensors tensors;
    for (const std::string& name : original.names()) tensors.emplace_back(name, original.tensor(name));
    reference = *folder / "reference.safetensors";
    io::write_safetensors(reference, tensors, metadata);
  }
  Table table = table_of(default_isa());
  if (plant.kernels) plant.kernels(table);
  ThreadPool pool(1);
  const Context cx(pool, default_isa(), table);
  verify::Options options;
  options.tamper = plant.model;
  return verify::replay(cx, dir, reference, options);
}

void check(const std::string& model, const std::vector<Bug>& bugs) {
  const verify::Report right = replay(model, {});
  ASSERT_TRUE(right.passed()) << model << " without any bug parts at " << right.first_difference;
  for (const Bug& bug : bugs) {
    const verify::Report report = replay(model, bug.plant);
    EXPECT_FALSE(report.passed()) << model << " does not show: " << bug.name;
    EXPECT_TRUE(!bug.place.empty() && report.first_difference.starts_with(bug.place))
        << model << ": " << bug.name << " is named '" << report.first_difference << "', sits in '" << bug.place << "'";
  }
}

TEST(PlantedBugs, V3) {
  check("v3",
        {
            {"experts of groups left out count as 0, not -inf", kernel(&Table::gate, gate_masks_with_zero),
             "layer 1, experts"},
            {"groups ranked by their best expert, not their two best", kernel(&Table::gate, gate_with<kGroupMax>),
             "layer 1, experts"},
            {"groups ranked by scores without the bias", kernel(&Table::gate, gate_groups_without_bias),
             "layer 1, experts"},
            {"groups ignored", kernel(&Table::gate, gate_with<kNoGroups>), "layer 1, experts"},
            {"chunks of keys not merged", kernel(&Table::attention, attention_own_chunk_only), "long.last_logits"},
            {"embedding's gradient lacks repeated tokens",
             kernel(&Table::embedding_backward, embedding_backward_first_place), "grad.model.embed_tokens.weight"},
        });
}

TEST(PlantedBugs, V3Mtp) {
  const auto m = [](CausalLm& model) { scale_attention<nn::Mla>(model, 1 / yarn_m(model)); };
  check(
      "v3_mtp",
      {
          {"RoPE pairs (i, i + d/2)", kernel(&Table::rope, rope_other_pairs), "layer 0, attention"},
          {"queries one position ahead of keys", kernel(&Table::rope, rope_queries_one_ahead), "layer 0, attention"},
          {"softmax scale times m, not m^2", weights(m), "layer 0, attention"},
          {"kv_b_proj split into all K, then all V", weights(kv_b_all_keys_first), "layer 0, attention"},
          {"q_b_proj heads split as [rope | nope]", weights([](CausalLm& x) { q_rope_first(x, ".q_b_proj.weight"); }),
           "layer 0, attention"},
          {"kv_a_proj split as [k_pe | c]", weights(kv_a_rope_first), "layer 0, attention"},
          {"compressed keys and values not normalised", kernel(&Table::rms_norm, rms_norm_not_of_kv),
           "layer 0, attention"},
          {"causal mask lets the next key in", kernel(&Table::attention, attention_sees_next_key),
           "layer 0, attention"},
          {"norm's gain taken as 1 + w", kernel(&Table::rms_norm, rms_norm_one_plus_gain), "layer 0, attention"},
          {"bias not added for the choice", weights([](CausalLm& x) { zero(x, ".e_score_correction_bias"); }),
           "layer 1, experts"},
          {"bias in the weights", kernel(&Table::gate, gate_weights_from_biased), "layer 1, gate_weights"},
          {"scaled before normalising", kernel(&Table::gate, gate_scales_before_normalising), "layer 1, gate_weights"},
          {"weights not normalised", kernel(&Table::gate, gate_with<kNotNormalised>), "layer 1, gate_weights"},
          {"weights in the order of top-k, experts sorted", kernel(&Table::gate, gate_weights_unsorted),
           "layer 1, gate_weights"},
          {"router in bf16", kernel(&Table::gate, gate_in_bf16), "layer 1, "},
          {"shared expert scaled like the routed ones",
           weights([](CausalLm& x) { scale(x, ".shared_experts.down_proj.weight", 2.5); }), "layer 1, ffn"},
          {"MTP concatenates [h ; e]", weights(mtp_hidden_before_embedding), "MTP module 1, experts"},
          {"MTP swaps enorm and hnorm", weights([](CausalLm& x) { swap_weights(x, ".enorm.weight", ".hnorm.weight"); }),
           "MTP module 1, experts"},
          {"MTP takes h before the final norm", told("mtp_hidden", "pre_norm"), "MTP module 1, experts"},
          {"MTP's head uses the trunk's final norm", weights([](CausalLm& x) {
             each(x, ".shared_head.norm.weight", [&](Tensor& t) { copy(only(x, "model.norm.weight"), t); });
           }),
           "mtp_logits.1"},
          {"MTP modules share one set of weights", weights(mtp_modules_share_weights), "MTP module 2, experts"},
      });
}

TEST(PlantedBugs, V3MtpTraining) {
  check("v3_mtp",
        {
            {"MTP loss a mean over its own T - k", kernel(&Table::cross_entropy, cross_entropy_mean_of_own_rows),
             "loss.mtp"},
            {"lambda not divided by the number of modules", told("mtp_lambda", "0.6"), "loss.total"},
            {"balance loss left out", told("balance_alpha", "0"), "loss.total"},
            {"cross entropy's gradient lacks the -1", kernel(&Table::cross_entropy, cross_entropy_without_one_hot),
             "grad.lm_head.weight"},
            {"gate's gradient takes the weights for not normalised",
             kernel(&Table::gate_backward, gate_backward_not_normalised), "grad.model.layers.3.mlp.gate.weight"},
            {"balance loss has no gradient", kernel(&Table::gate_backward, gate_backward_without_balance),
             "grad.model.layers.3.mlp.gate.weight"},
            {"no gradient through the experts' weights",
             kernel(&Table::combine_backward, combine_backward_without_weights), "grad.model.layers.3.mlp.gate.weight"},
            {"experts' gradients lack their last row",
             kernel(&Table::grouped_weight_grad, grouped_weight_grad_without_last_row),
             "grad.model.layers.3.mlp.experts."},
            {"gradient of k_pe from the first head only",
             kernel(&Table::attention_backward, attention_backward_first_head_of_k_pe),
             "grad.model.layers.3.self_attn.kv_a_proj_with_mqa.weight"},
            {"RoPE's backward turns forward", kernel(&Table::rope, rope_backward_turns_on),
             "grad.model.layers.3.self_attn.q_b_proj.weight"},
            {"norm's gradient lacks the mean", kernel(&Table::rms_norm_backward, rms_norm_backward_without_mean),
             "grad.model.layers.3.mlp."},
            {"clipping sees a norm of 0", kernel(&Table::sum_squares, sum_squares_of_nothing),
             "steps.grad_norms, from step 1"},
            {"bias moves towards the load", told("bias_gamma", "-1e-3"), "steps."},
        });
}

TEST(PlantedBugs, V2) {
  check(
      "v2",
      {
          {"no YaRN factor in the softmax scale",
           weights([](CausalLm& x) { scale_attention<nn::Mla>(x, std::pow(yarn_m(x), -2)); }), "layer 0, attention"},
          {"groups ranked by their two best experts, as V3", kernel(&Table::gate, gate_with<kGroupTop2>),
           "layer 1, experts"},
          {"groups ignored", kernel(&Table::gate, gate_with<kNoGroups>), "layer 1, experts"},
          {"routed_scaling_factor left out", kernel(&Table::gate, gate_with<kNoScale>), "layer 1, gate_weights"},
          {"gate and up swapped", kernel(&Table::swiglu, swiglu_swapped), "layer 0, ffn"},
          {"experts added without their weights", kernel(&Table::gather_sum, combine_without_weights), "layer 1, ffn"},
          {"head tied to the embedding",
           weights([](CausalLm& x) { copy(only(x, "model.embed_tokens.weight"), only(x, "lm_head.weight")); }),
           "logits"},
          {"final norm's gain left out", weights([](CausalLm& x) {
             for (float& w : only(x, "model.norm.weight").span<float>()) w = 1;
           }),
           "logits"},
      });
}

TEST(PlantedBugs, V2Lite) {
  check(
      "v2_lite",
      {
          {"YaRN's frequencies not interpolated", weights([](CausalLm& x) {
             rope_changed(x, [](nn::RopeSettings& s) { s.scaling = nn::RopeSettings::Scaling::none; });
           }),
           "layer 0, attention"},
          {"m in RoPE's table as well as in the softmax scale",
           weights([](CausalLm& x) { rope_changed(x, [](nn::RopeSettings& s) { s.mscale_all_dim = 0; }); }),
           "layer 0, attention"},
          {"q_proj heads split as [rope | nope]", weights([](CausalLm& x) { q_rope_first(x, ".q_proj.weight"); }),
           "layer 0, attention"},
          {"weights normalised against norm_topk_prob", kernel(&Table::gate, gate_with<kNormalised>),
           "layer 1, gate_weights"},
          {"silu's derivative is sigmoid", kernel(&Table::swiglu_backward, swiglu_backward_half_of_silu),
           "grad.model.layers.1.mlp."},
          {"decoding misses the token's own key", kernel(&Table::attention, attention_decode_misses_own_key),
           "greedy.continuation"},
          {"decoding counts positions one behind", kernel(&Table::rope, rope_decode_one_behind), "greedy.continuation"},
          {"documents of a row see each other", kernel(&Table::attention, attention_ignores_documents),
           "packed.logits"},
      });
}

TEST(PlantedBugs, Moonlight) {
  check("moonlight",
        {
            {"eps 1e-6, the config says 1e-5", kernel(&Table::rms_norm, rms_norm_other_eps), "layer 0, attention"},
            {"softmax scale of the nope part alone",
             weights([](CausalLm& x) { scale_attention<nn::Mla>(x, std::sqrt(24.0 / 16.0)); }), "layer 0, attention"},
            {"softmax scores, as V2", kernel(&Table::gate, gate_with<kSoftmax>), "layer 1, experts"},
            {"shared experts left out", kernel(&Table::gather_sum, combine_without_shared), "layer 1, ffn"},
        });
}

TEST(PlantedBugs, Qwen2) {
  check(
      "qwen2",
      {
          {"RoPE pairs (2i, 2i + 1)", kernel(&Table::rope, rope_other_pairs), "layer 0, attention"},
          {"biases of q, k and v left out", weights([](CausalLm& x) { zero(x, "_proj.bias"); }), "layer 0, attention"},
          {"query head h with key/value head h mod KV", weights(gqa_heads_taken_in_turn), "layer 0, attention"},
          {"keys' gradient from the first query head of a group",
           kernel(&Table::attention_backward, attention_backward_first_head_of_group),
           "grad.model.layers.1.self_attn."},
          {"AdamW without bias correction", kernel(&Table::adamw, adamw_without_bias_correction),
           "steps.losses, from step 2"},
          {"AdamW's eps inside the root", kernel(&Table::adamw, adamw_eps_inside_root),
           "steps.grad_norms, from step 2"},
          {"decay in the gradient (L2)", kernel(&Table::adamw, adamw_coupled_decay), "steps."},
          {"gains and biases decay too", kernel(&Table::adamw, adamw_decays_vectors), "steps."},
          {"clipped norm not applied", kernel(&Table::adamw, adamw_ignores_clip), "steps."},
          {"beta2 0.999",
           told("optimizer", "adamw lr=1e-3 beta1=0.9 beta2=0.999 eps=1e-8 decay=0.1 decay_dims>=2 clip=1.0"),
           "steps."},
      });
}

TEST(PlantedBugs, Llama) {
  check("llama",
        {
            {"llama3 scaling of frequencies left out", weights([](CausalLm& x) {
               rope_changed(x, [](nn::RopeSettings& s) { s.scaling = nn::RopeSettings::Scaling::none; });
             }),
             "layer 0, attention"},
            {"softmax scale from hidden size over heads",
             weights([](CausalLm& x) { scale_attention<nn::Gqa>(x, std::sqrt(32.0 / 16.0)); }), "layer 0, attention"},
        });
}

}  // namespace
}  // namespace hadal::planted
