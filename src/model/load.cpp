#include "model/load.h"

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "base/rng.h"
#include "model/build.h"
#include "kernels/kernels.h"

namespace hadal::model {

namespace {

float element(const Tensor& t, std::int64_t i) {
  return t.dtype() == DType::bf16 ? static_cast<float>(t.data<bf16>()[i]) : t.data<float>()[i];
}

void convert_into(const Tensor& from, const Tensor& to, const std::string& what) {
  if (from.dtype() == to.dtype()) {
    std::memcpy(to.raw(), from.raw(), to.bytes());
    return;
  }
  if (from.dtype() != DType::f32 && from.dtype() != DType::bf16) {
    fail("{}: weights of type {} are not supported here: f32 and bf16 are", what, name_of(from.dtype()));
  }
  for (std::int64_t i = 0; i < to.numel(); ++i) {
    const float v = element(from, i);
    if (to.dtype() == DType::bf16) {
      to.data<bf16>()[i] = bf16(v);
    } else {
      to.data<float>()[i] = v;
    }
  }
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

std::string mtp_prefix(const Config& c, std::int64_t k) { return fmt::format("model.layers.{}.", c.num_hidden_layers + k); }

// Released files repeat the shared embedding and head in every MTP layer: there or not, but never different.
void check_copies(const io::HfDir& dir, const Config& c) {
  const std::string head = c.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  for (std::int64_t k = 0; k < c.num_nextn_predict_layers; ++k) {
    for (const auto& [copy, original] : {std::pair<std::string, std::string>{"embed_tokens.weight", "model.embed_tokens.weight"}, {"shared_head.head.weight", head}}) {
      const std::string name = mtp_prefix(c, k) + copy;
      if (dir.contains(name) && !same_values(dir.tensor(name), dir.tensor(original))) {
        fail("{}: '{}' differs from '{}', of which it must be a copy", dir.path().string(), name, original);
      }
    }
  }
}

// Tied or not: a file with its own lm_head counts (SPEC §4.4), the config cannot hide it.
void check_head(const io::HfDir& dir, const Config& c) {
  if (!c.tie_word_embeddings || !dir.contains("lm_head.weight")) return;
  if (!same_values(dir.tensor("lm_head.weight"), dir.tensor("model.embed_tokens.weight"))) {
    fail("{}: config.json ties the head to the embedding, but 'lm_head.weight' differs from it: set tie_word_embeddings to false", dir.path().string());
  }
}

void read_weights(CausalLm& model, const io::HfDir& dir) {
  check_weights(model.config(), dir);
  check_copies(dir, model.config());
  check_head(dir, model.config());
  model.visit([&](const nn::Parameter& p) {
    each_checkpoint_tensor(p, *p.value, [&](const std::string& name, const Tensor& to) {
      convert_into(dir.tensor(name), to, dir.path().string() + ": tensor '" + name + "'");
    });
  });
}

}  // namespace

void check_weights(const Config& config, const io::HfDir& dir) {
  std::vector<std::string> known;
  const auto check = [&](const std::string& name, const Shape& shape) {
    known.push_back(name);
    if (!dir.contains(name)) fail("{}: tensor '{}' is missing (the config wants {})", dir.path().string(), name, to_string(shape));
    if (dir.info(name).shape != shape) {
      fail("{}: tensor '{}' has shape {}, the config wants {}", dir.path().string(), name, to_string(dir.info(name).shape), to_string(shape));
    }
  };
  for (const ParameterShape& p : layout(config)) {
    if (!p.parameter.stacked) {
      check(p.parameter.name, p.shape);
      continue;
    }
    for (std::int64_t e = 0; e < p.shape[0]; ++e) {
      std::string name = p.parameter.name;
      check(name.replace(name.find("{}"), 2, std::to_string(e)), {p.shape[1], p.shape[2]});
    }
  }
  // Copies that may be there: their values are compared when the weights are read.
  for (std::int64_t k = 0; k < config.num_nextn_predict_layers; ++k) {
    known.push_back(mtp_prefix(config, k) + "embed_tokens.weight");
    known.push_back(mtp_prefix(config, k) + "shared_head.head.weight");
  }
  if (config.tie_word_embeddings) known.push_back("lm_head.weight");
  dir.require_only(known);
}

CausalLm load_model(const std::filesystem::path& dir, DType act, MtpHidden mtp_hidden) {
  Config config = load_config(dir);
  config.mtp_hidden = mtp_hidden;
  CausalLm model(config, act);
  read_weights(model, io::HfDir(dir));
  return model;
}

void load_weights(CausalLm& model, const std::filesystem::path& dir) { read_weights(model, io::HfDir(dir)); }

void init_model(CausalLm& model, std::uint64_t seed, double std) {
  if (std == 0) std = model.config().initializer_range;
  model.visit([&](const nn::Parameter& p) {
    const bool gain = p.kind == nn::ParameterKind::vector && !p.name.ends_with(".bias");
    const bool zero = p.kind == nn::ParameterKind::gate_bias || (p.kind == nn::ParameterKind::vector && !gain);
    each_checkpoint_tensor(p, *p.value, [&](const std::string& name, const Tensor& t) {
      Rng random(seed, name);
      for (std::int64_t i = 0; i < t.numel(); ++i) {
        const float v = gain ? 1.0f : zero ? 0.0f : static_cast<float>(std * random.normal());
        if (t.dtype() == DType::bf16) {
          t.data<bf16>()[i] = bf16(v);
        } else {
          t.data<float>()[i] = v;
        }
      }
    });
  });
}

namespace {

std::string generation_json(const Config& c) {
  std::string eos;
  for (const std::int64_t id : c.eos_token_ids) eos += fmt::format("{}{}", eos.empty() ? "" : ", ", id);
  if (c.eos_token_ids.size() != 1) eos = "[" + eos + "]";
  return fmt::format("{{\n  \"bos_token_id\": {},\n  \"eos_token_id\": {},\n  \"do_sample\": true,\n  \"temperature\": 0.6,\n  \"top_p\": 0.95\n}}\n",
                     c.bos_token_id, eos);
}

}  // namespace

void write_model_dir(const std::filesystem::path& dir, const Config& config, DType dtype, const io::NamedTensors& weights,
                     const std::filesystem::path& tokenizer_dir) {
  write_file_atomically(dir / "config.json", config_json(config, dtype));
  write_file_atomically(dir / "generation_config.json", generation_json(config));
  io::NamedTensors all = weights;
  const auto find = [&](const std::string& name) {
    for (const auto& [n, t] : weights) {
      if (n == name) return t;
    }
    fail("writing {}: tensor '{}' is missing", dir.string(), name);
  };
  for (std::int64_t k = 0; k < config.num_nextn_predict_layers; ++k) {
    all.emplace_back(mtp_prefix(config, k) + "embed_tokens.weight", find("model.embed_tokens.weight"));
    all.emplace_back(mtp_prefix(config, k) + "shared_head.head.weight", find(config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"));
  }
  io::write_safetensors(dir / "model.safetensors", all, {{"format", "pt"}});
  if (tokenizer_dir.empty()) return;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"}) {
    if (std::filesystem::exists(tokenizer_dir / name)) write_file_atomically(dir / name, read_file(tokenizer_dir / name));
  }
}

}  // namespace hadal::model
