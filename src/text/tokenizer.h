// Byte-level BPE tokenizer of a tokenizer.json: text to ids and back. A Tokenizer never changes: any number of threads
// may share one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/word_cache.h"

namespace hadal::text {

// A token with a role (bos_token, eos_token, ...; image_token and other names of a model's own), or, where the role is
// empty, an added token that is not in tokenizer.json.
struct SpecialToken {
  std::string role;
  std::string content;
  std::int32_t id = -1;  // -1: a file says that there is none
  std::string source;    // the file it comes from
};

struct StopTokens {
  std::vector<std::int32_t> ids;
  std::string source;
};

class Tokenizer {
 public:
  // A model directory (tokenizer.json and, if there, tokenizer_config.json), a run (base/model_folder.h) or the path of
  // a tokenizer.json. Throws Error naming the file and the part that is broken or not supported.
  static Tokenizer load(const std::filesystem::path& model_dir_or_json);

  // Ids of any bytes; invalid UTF-8 is kept as byte tokens, so decoding gives the same bytes back (unless a normalizer
  // or a prefix space changes the text). add_special_tokens: what the file's post-processor adds (BOS for Llama-3).
  std::vector<std::int32_t> encode(std::string_view text, bool add_special_tokens = false) const;

  // The same, appended to `ids`. A cache that lives over many calls makes short texts faster; it must have served no
  // other tokenizer and belong to this thread.
  void encode_to(std::string_view text, bool add_special_tokens, WordCache& cache,
                 std::vector<std::int32_t>& ids) const;

  // Text that is only text: control tokens spelled in it (is_control) are plain text, encoded alone, apart from what
  // stands around them; other added tokens are found as ever. For documents and for what a user types.
  std::vector<std::int32_t> encode_as_text(std::string_view text) const;
  void encode_as_text_to(std::string_view text, WordCache& cache, std::vector<std::int32_t>& ids) const;

  // Valid UTF-8: what is not becomes U+FFFD. Ids outside the vocabulary print nothing.
  std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens = false) const;
  // The same before U+FFFD is put in: exactly the bytes of the tokens.
  std::string decode_bytes(std::span<const std::int32_t> ids, bool skip_special_tokens = false) const;

  std::int32_t vocab_size() const;  // all ids are in [0, vocab_size)
  // By a token's text as it prints: "<think>", " the". Of two tokens with equal text the added one, else the lower id.
  std::optional<std::int32_t> token_id(std::string_view token) const;
  std::string_view token_bytes(std::int32_t id) const;  // empty for an id without a token
  bool is_special(std::int32_t id) const;               // special:true
  bool is_added(std::int32_t id) const;                 // an added token, special or not
  // A token that steers a model: special:true, one of the roles (bos_token ...), or spelled by the chat template
  // (by chat_control_tokens of tokenizer_config.json where it is given; by DeepSeek-V3's turns without a template).
  bool is_control(std::int32_t id) const;

  // By their roles in the tokenizer's files (text/token_files.h). Where no file says a word: DeepSeek's names if they
  // are in the vocabulary; for EOS the first stop token before that.
  std::optional<std::int32_t> bos_id() const, eos_id() const, pad_id() const;
  const std::vector<SpecialToken>& special_tokens() const;  // every role, in order
  const std::vector<SpecialToken>& outside_tokens() const;  // added tokens that are not in tokenizer.json
  // What ends a generated text: eos_token_id of generation_config.json, else of config.json, else EOS.
  const StopTokens& stop_tokens() const;

  // Of all that decides which ids a training text gets: vocabulary, merges, added tokens with their flags, control
  // tokens, normalizer, pre-tokenizer, BOS and EOS. Files that say the same in other words have the same.
  std::uint64_t fingerprint() const;

  // What a caller should tell its user: parts of the file that may not be reproduced exactly.
  const std::vector<std::string>& warnings() const;

  struct Parts;  // what a file says, put together by load()

 private:
  friend class PiecewiseEncoder;
  explicit Tokenizer(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
  struct Mode;
  void encode_text(std::string_view text, bool as_text, WordCache* cache, std::vector<std::int32_t>& ids) const;
  void encode_all(std::string_view text, Mode mode, WordCache* cache, std::vector<std::int32_t>& ids) const;
  std::vector<std::int32_t> encode_whole(std::string_view text, Mode mode) const;

  std::shared_ptr<const Parts> parts_;
};

// Text of a growing list of ids: incomplete UTF-8 is held back, invalid bytes become U+FFFD as soon as they are known
// to be invalid. All that push() and finish() return is what decode() returns at once. Keeps a copy of the tokenizer's
// handle.
class StreamDecoder {
 public:
  StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens);
  std::string push(std::int32_t id);
  std::string finish();  // U+FFFD for what is still held; the decoder can then start anew

 private:
  Tokenizer tokenizer_;
  bool skip_special_tokens_;
  std::string held_;  // a proper prefix of one character
};

}  // namespace hadal::text
