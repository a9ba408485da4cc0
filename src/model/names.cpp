#include "model/names.h"

#include <set>

#include "base/error.h"

namespace hadal::model {

namespace {

using nn::ParameterKind;

std::string layer_prefix(std::int64_t index) { return fmt::format("model.layers.{}.", index); }

std::string head_name(const Config& c) {
  return c.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
}

void add(std::vector<CheckpointTensor>& all, const ParameterShape& p) {
  const nn::Parameter& q = p.parameter;
  if (!q.stacked) {
    all.push_back({q.name, p.shape, q.kind, p.mtp, ""});
    return;
  }
  for (std::int64_t e = 0; e < p.shape[0]; ++e) {
    std::string name = q.name;
    name.replace(name.find("{}"), 2, std::to_string(e));
    all.push_back({std::move(name), {p.shape[1], p.shape[2]}, q.kind, p.mtp, ""});
  }
}

bool is_buffer(const std::string& name) {
  return name.ends_with(".rotary_emb.inv_freq");
}  // of older exports: a constant

}  // namespace

std::vector<CheckpointTensor> checkpoint_tensors(const Config& c) {
  const Shape shape = {c.vocab_size, c.hidden_size};
  std::vector<CheckpointTensor> all;
  for (const ParameterShape& p : layout(c)) {
    const std::string prefix = p.mtp ? p.parameter.name.substr(0, p.parameter.name.find('.', 13) + 1) : "";
    const auto is = [&](std::string_view name) { return p.mtp && p.parameter.name == prefix + std::string(name); };
    if (is("enorm.weight")) {
      all.push_back(
          {prefix + "embed_tokens.weight", shape, ParameterKind::embedding, true, "model.embed_tokens.weight"});
    }
    add(all, p);
    if (is("shared_head.norm.weight")) {
      all.push_back({prefix + "shared_head.head.weight", shape, ParameterKind::embedding, true, head_name(c)});
    }
  }
  return all;
}

DType stored_dtype(const CheckpointTensor& t, DType dtype) {
  return t.kind == ParameterKind::router || t.kind == ParameterKind::gate_bias ? DType::f32 : dtype;
}

std::vector<io::TensorSpec> checkpoint_specs(const Config& c, DType dtype) {
  std::vector<io::TensorSpec> all;
  for (const CheckpointTensor& t : checkpoint_tensors(c)) all.push_back({t.name, stored_dtype(t, dtype), t.shape});
  return all;
}

std::vector<io::TensorSpec> fp8_checkpoint(const Config& c) {
  std::vector<io::TensorSpec> all;
  for (const CheckpointTensor& t : checkpoint_tensors(c)) {
    if (t.kind == ParameterKind::matrix && !t.name.ends_with("eh_proj.weight")) {
      all.push_back({t.name, DType::f8_e4m3, t.shape});
      all.push_back({t.name + "_scale_inv", DType::f32, {(t.shape[0] + 127) / 128, (t.shape[1] + 127) / 128}});
    } else {
      all.push_back({t.name, t.kind == ParameterKind::gate_bias ? DType::f32 : DType::bf16, t.shape});
    }
  }
  return all;
}

std::vector<std::string> weight_problems(const Config& c, const io::HfDir& dir) {
  std::vector<std::string> problems;
  std::set<std::string> known;
  for (const CheckpointTensor& t : checkpoint_tensors(c)) {
    known.insert(t.name);
    if (!dir.contains(t.name)) {
      if (t.copy_of.empty()) {
        problems.push_back(fmt::format("tensor '{}' is missing (the config wants {})", t.name, to_string(t.shape)));
      }
    } else if (dir.info(t.name).shape != t.shape) {
      problems.push_back(fmt::format("tensor '{}' has shape {}, the config wants {}", t.name,
                                     to_string(dir.info(t.name).shape), to_string(t.shape)));
    }
  }
  if (c.tie_word_embeddings) known.insert("lm_head.weight");
  for (const std::string& name : dir.names()) {
    // transformers saves what a model has none of as tensors without elements: there is nothing to place.
    if (!known.contains(name) && !is_buffer(name) && numel(dir.info(name).shape) > 0) {
      problems.push_back(fmt::format("unexpected tensor '{}': the config has no place for it", name));
    }
  }
  return problems;
}

Config config_of_weights(Config c, const io::HfDir& dir) {
  std::int64_t last = 0;  // the last module of which there is a tensor
  for (const std::string& name : dir.names()) {
    for (std::int64_t k = last; k < c.num_nextn_predict_layers; ++k) {
      if (name.starts_with(layer_prefix(c.num_hidden_layers + k))) last = k + 1;
    }
  }
  c.num_nextn_predict_layers = last;
  return c;
}

std::string missing_mtp(const Config& stated, const io::HfDir& dir) {
  const std::int64_t counted = stated.num_nextn_predict_layers,
                     held = config_of_weights(stated, dir).num_nextn_predict_layers;
  if (held == counted) return "";
  return fmt::format("{}: the config counts {} MTP module{}, the weights hold {}", dir.path().string(), counted,
                     counted == 1 ? "" : "s", held == 0 ? "none" : std::to_string(held));
}

}  // namespace hadal::model
