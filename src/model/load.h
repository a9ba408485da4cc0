// Models from and to Hugging Face folders.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/hf_dir.h"
#include "model/causal_lm.h"

namespace hadal::model {

// Loads config and weights of a model folder, or of a run's newest checkpoint; weights are converted to the compute
// dtype. Without any tensor of the MTP layers that the config announces, the model has none (names.h). mtp_hidden
// overrides the config's. Throws Error naming the tensor that is missing or mis-shaped, or the config field that is not
// supported.
CausalLm load_model(const std::filesystem::path& given, DType act, std::optional<MtpHidden> mtp_hidden = std::nullopt);

// Throws Error naming the first tensor that is missing, mis-shaped, or has no place in the config. Reads headers only.
void check_weights(const Config& config, const io::HfDir& dir);

// Throws Error if an MTP layer's embed_tokens or shared_head.head, or a tied lm_head, is there and is not a copy.
void check_copies(const Config& config, const io::HfDir& dir);

// Random weights N(0, std²), gains 1, biases 0, keyed by (seed, tensor name) (SPEC §2.3; DESIGN §3). std 0: the
// config's.
// embedding_std: for embed_tokens alone; 0: the same.
void init_model(CausalLm& model, std::uint64_t seed, double std, double embedding_std = 0);

// Whether training of `config` can start from the weights of a folder (model.init_from): every tensor in its shape,
// each value finite. MTP modules that the folder has no tensor of may be missing. Reads all weights. Throws Error
// naming the tensor. Returns lines for the user: MTP modules that start afresh or are left out, fields in which the
// configs differ.
std::vector<std::string> check_start(const Config& config, const std::filesystem::path& dir);

// Copies the weights of `dir` into the model, which has been built already. Configs must agree in every shape. What the
// folder lacks by check_start's rules stays as it is in the model.
void load_weights(CausalLm& model, const std::filesystem::path& dir);

// What lies beside the weights: config.json, generation_config.json and, if tokenizer_dir is not empty, the tokenizer's
// files from there (and its generation_config.json, if there is one).
void write_companions(const std::filesystem::path& dir, const Config& config, DType dtype,
                      const std::filesystem::path& tokenizer_dir);

// These and the weights, in one model.safetensors. MTP modules get the copies of embed_tokens and shared_head.head that
// released files have.
void write_model_dir(const std::filesystem::path& dir, const Config& config, DType dtype,
                     const io::NamedTensors& weights, const std::filesystem::path& tokenizer_dir);

// f(name in the checkpoint, value) for a parameter, or for each expert of a stack (as an (out, in) view).
template <class F>
void each_checkpoint_tensor(const nn::Parameter& p, const Tensor& value, const F& f) {
  if (!p.stacked) {
    f(p.name, value);
    return;
  }
  for (std::int64_t e = 0; e < value.size(0); ++e) {
    std::string name = p.name;
    name.replace(name.find("{}"), 2, std::to_string(e));
    f(name, value.rows(e, e + 1).view({value.size(1), value.size(2)}));
  }
}

}  // namespace hadal::model
