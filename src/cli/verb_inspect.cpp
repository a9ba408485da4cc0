// hadal inspect PRESET|DIR: parameters, activated parameters, FLOPs and cache of a config.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "cli/inspect_tokens.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "model/accounting.h"
#include "model/names.h"

namespace hadal::cli {

namespace {

std::string grouped(std::int64_t n) {
  std::string digits = std::to_string(n);
  for (auto i = static_cast<std::ptrdiff_t>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

std::string billions(std::int64_t n) {
  return n >= 1'000'000'000 ? fmt::format("{:.2f}B", static_cast<double>(n) / 1e9)
                            : fmt::format("{:.1f}M", static_cast<double>(n) / 1e6);
}

void line(const std::string& what, const std::string& value, const std::string& note = "") {
  fmt::print("  {:<34} {:>20}  {}\n", what, value, note);
}

void print_table(const std::string& what, const model::Config& c, const model::Accounting& a, std::int64_t sequence) {
  fmt::print("{}\n\nparameters\n", what);
  for (const auto& [name, n] : a.components) line(name, grouped(n));
  line("total", grouped(a.parameters), billions(a.parameters));
  if (a.mtp_parameters > 0) {
    line("MTP, unique", grouped(a.mtp_parameters), billions(a.mtp_parameters));
    line("MTP, copies of embedding and head", grouped(a.mtp_copies), "in released files");
    line("all", grouped(a.parameters + a.mtp_parameters + a.mtp_copies),
         billions(a.parameters + a.mtp_parameters + a.mtp_copies));
  }
  fmt::print("\nactivated per token\n");
  line("with the head only", grouped(a.active_head_only), billions(a.active_head_only));
  line("with embedding and head", grouped(a.active_with_both), billions(a.active_with_both));
  line("with neither", grouped(a.active_neither), billions(a.active_neither));
  fmt::print("\nFLOPs per token\n");
  line(fmt::format("training, rows of {}", sequence), fmt::format("{:.4g}", a.train_flops_per_token));
  line("decoding, attention aside", fmt::format("{:.4g}", a.decode_flops_per_token));
  fmt::print("\ncache per token at 16 bits, bytes\n");
  const auto bytes = [&](const std::string& name, std::int64_t elements) {
    line(name, grouped(2 * elements),
         fmt::format("{:.1f} x", static_cast<double>(elements) / static_cast<double>(a.kv_elements)));
  };
  bytes(c.is_mla() ? "this model (latent and k_pe)" : "this model (K and V)", a.kv_elements);
  bytes("its heads as MHA", a.kv_as_mha);
  bytes("its heads as GQA-8", a.kv_as_gqa8);
  bytes("DeepSeek-67B", model::kDeepSeek67bKvElements);
}

std::int64_t bytes_of(const std::vector<io::TensorSpec>& specs) {
  std::int64_t bytes = 0;
  for (const io::TensorSpec& t : specs) bytes += static_cast<std::int64_t>(t.bytes());
  return bytes;
}

void print_checkpoint(const model::Config& c) {
  fmt::print("\ncheckpoint, bytes of tensors\n");
  const auto show = [](const char* name, const std::vector<io::TensorSpec>& specs) {
    line(name, grouped(bytes_of(specs)), grouped(static_cast<std::int64_t>(specs.size())) + " tensors");
  };
  show("f32", model::checkpoint_specs(c, DType::f32));
  show("bf16", model::checkpoint_specs(c, DType::bf16));
  if (c.is_mla()) show("FP8 with scales, as V3's", model::fp8_checkpoint(c));
}

json to_json(const model::Config& c, const model::Accounting& a) {
  json components = json::object();
  for (const auto& [name, n] : a.components) components[name] = n;
  const auto checkpoint = [](const std::vector<io::TensorSpec>& specs) -> json {
    return {{"tensors", specs.size()}, {"bytes", bytes_of(specs)}};
  };
  json checkpoints = {{"f32", checkpoint(model::checkpoint_specs(c, DType::f32))},
                      {"bf16", checkpoint(model::checkpoint_specs(c, DType::bf16))}};
  if (c.is_mla()) checkpoints["fp8"] = checkpoint(model::fp8_checkpoint(c));
  return {{"parameters", a.parameters},
          {"mtp_parameters", a.mtp_parameters},
          {"mtp_copies", a.mtp_copies},
          {"components", components},
          {"active_parameters",
           {{"head_only", a.active_head_only}, {"both", a.active_with_both}, {"neither", a.active_neither}}},
          {"train_flops_per_token", a.train_flops_per_token},
          {"decode_flops_per_token", a.decode_flops_per_token},
          {"kv_bytes_per_token", 2 * a.kv_elements},
          {"kv_bytes_per_token_mha", 2 * a.kv_as_mha},
          {"kv_bytes_per_token_gqa8", 2 * a.kv_as_gqa8},
          {"checkpoint", checkpoints}};
}

// A folder without MTP weights counts as it is loaded, not as config.json announces it.
struct Subject {
  model::Config config;
  std::vector<std::string> notes;
};

Subject open_subject(const std::string& what) {
  namespace fs = std::filesystem;
  if (model::is_preset(what)) return {model::preset(what), {}};
  if (!fs::exists(what)) {
    fail("'{}' is neither a model folder, nor a config.json, nor a preset ({})", what, model::preset_names());
  }
  Subject s{model::load_config(what), {}};
  if (!fs::is_directory(what) || !io::has_weights(what)) return s;
  const io::HfDir dir(what);
  if (const std::string line = model::missing_mtp(s.config, dir); !line.empty())
    s.notes.push_back(line + ": what is missing is left out");
  s.config = model::config_of_weights(s.config, dir);
  const std::vector<std::string> problems = model::weight_problems(s.config, dir);
  constexpr std::size_t kShown = 20;
  for (std::size_t i = 0; i < std::min(problems.size(), kShown); ++i)
    fmt::print(stderr, "{}\n", format_line("{}: {}", what, problems[i]));
  if (problems.size() == 1) fail("{}: 1 tensor is not as config.json wants it", what);
  if (!problems.empty()) fail("{}: {} tensors are not as config.json wants them", what, problems.size());
  s.notes.push_back("every tensor is there, in its shape");
  return s;
}

struct Arguments {
  std::string what;
  std::int64_t sequence = 4096;
  bool as_json = false, as_config = false;
};

void run(const Arguments& a) {
  const std::optional<TokenReport> tokens = model::is_preset(a.what) ? std::nullopt : report_tokens(a.what);
  if (tokens && tokens->alone && !a.as_config) {
    if (a.as_json) {
      print_json({{"tokenizer", json::parse(tokens->json)}});
    } else {
      fmt::print("{}\n{}", a.what, tokens->text);
    }
    return;
  }
  const Subject s = open_subject(a.what);
  if (a.as_config) {
    fmt::print("{}", model::config_json(s.config, DType::f32));
    return;
  }
  const model::Accounting count = model::account(s.config, a.sequence);
  if (a.as_json) {
    json j = to_json(s.config, count);
    if (tokens) j["tokenizer"] = json::parse(tokens->json);
    print_json(j);
    return;
  }
  print_table(a.what, s.config, count, a.sequence);
  print_checkpoint(s.config);
  if (tokens) fmt::print("{}", tokens->text);
  if (!s.notes.empty()) fmt::print("\n");
  for (const std::string& note : s.notes) fmt::print("weights: {}\n", note);
}

}  // namespace

void add_inspect(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb(
      "inspect", "parameters, FLOPs and cache of a preset or a model folder; where its special tokens come from");
  verb.add_option("model", a->what,
                  "preset (" + model::preset_names() +
                      "), model folder or its config.json; a folder named like a preset: ./NAME")
      .required();
  verb.add_option("--sequence", a->sequence, "tokens of a row, for the FLOPs of training").rule(whole(1, 1 << 24));
  Option json = add_json(verb, a->as_json);
  verb.add_flag("--config", a->as_config, "print its config.json, a template for one of your own").not_with(json);
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
