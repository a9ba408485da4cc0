// hadal convert SRC DST: a model folder through our reader and writer, in another dtype if wanted.
#include <CLI/CLI.hpp>

#include <memory>

#include "base/error.h"
#include "cli/verbs.h"
#include "model/load.h"

namespace hadal::cli {

namespace {

void run(const std::string& source, const std::string& target, const std::string& dtype) {
  namespace fs = std::filesystem;
  if (fs::exists(target) && !fs::is_empty(target)) fail("{}: the target folder exists and is not empty", target);
  const DType type = dtype_from_name(dtype);
  model::CausalLm model = model::load_model(source, type);
  std::error_code error;
  fs::create_directories(target, error);
  if (error) fail("cannot make the folder {}: {}", target, error.message());
  io::NamedTensors weights;
  model.visit([&](const nn::Parameter& p) {
    model::each_checkpoint_tensor(p, *p.value, [&](const std::string& name, const Tensor& t) { weights.emplace_back(name, t); });
  });
  model::write_model_dir(target, model.config(), type, weights, source);
  fmt::print("{}: {} tensors written in {}\n", target, weights.size(), name_of(type));
}

}  // namespace

void add_convert(CLI::App& app) {
  struct Arguments {
    std::string source, target, dtype = "f32";
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("convert", "read a model folder and write it anew");
  verb->add_option("source", a->source, "model folder")->required();
  verb->add_option("target", a->target, "new folder")->required();
  verb->add_option("--dtype", a->dtype, "of linear weights and embeddings; norms, router and gate bias stay f32")->check(CLI::IsMember({"f32", "bf16"}));
  verb->callback([a] { run(a->source, a->target, a->dtype); });
}

}  // namespace hadal::cli
