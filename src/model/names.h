// The tensors of a checkpoint: one ordered list of names, shapes and kinds for every config, from the same modules that
// run.
#pragma once

#include <string>
#include <vector>

#include "io/hf_dir.h"
#include "model/build.h"

namespace hadal::model {

struct CheckpointTensor {
  std::string name;  // as in the file
  Shape shape;
  nn::ParameterKind kind = nn::ParameterKind::matrix;
  bool mtp = false;
  std::string copy_of;  // the tensor that this one repeats, else empty: MTP's embed_tokens and shared_head.head
};

// What a released checkpoint of this config holds, layer by layer, experts one by one, MTP's copies included.
std::vector<CheckpointTensor> checkpoint_tensors(const Config& config);

// The dtypes of a released checkpoint in one compute dtype (f32 or bf16): gate and gate bias stay f32 (SPEC §9.14).
DType stored_dtype(const CheckpointTensor& tensor, DType dtype);

// That checkpoint's tensors as they are stored.
std::vector<io::TensorSpec> checkpoint_specs(const Config& config, DType dtype);

// The same list as DeepSeek stores V3 (SPEC §4.1): e4m3 matrices with f32 scales of 128 x 128 blocks as
// NAME_scale_inv; eh_proj, embeddings, gate and norms in bf16; gate bias in f32.
std::vector<io::TensorSpec> fp8_checkpoint(const Config& config);

// What is wrong with the tensors of a folder, a line each: missing, of another shape, or without a place in the config.
// MTP's copies, and lm_head where the head is tied, may be there or not, and tensors without elements do not count.
// Reads headers only.
std::vector<std::string> weight_problems(const Config& config, const io::HfDir& dir);

// transformers drops MTP layers when it saves, yet keeps num_nextn_predict_layers: here it counts the modules up to the
// last one of which there is a tensor.
Config config_of_weights(Config config, const io::HfDir& dir);
// The line about modules that are counted and not there, the same from every verb, which adds what becomes of them;
// empty if all are there.
std::string missing_mtp(const Config& stated, const io::HfDir& dir);

}  // namespace hadal::model
