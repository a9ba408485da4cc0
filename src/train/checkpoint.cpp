#include "train/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/file.h"
#include "base/json.h"
#include "io/safetensors.h"
#include "model/load.h"

namespace hadal::train {

namespace {

// A fast 64-bit hash of a file's bytes: finds damage, is no protection against malice.
std::string checksum(const fs::path& path) {
  std::error_code none;
  std::uint64_t h = 0x9e3779b97f4a7c15ull ^ fs::file_size(path, none);
  // Read, not mapped: a map's pages would count as memory of this process.
  read_pieces(path, 1 << 20, [&](std::span<const std::byte> piece) {
    for (std::size_t i = 0; i < piece.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, piece.data() + i, std::min<std::size_t>(piece.size() - i, 8));
      h = std::rotl((h ^ word) * 0xff51afd7ed558ccdull, 31);
    }
  });
  return fmt::format("{:016x}", h ^ (h >> 33));
}

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

json state_json(const TrainerState& s) {
  return {{"format", "hadal-trainer-1"},
          {"step", s.step},
          {"tokens", s.tokens},
          {"updates", s.updates},
          {"loader", s.loader},
          {"guard", s.guard},
          {"recipe", s.recipe},
          {"best_bits_per_byte", s.best_bits_per_byte},
          {"best_step", s.best_step},
          {"build", s.build},
          {"isa", s.isa},
          {"seconds", s.seconds}};
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

void save_checkpoint(const fs::path& run_dir, const Trained& trained, const TrainerState& state,
                     const fs::path& tokenizer_dir, std::int64_t keep) {
  const fs::path dir = checkpoint_dir(run_dir, state.step), temporary = dir.string() + ".tmp";
  std::error_code error;
  fs::remove_all(temporary, error);
  fs::create_directories(temporary / "trainer", error);
  if (error) fail("cannot make the checkpoint folder {}: {}", temporary.string(), error.message());
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
    std::vector<std::string> files = {"model.safetensors", "trainer/moments.safetensors"};
    if (!trained.ema.tensors().empty()) {
      io::write_safetensors(temporary / "trainer" / "ema.safetensors", averages(trained), {{"format", "pt"}});
      files.emplace_back("trainer/ema.safetensors");
    }
    json j = state_json(state);
    for (const std::string& name : files) j["checksums"][name] = checksum(temporary / name);
    write_file_atomically(temporary / "trainer" / "state.json", j.dump(1));
    fsync_folder(temporary / "trainer");
    fsync_folder(temporary);
    fault_point("rename", dir);
    if (fs::exists(dir)) fs::remove_all(dir);  // the same step again, after a resumption
    fs::rename(temporary, dir);
    fsync_folder(dir.parent_path());
  } catch (...) {
    fs::remove_all(temporary, error);
    throw;
  }
  remove_old(run_dir, keep, state.best_step);
}

TrainerState read_state(const fs::path& dir) {
  const fs::path path = dir / "trainer" / "state.json";
  const json j = read_json(path);
  TrainerState s;
  try {
    if (j.at("format") != "hadal-trainer-1") fail("{}: format must be 'hadal-trainer-1'", path.string());
    s.step = j.at("step").get<std::int64_t>();
    s.tokens = j.at("tokens").get<std::int64_t>();
    s.updates = j.value("updates", s.step);
    s.loader = j.at("loader").get<std::string>();
    s.guard = j.value("guard", "");
    s.recipe = j.at("recipe").get<std::string>();
    s.best_bits_per_byte = j.at("best_bits_per_byte").get<double>();
    s.best_step = j.at("best_step").get<std::int64_t>();
    s.build = j.at("build").get<std::string>();
    s.isa = j.at("isa").get<std::string>();
    s.seconds = j.at("seconds").get<double>();
    if (s.step < 0 || dir.filename() != checkpoint_dir("", s.step).filename()) {
      fail("{}: is of step {}: the folder must be called {}", path.string(), s.step,
           checkpoint_dir("", std::max<std::int64_t>(0, s.step)).filename().string());
    }
    if (s.tokens < 0) fail("{}: tokens = {}: must be 0 or more", path.string(), s.tokens);
    for (const char* name : {"model.safetensors", "trainer/moments.safetensors"}) {
      if (!j.at("checksums").contains(name)) fail("{}: the checksum of {} is missing", path.string(), name);
    }
    for (const auto& [name, sum] : j.at("checksums").items()) {
      if (checksum(dir / name) != sum.get<std::string>())
        fail("{}: the file is damaged (its checksum differs from trainer/state.json)", (dir / name).string());
    }
  } catch (const json::exception& e) {
    fail("{}: not a trainer state: {}", path.string(), reason_of(e));
  }
  return s;
}

TrainerState load_checkpoint(const fs::path& dir, const kernels::Context& cx, const Trained& trained) {
  const TrainerState state = read_state(dir);
  const io::Safetensors weights = io::Safetensors::open(dir / "model.safetensors");
  const io::Safetensors m = io::Safetensors::open(dir / "trainer" / "moments.safetensors");
  const auto copy = [](const io::Safetensors& file, const std::string& name, const Tensor& to) {
    const Tensor from = file.tensor(name);
    if (from.bytes() != to.bytes() || from.dtype() != to.dtype()) {
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
  return state;
}

}  // namespace hadal::train
