#include "text/control_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/scan.h"
#include "text/special_tokens.h"
#include "text/template_text.h"

namespace hadal::text {

namespace {

// Every chat template of a folder: the files take the place of what tokenizer_config.json holds, as in the library.
std::vector<std::string> chat_templates(const fs::path& folder, const json& config) {
  std::vector<std::string> templates;
  if (fs::exists(folder / "chat_template.jinja")) templates.push_back(read_whole_file(folder / "chat_template.jinja"));
  const fs::path more = folder / "additional_chat_templates";
  if (fs::is_directory(more)) {
    for (const auto& entry : fs::directory_iterator(more)) {
      if (entry.path().extension() == ".jinja") templates.push_back(read_whole_file(entry.path()));
    }
  }
  if (!templates.empty()) return templates;
  const json inner = config.value("chat_template", json());
  if (inner.is_string()) templates.push_back(inner.get<std::string>());
  if (inner.is_array()) {
    for (const json& named : inner) {
      const json text = named.is_object() ? named.value("template", json()) : json();
      if (!text.is_string()) {
        fail("{}: chat_template must be a string, or a list of objects with the strings name and template",
             (folder / "tokenizer_config.json").string());
      }
      templates.push_back(text.get<std::string>());
    }
  }
  return templates;
}

bool is_white(const std::string& text) {
  const char* const end = text.data() + text.size();
  return skip(text.data(), end, ClassSet{CharClass::white}) == end;
}

}  // namespace

void mark_control_tokens(const fs::path& folder, std::vector<AddedToken>& added) {
  const fs::path file = folder / "tokenizer_config.json";
  const json config = fs::exists(file) ? read_json(file) : json::object();
  std::vector<std::string> texts;
  const json listed = config.value("chat_control_tokens", json());
  if (!listed.is_null() && !listed.is_array()) {
    fail("{}: chat_control_tokens must be a list of strings", file.string());
  }
  const std::vector<std::string> templates = chat_templates(folder, config);
  for (const std::string& one : templates) {
    for (std::string& text : template_texts(one)) texts.push_back(std::move(text));
  }
  if (templates.empty()) texts.assign(kTurnNames.begin(), kTurnNames.end());
  for (AddedToken& token : added) {
    const auto spelled = [&](const std::string& text) { return text.find(token.content) != std::string::npos; };
    const bool in_chat = listed.is_array()
                             ? std::find(listed.begin(), listed.end(), json(token.content)) != listed.end()
                             : !is_white(token.content) && std::any_of(texts.begin(), texts.end(), spelled);
    token.control = token.special || token.control || in_chat;
  }
}

}  // namespace hadal::text
