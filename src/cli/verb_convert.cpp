// hadal convert SRC DST: a model folder through our reader and writer, in another dtype if wanted, tensor by tensor; of
// a training checkpoint, with --ema, the moving average of its weights.
#include <memory>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "base/new_folder.h"
#include "base/progress.h"
#include "base/words.h"
#include "cli/json_out.h"
#include "cli/notes.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "io/convert.h"
#include "model/load.h"
#include "model/names.h"
#include "train/checkpoint.h"

namespace hadal::cli {

namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string source, target, dtype = "f32";
  double shard_gb = 5;
  bool ema = false, force = false, no_mtp = false, as_json = false;
};

// A model folder that others may remove while it is read, as a training does with its old checkpoints: its files are
// all opened first, and then it must still be the one that it was.
class Source {
 public:
  explicit Source(const std::string& path) : folder_((require(path), path)), names_(names()) {}
  void require_unchanged() const {
    if (!folder_.in_place() || names() != names_)
      fail("{}: was removed or changed while it was read: a training may have removed its old checkpoint",
           folder_.path().string());
  }

 private:
  static void require(const std::string& path) {
    if (!fs::is_directory(path)) fail("{}: there is no such model folder", path);
  }
  std::set<std::string> names() const {
    std::set<std::string> all;
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(folder_.path(), gone)) all.insert(entry.path().filename().string());
    return all;
  }
  OpenFolder folder_;
  std::set<std::string> names_;
};

// What a folder that is converted holds, temporaries of an interrupted one included.
bool is_model_file(const fs::path& inside) {
  const std::string name = inside.string();
  if (name.find('/') != std::string::npos) return false;
  const auto is = [&](std::string_view kind) { return name.find(kind) != std::string::npos; };
  return is(".safetensors") || is(".json") || is(".jinja") || is("merges.txt") || is(".model");
}

// The averages of a checkpoint, its files checked.
io::Safetensors open_averages(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "trainer" / "ema.safetensors";
  if (!fs::exists(checkpoint / "trainer" / "state.json"))
    fail("{}: --ema wants a training checkpoint (RUN/checkpoints/step-...)", checkpoint.string());
  if (!fs::exists(path)) fail("{} is not there: the run kept no average (recipe key optimizer.ema = 0)", path.string());
  train::check_files(checkpoint, train::read_state(checkpoint));
  return io::Safetensors::open(path);
}

// Gate biases have no average: the live ones are taken.
Tensor average_of(const io::Safetensors& averages, const model::CheckpointTensor& t, const io::HfDir& live) {
  const std::string& name = t.copy_of.empty() ? t.name : t.copy_of;
  if (t.kind == nn::ParameterKind::gate_bias) return live.tensor(name);
  Tensor value = averages.tensor(name);
  if (value.shape() != t.shape) {
    fail("{}: tensor '{}' has shape {}, the model wants {}", averages.path().string(), name, to_string(value.shape()),
         to_string(t.shape));
  }
  return value;
}

void run(const Arguments& a) {
  const DType type = dtype_from_name(a.dtype);
  const std::string from = model_folder(a.source).string();
  const Source folder(from);
  const io::HfDir source(from);
  model::Config config = model::config_of_weights(model::load_config(from), source);
  model::check_weights(config, source);
  model::check_copies(config, source);
  note_missing_mtp(a.source);
  if (a.no_mtp) {
    if (config.num_nextn_predict_layers == 0) fail("{}: --no-mtp: this model has no MTP modules", from);
    config.num_nextn_predict_layers = 0;
  }
  std::optional<io::Safetensors> averages;
  if (a.ema) averages = open_averages(from);
  NewFolder target(a.target, a.force, is_model_file);
  model::write_companions(target.work(), config, type, from);
  folder.require_unchanged();
  const std::vector<model::CheckpointTensor> tensors = model::checkpoint_tensors(config);
  io::WeightsWriter writer(target.work(), model::checkpoint_specs(config, type),
                           static_cast<std::uint64_t>(a.shard_gb * 1e9));
  Progress progress("convert", static_cast<std::int64_t>(tensors.size()), "tensors");
  std::int64_t done = 0;
  for (const model::CheckpointTensor& t : tensors) {
    const std::string what = from + ": tensor '" + t.name + "'";
    const Tensor value =
        averages ? average_of(*averages, t, source) : source.tensor(t.copy_of.empty() ? t.name : t.copy_of);
    writer.append(t.name, io::converted(value, model::stored_dtype(t, type), what));
    progress.update(++done);
  }
  writer.commit();
  target.commit();
  progress.finish();
  if (a.as_json) {
    print_json({{"source", from},
                {"target", a.target},
                {"tensors", tensors.size()},
                {"dtype", name_of(type)},
                {"mtp_modules", config.num_nextn_predict_layers},
                {"ema", a.ema}});
    return;
  }
  fmt::print("{}: {} written in {}{}\n", a.target, plural(tensors.size(), "tensor"), name_of(type),
             a.ema ? ", averages; gate biases live" : "");
}

}  // namespace

void add_convert(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("convert", "read a model folder and write it anew");
  verb.add_option("source", a->source, "model folder, or a run: its newest checkpoint").required();
  verb.add_option("target", a->target, "new folder").required();
  verb.add_option("--dtype", a->dtype, "of the weights; gates and their biases stay f32").one_of({"f32", "bf16"});
  verb.add_option("--shard-gb", a->shard_gb, "largest file, in 10^9 bytes").rule(positive());
  verb.add_flag("--force", a->force, "replace a model folder that is there");
  verb.add_flag("--ema", a->ema, "the moving average of a training checkpoint's weights (recipe key optimizer.ema)");
  verb.add_flag("--no-mtp", a->no_mtp, "without the modules of multi-token prediction, for programs that know none");
  add_json(verb, a->as_json);
  verb.footer(
      "Examples:\n"
      "  hadal convert RUN model --dtype bf16\n"
      "  hadal convert RUN averaged --ema --no-mtp");
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
