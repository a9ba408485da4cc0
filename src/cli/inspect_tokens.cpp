#include "cli/inspect_tokens.h"

#include <fmt/ranges.h>

#include "base/json.h"
#include "base/model_folder.h"
#include "text/tokenizer.h"

namespace hadal::cli {

namespace fs = std::filesystem;

namespace {

json to_json(const text::SpecialToken& token) {
  json j = {
      {"content", token.content}, {"id", token.id < 0 ? json(nullptr) : json(token.id)}, {"source", token.source}};
  if (!token.role.empty()) j["role"] = token.role;
  return j;
}

std::string json_of(const text::Tokenizer& t) {
  json roles = json::array(), outside = json::array(), control = json::array();
  for (const text::SpecialToken& token : t.special_tokens()) roles.push_back(to_json(token));
  for (const text::SpecialToken& token : t.outside_tokens()) outside.push_back(to_json(token));
  for (std::int32_t id = 0; id < t.vocab_size(); ++id) {
    if (t.is_control(id)) control.push_back(id);
  }
  const json stop = {{"ids", t.stop_tokens().ids}, {"source", t.stop_tokens().source}};
  return json{{"vocab_size", t.vocab_size()},
              {"fingerprint", fmt::format("{:016x}", t.fingerprint())},
              {"special_tokens", roles},
              {"stop_tokens", stop},
              {"added_outside_tokenizer_json", outside},
              {"control_tokens", control},
              {"warnings", t.warnings()}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string text_of(const text::Tokenizer& t) {
  std::string out = fmt::format("\ntokenizer, {} tokens, fingerprint {:016x}\n", t.vocab_size(), t.fingerprint());
  const auto line = [&](const std::string& what, const std::string& token, const std::string& id,
                        const std::string& source) {
    out += fmt::format("  {:<12} {:>8}  {:<28}  {}\n", what, id, token, source);
  };
  for (const text::SpecialToken& token : t.special_tokens()) {
    line(token.role, token.id < 0 ? "none" : token.content, token.id < 0 ? "" : std::to_string(token.id), token.source);
  }
  for (const text::SpecialToken& token : t.outside_tokens()) {
    line("added token", token.content, std::to_string(token.id), token.source);
  }
  for (const std::int32_t id : t.stop_tokens().ids) {
    line("stop token", std::string(t.token_bytes(id)), std::to_string(id), t.stop_tokens().source);
  }
  for (const std::string& warning : t.warnings()) out += fmt::format("  warning: {}\n", warning);
  return out;
}

}  // namespace

std::optional<TokenReport> report_tokens(const fs::path& folder) {
  const fs::path model = fs::is_directory(folder) ? model_folder(folder) : fs::path();
  if (model.empty() || !fs::exists(model / "tokenizer.json")) return std::nullopt;
  const text::Tokenizer tokenizer = text::Tokenizer::load(model);
  return TokenReport{text_of(tokenizer), json_of(tokenizer), !fs::exists(model / "config.json")};
}

}  // namespace hadal::cli
