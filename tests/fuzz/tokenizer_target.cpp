// tokenizer.json and tokenizer_config.json, and text encoded with what they say. The input has three parts with a line
// of "====" between them: the two files, and the text.
#include "base/error.h"
#include "fuzz/targets.h"
#include "text/tokenizer.h"

namespace hadal::fuzz {

namespace {

std::string_view part(std::string_view& input) {
  constexpr std::string_view kBetween = "\n====\n";
  const std::size_t end = std::min(input.find(kBetween), input.size());
  const std::string_view first = input.substr(0, end);
  input.remove_prefix(std::min(end + kBetween.size(), input.size()));
  return first;
}

}  // namespace

void tokenizer(std::string_view input) {
  write("tok/tokenizer.json", part(input));
  write("tok/tokenizer_config.json", part(input));
  expect_error_names("tokenizer", [&] {
    const text::Tokenizer t = text::Tokenizer::load(folder() / "tok");
    for (const std::string& warning : t.warnings()) require(!warning.empty(), "a warning without a word");
    const std::string_view text = input.substr(0, 4096);
    const std::vector<std::int32_t> ids = t.encode(text, true);
    for (const std::int32_t id : ids) require(id >= 0 && id < t.vocab_size(), "an id that is none");
    const std::string bytes = t.decode_bytes(ids);
    require(bytes.size() >= t.decode_bytes(ids, true).size(), "more text without special tokens than with them");
    text::StreamDecoder stream(t, false);
    std::string streamed;
    for (const std::int32_t id : ids) streamed += stream.push(id);
    require(streamed + stream.finish() == t.decode(ids), "a stream decodes to another text");
#ifdef HADAL_PLANTED_BUG
    char name[24] = {};
    for (std::int32_t id = 0; id < t.vocab_size(); ++id) {
      if (t.is_added(id)) std::copy(t.token_bytes(id).begin(), t.token_bytes(id).end(), name);  // "names are short"
    }
    require(name[0] != '\1', "a name that begins with 1");
#endif
  });
}

}  // namespace hadal::fuzz
