#include "cli/chat_turns.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "io/safetensors.h"
#include "text/special_tokens.h"
#include "train/checkpoint.h"

namespace hadal::cli {

namespace {

bool is_zero(const Tensor& t) {
  const auto* bytes = static_cast<const std::byte*>(t.raw());
  return std::all_of(bytes, bytes + t.bytes(), [](std::byte b) { return b == std::byte{0}; });
}

// True if the folder is a checkpoint of a training that began with random weights and never read the token: its
// embedding then has had no gradient. (Where the head is tied to it every row has one, and nothing can be said.)
bool never_read(const fs::path& model_dir, std::int32_t id) {
  const fs::path state = model_dir / "trainer" / "state.json", path = model_dir / "trainer" / "moments.safetensors";
  if (!fs::exists(state) || !fs::exists(path)) return false;
  const std::string recipe = train::read_state(model_dir).recipe;
  if (!train::parse_recipe(recipe, state.string(), {}).model.init_from.empty()) return false;
  const io::Safetensors moments = io::Safetensors::open(path);
  const std::string name = "model.embed_tokens.weight.v";
  return moments.contains(name) && id < moments.info(name).shape.front() &&
         is_zero(moments.tensor(name).rows(id, id + 1));
}

}  // namespace

ChatTurns::ChatTurns(const text::Tokenizer& tokenizer, const fs::path& model_dir, std::string system)
    : tokenizer_(tokenizer), system_(std::move(system)) {
  const auto user = tokenizer.token_id(text::kUserName), assistant = tokenizer.token_id(text::kAssistantName);
  if (!user || !assistant) {
    note_ = fmt::format("the tokenizer has no {} and {}: the model gets plain lines, and writes on from them",
                        text::kUserName, text::kAssistantName);
  } else if (never_read(model_dir, *user) && never_read(model_dir, *assistant)) {
    note_ = fmt::format(
        "this model was never trained on {} and {}, which mark the turns of a chat: it gets plain lines, and writes on "
        "from them",
        text::kUserName, text::kAssistantName);
  } else {
    user_ = {*user};
    assistant_ = {*assistant};
  }
}

void ChatTurns::append_text(std::vector<std::int32_t>& ids, const std::string& text) const {
  const std::vector<std::int32_t> more = tokenizer_.encode_as_text(text);
  ids.insert(ids.end(), more.begin(), more.end());
}

std::vector<std::int32_t> ChatTurns::question(const std::string& text, bool first) const {
  std::vector<std::int32_t> ids;
  if (const auto bos = tokenizer_.bos_id(); first && bos) ids.push_back(*bos);
  if (user_.empty()) {
    append_text(ids, (first ? system_ : "\n") + text + "\n");
    return ids;
  }
  if (first) append_text(ids, system_);
  if (const auto eos = tokenizer_.eos_id(); !first && eos) ids.push_back(*eos);
  ids.push_back(user_.front());
  append_text(ids, text);
  ids.push_back(assistant_.front());
  return ids;
}

}  // namespace hadal::cli
