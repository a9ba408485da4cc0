#include "model/load.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/rng.h"
#include "io/convert.h"
#include "model/names.h"

namespace hadal::model {

namespace {

bool same_values(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

void check_copy(const io::HfDir& dir, const std::string& copy, const std::string& original, std::string_view hint) {
  if (!dir.contains(copy) || same_values(dir.tensor(copy), dir.tensor(original))) return;
  fail("{}: '{}' differs from '{}', of which it must be a copy{}", dir.path().string(), copy, original, hint);
}

// The folder has been checked.
void read_weights(CausalLm& model, const io::HfDir& dir) {
  model.visit([&](const nn::Parameter& p) {
    each_checkpoint_tensor(p, *p.value, [&](const std::string& name, const Tensor& to) {
      if (!dir.contains(name)) return;  // of an MTP module that starts afresh
      io::convert_into(dir.tensor(name), to, dir.path().string() + ": tensor '" + name + "'");
    });
  });
}

}  // namespace

void check_weights(const Config& config, const io::HfDir& dir) {
  const std::vector<std::string> problems = weight_problems(config, dir);
  if (problems.empty()) return;
  const std::string more = problems.size() > 1 ? fmt::format(" (and {} more of this kind)", problems.size() - 1) : "";
  fail("{}: {}{}", dir.path().string(), problems[0], more);
}

void check_copies(const Config& config, const io::HfDir& dir) {
  for (const CheckpointTensor& t : checkpoint_tensors(config)) {
    if (!t.copy_of.empty()) check_copy(dir, t.name, t.copy_of, "");
  }
  // Tied or not: a file with its own lm_head counts (SPEC §4.4), the config cannot hide it.
  if (config.tie_word_embeddings) {
    check_copy(dir, "lm_head.weight", "model.embed_tokens.weight",
               " as config.json ties them: if the head is its own, set tie_word_embeddings to false");
  }
}

CausalLm load_model(const std::filesystem::path& given, DType act, std::optional<MtpHidden> mtp_hidden) {
  const std::filesystem::path dir = model_folder(given);  // once: a run may save another one meanwhile
  if (!std::filesystem::is_directory(dir)) fail("{}: there is no such model folder", dir.string());
  const Config stated = load_config(dir);
  const io::HfDir weights(dir);
  Config config = config_of_weights(stated, weights);
  if (mtp_hidden) config.mtp_hidden = *mtp_hidden;
  check_weights(config, weights);
  check_copies(config, weights);
  CausalLm model(config, act);
  read_weights(model, weights);
  return model;
}

namespace {

bool all_finite(const Tensor& t) {
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    if (!std::isfinite(t.dtype() == DType::bf16 ? static_cast<float>(t.data<bf16>()[i]) : t.data<float>()[i]))
      return false;
  }
  return true;
}

// The config by which a folder's weights are checked as a start: its own count of MTP modules.
Config config_of_start(const Config& config, const io::HfDir& dir) {
  Config c = config;
  c.num_nextn_predict_layers = std::max(c.num_nextn_predict_layers, load_config(dir.path()).num_nextn_predict_layers);
  return config_of_weights(c, dir);
}

std::string differing_fields(const Config& own, const Config& run) {
  const json a = parse_json(config_json(own, DType::f32), "config"),
             b = parse_json(config_json(run, DType::f32), "config");
  std::string list;
  for (const auto& [key, value] : b.items()) {
    if (key == "num_nextn_predict_layers" || (a.contains(key) && a[key] == value)) continue;
    list += fmt::format("{}{} ({} -> {})", list.empty() ? "" : ", ", key, a.contains(key) ? a[key].dump() : "none",
                        value.dump());
  }
  return list;
}

}  // namespace

std::vector<std::string> check_start(const Config& config, const std::filesystem::path& path) {
  const io::HfDir dir(path);
  const Config start = config_of_start(config, dir);
  check_weights(start, dir);
  check_copies(start, dir);
  for (const CheckpointTensor& t : checkpoint_tensors(config)) {
    if (!dir.contains(t.name) || !t.copy_of.empty()) continue;
    const std::string what = path.string() + ": tensor '" + t.name + "'";
    if (!all_finite(io::converted(dir.tensor(t.name), DType::f32, what)))
      fail("{} holds NaN or infinity: no model to start from", what);
  }
  std::vector<std::string> notes;
  if (const std::string line = missing_mtp(config, dir); !line.empty())
    notes.push_back(line + ": what is missing starts afresh");
  if (start.num_nextn_predict_layers > config.num_nextn_predict_layers) {
    notes.push_back(fmt::format("{}: of its {} MTP modules {} are trained further", path.string(),
                                start.num_nextn_predict_layers, config.num_nextn_predict_layers));
  }
  if (const std::string list = differing_fields(load_config(path), config); !list.empty())
    notes.push_back(fmt::format("{}: this run has another {}", (path / "config.json").string(), list));
  return notes;
}

void load_weights(CausalLm& model, const std::filesystem::path& path) {
  const io::HfDir dir(path);
  check_weights(config_of_start(model.config(), dir), dir);
  read_weights(model, dir);
}

void init_model(CausalLm& model, std::uint64_t seed, double std, double embedding_std) {
  if (std == 0) std = model.config().initializer_range;
  if (embedding_std == 0) embedding_std = std;
  model.visit([&](const nn::Parameter& p) {
    const bool gain = p.kind == nn::ParameterKind::vector && !p.name.ends_with(".bias");
    const bool zero = p.kind == nn::ParameterKind::gate_bias || (p.kind == nn::ParameterKind::vector && !gain);
    each_checkpoint_tensor(p, *p.value, [&](const std::string& name, const Tensor& t) {
      Rng random(seed, name);
      const double scale = name == "model.embed_tokens.weight" ? embedding_std : std;
      for (std::int64_t i = 0; i < t.numel(); ++i) {
        const float v = gain ? 1.0f : zero ? 0.0f : static_cast<float>(scale * random.normal());
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
  if (c.eos_token_ids.size() > 1) eos = "[" + eos + "]";
  const std::string bos = c.bos_token_id < 0 ? "null" : std::to_string(c.bos_token_id);
  return fmt::format(R"({{
  "bos_token_id": {},
  "eos_token_id": {},
  "do_sample": true,
  "temperature": 0.6,
  "top_p": 0.95
}}
)",
                     bos, eos.empty() ? "null" : eos);
}

}  // namespace

void write_companions(const std::filesystem::path& dir, const Config& config, DType dtype,
                      const std::filesystem::path& tokenizer_dir) {
  write_file_atomically(dir / "generation_config.json", generation_json(config));
  if (!tokenizer_dir.empty()) io::copy_companions(tokenizer_dir, dir);
  write_file_atomically(dir / "config.json", config_json(config, dtype));
}

void write_model_dir(const std::filesystem::path& dir, const Config& config, DType dtype,
                     const io::NamedTensors& weights, const std::filesystem::path& tokenizer_dir) {
  write_companions(dir, config, dtype, tokenizer_dir);
  const std::map<std::string, Tensor> values(weights.begin(), weights.end());
  io::NamedTensors all;
  for (const CheckpointTensor& t : checkpoint_tensors(config)) {
    const auto found = values.find(t.copy_of.empty() ? t.name : t.copy_of);
    if (found == values.end()) fail("writing {}: tensor '{}' is missing", dir.string(), t.name);
    all.emplace_back(t.name, found->second);
  }
  io::write_safetensors(dir / "model.safetensors", all, {{"format", "pt"}});
}

}  // namespace hadal::model
