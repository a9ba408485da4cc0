// Reference files of verify: the input is the header; the tensors hold zeros. First line "bf16": experts are forced.
#include <algorithm>

#include "base/error.h"
#include "fuzz/targets.h"
#include "verify/reference.h"
#include "verify/settings.h"

namespace hadal::fuzz {

void reference(std::string_view input) {
  std::string_view rest = input;
  const bool forced = first_line(rest) == "bf16";
  const auto path = write("reference.safetensors", with_data(forced ? rest : input));
  model::Config c;
  c.family = model::Family::deepseek_v3;
  c.vocab_size = 16;
  c.num_hidden_layers = 2;
  c.first_k_dense_replace = 1;
  c.n_routed_experts = 4;
  c.num_experts_per_tok = 1;
  c.num_nextn_predict_layers = 1;
  expect_error_names("reference.safetensors", [&] {
    const verify::Reference file(path);
#ifdef HADAL_PLANTED_BUG
    char method[16] = {};
    for (const auto& [key, value] : file.metadata()) {
      if (key == "optimizer") std::copy(value.begin(), std::find(value.begin(), value.end(), ' '), method);  // "adamw"
    }
    require(method[0] != '\1', "a method that begins with 1");
#endif
    verify::read_settings(file.metadata(), path.string());
    const verify::Inputs in(file, c, forced);
    require(!in.tokens.empty() && in.tokens[0].size() >= 3, "rows too short for the MTP module");
    for (const auto& step : in.steps) require(!step.empty() && step[0].size() >= 3, "a step too short for it");
    require(in.documents.empty() || in.documents.size() < in.tokens[0].size(), "more documents than tokens");
    for (const std::string& name : file.names_with("bf16_error.")) file.one_value(name);
    for (const std::string& name : file.names()) file.values(name);
  });
}

}  // namespace hadal::fuzz
