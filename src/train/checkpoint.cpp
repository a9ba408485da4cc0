#include "train/checkpoint.h"

#include <algorithm>
#include <cstring>

#include "base/file.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "model/load.h"

namespace hadal::train {

namespace {

io::NamedTensors moments(Optimizer& optimizer) {
  io::NamedTensors all;
  for (const TrainedParameter& p : optimizer.parameters()) {
    for (const auto& [suffix, value] : {std::pair{".m", p.m}, std::pair{".v", p.v}}) {
      model::each_checkpoint_tensor(p.parameter, value, [&, s = suffix](const std::string& name, const Tensor& t) {
        all.emplace_back(name + s, t);
      });
    }
  }
  return all;
}

// f(weight, its average) for every parameter, if an average is kept.
template <class F>
void each_average(const Trained& trained, const F& f) {
  for (std::size_t i = 0; i < trained.ema.tensors().size(); ++i)
    f(trained.optimizer.parameters()[i].parameter, trained.ema.tensors()[i]);
}

io::NamedTensors averages(const Trained& trained) {
  io::NamedTensors all;
  each_average(trained, [&](const nn::Parameter& p, const Tensor& value) {
    model::each_checkpoint_tensor(p, value,
                                  [&](const std::string& name, const Tensor& t) { all.emplace_back(name, t); });
  });
  return all;
}

void remove_old(const fs::path& run_dir, std::int64_t keep, std::int64_t best) {
  std::vector<std::int64_t> steps = list_checkpoints(run_dir);
  const auto old = static_cast<std::ptrdiff_t>(steps.size()) - keep;
  for (std::ptrdiff_t i = 0; i < old; ++i) {
    if (steps[static_cast<std::size_t>(i)] == best) continue;
    // Renamed first, so that a crash in the middle leaves nothing that looks like a checkpoint.
    const fs::path dir = checkpoint_dir(run_dir, steps[static_cast<std::size_t>(i)]), gone = dir.string() + ".old.tmp";
    fault_point("remove", dir);
    fs::rename(dir, gone);
    fault_point("remove", gone);
    fs::remove_all(gone);
  }
}

}  // namespace

void remove_unfinished(const fs::path& run_dir) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(run_dir / "checkpoints")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step-") && name.ends_with(".tmp")) found.push_back(entry.path());
  }
  for (const fs::path& path : found) fs::remove_all(path);
}

void save_checkpoint(const RunFolder& run, const Trained& trained, const TrainerState& state,
                     const fs::path& tokenizer_dir, std::int64_t keep) {
  const fs::path dir = checkpoint_dir(run.path(), state.step), temporary = dir.string() + ".tmp";
  std::error_code error;
  run.require_in_place();
  fs::remove_all(temporary, error);
  // No folder above them is made: one that is gone is no longer this run's.
  for (const fs::path& folder : {temporary, temporary / "trainer"}) {
    fs::create_directory(folder, error);
    if (error) fail("cannot make the checkpoint folder {}: {}", folder.string(), error.message());
  }
  try {
    io::NamedTensors weights;
    for (const TrainedParameter& p : trained.optimizer.parameters()) {
      model::each_checkpoint_tensor(p.parameter, p.master,
                                    [&](const std::string& name, const Tensor& t) { weights.emplace_back(name, t); });
    }
    trained.model.visit([&](const nn::Parameter& p) {
      if (p.kind == nn::ParameterKind::gate_bias) weights.emplace_back(p.name, *p.value);
    });
    model::write_model_dir(temporary, trained.model.config(), DType::f32, weights, tokenizer_dir);
    io::write_safetensors(temporary / "trainer" / "moments.safetensors", moments(trained.optimizer),
                          {{"format", "hadal-moments-1"}});
    if (!trained.ema.tensors().empty())
      io::write_safetensors(temporary / "trainer" / "ema.safetensors", averages(trained), {{"format", "pt"}});
    write_state(temporary, state);
    fsync_folder(temporary / "trainer");
    fsync_folder(temporary);
    fault_point("rename", dir);
    run.require_in_place();
    replace_folder(temporary, dir);  // it may be the same step again
  } catch (...) {
    if (run.in_place()) fs::remove_all(temporary, error);
    throw;
  }
  run.require_in_place();
  remove_old(run.path(), keep, state.best_step);
}

std::string config_difference(const fs::path& dir, const model::Config& config) {
  const fs::path path = dir / "config.json";
  const json before = parse_json(model::config_json(model::load_config(path), DType::f32), path.string());
  const json now = parse_json(model::config_json(config, DType::f32), "config");
  for (const auto& [key, value] : now.items()) {
    if (key == "bos_token_id" || key == "eos_token_id") continue;  // the tokenizer's: no training depends on them
    const json old = before.value(key, json());
    if (old != value) return fmt::format("{}: {} -> {}", key, old.dump(), value.dump());
  }
  return "";
}

void load_checkpoint(const fs::path& dir, const kernels::Context& cx, const Trained& trained) {
  const io::Safetensors weights = io::Safetensors::open(dir / "model.safetensors");
  const io::Safetensors m = io::Safetensors::open(dir / "trainer" / "moments.safetensors");
  const auto copy = [](const io::Safetensors& file, const std::string& name, const Tensor& to) {
    const Tensor from = file.tensor(name);
    if (from.shape() != to.shape() || from.dtype() != to.dtype()) {
      fail("{}: tensor '{}' is {} {}, the run wants {} {}", file.path().string(), name, name_of(from.dtype()),
           to_string(from.shape()), name_of(to.dtype()), to_string(to.shape()));
    }
    std::memcpy(to.raw(), from.raw(), from.bytes());
    file.release(name);
  };
  for (TrainedParameter& p : trained.optimizer.parameters()) {
    model::each_checkpoint_tensor(p.parameter, p.master,
                                  [&](const std::string& name, const Tensor& t) { copy(weights, name, t); });
    model::each_checkpoint_tensor(p.parameter, p.m,
                                  [&](const std::string& name, const Tensor& t) { copy(m, name + ".m", t); });
    model::each_checkpoint_tensor(p.parameter, p.v,
                                  [&](const std::string& name, const Tensor& t) { copy(m, name + ".v", t); });
  }
  if (!trained.ema.tensors().empty()) {
    const io::Safetensors ema = io::Safetensors::open(dir / "trainer" / "ema.safetensors");
    each_average(trained, [&](const nn::Parameter& p, const Tensor& value) {
      model::each_checkpoint_tensor(p, value, [&](const std::string& name, const Tensor& t) { copy(ema, name, t); });
    });
  }
  trained.model.visit([&](const nn::Parameter& p) {
    if (p.kind == nn::ParameterKind::gate_bias) copy(weights, p.name, *p.value);
  });
  trained.optimizer.refresh(cx);
}

}  // namespace hadal::train
