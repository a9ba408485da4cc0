// Writes a trained tokenizer as the two files that the Hugging Face library reads.
#include <fmt/core.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/bpe.h"
#include "text/bpe_trainer.h"
#include "text/byte_table.h"
#include "text/tokenizer_file.h"

namespace hadal::text {

namespace {

json added_token(int id, const std::string& content, bool special) {
  return {{"id", id},        {"content", content},     {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", !special}, {"special", special}};
}

json byte_level(bool add_prefix_space, bool trim_offsets, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", trim_offsets},
          {"use_regex", use_regex}};
}

json pre_tokenizer() {
  json steps = json::array();
  for (const std::string_view regex : kDeepSeekV3Splits) {
    steps.push_back(
        {{"type", "Split"}, {"pattern", {{"Regex", std::string(regex)}}}, {"behavior", "Isolated"}, {"invert", false}});
  }
  steps.push_back(byte_level(false, true, false));
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

std::string quoted(const std::string& text) { return json(text).dump(); }

// By hand: the library's ordered object looks a key up before it takes it, too slow for a vocabulary.
std::string model_text(const TrainedBpe& trained, const TrainOptions& options) {
  std::string vocab, merges;
  int id = 0;
  const auto add = [&](const std::string& token) {
    vocab += fmt::format("{}      {}: {}", id == 0 ? "" : ",\n", quoted(token), id);
    ++id;
  };
  for (const std::string& name : options.first_tokens) add(name);
  for (const std::uint8_t byte : bytes_by_character()) add(to_byte_characters(std::string(1, static_cast<char>(byte))));
  IdsByText seen;
  for (const TrainedMerge& merge : trained.merges) {
    const std::string left = to_byte_characters(merge.left), right = to_byte_characters(merge.right);
    if (seen.emplace(left + right, id).second) add(left + right);
    merges += fmt::format("{}      {}", merges.empty() ? "" : ",\n", quoted(left + " " + right));
  }
  return fmt::format(
      "{{\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n"
      "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n"
      "    \"byte_fallback\": false,\n    \"ignore_merges\": false,\n    \"vocab\": {{\n{}\n    }},\n"
      "    \"merges\": [\n{}\n    ]\n  }}",
      vocab, merges);
}

std::string config_text(const TrainOptions& options) {
  json config = {{"add_bos_token", true}, {"add_eos_token", false}};
  static constexpr const char* kRoles[] = {"bos_token", "eos_token", "pad_token"};
  for (std::size_t i = 0; i < 3; ++i) {
    config[kRoles[i]] = i < options.first_tokens.size() ? json(options.first_tokens[i]) : json(nullptr);
  }
  config["clean_up_tokenization_spaces"] = false;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["unk_token"] = nullptr;
  return config.dump(2) + "\n";
}

}  // namespace

void save_tokenizer(const TrainedBpe& trained, const TrainOptions& options, const fs::path& dir) {
  json added = json::array();
  for (std::size_t i = 0; i < options.first_tokens.size(); ++i) {
    added.push_back(added_token(static_cast<int>(i), options.first_tokens[i], true));
  }
  int id = trained.vocab_size - static_cast<int>(options.last_tokens.size());
  for (const std::string& name : options.last_tokens) added.push_back(added_token(id++, name, false));

  const auto part = [](const char* key, const json& value) {
    std::string text = value.dump(2);
    for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1))
      text.insert(at + 1, "  ");
    return fmt::format("  \"{}\": {},\n", key, text);
  };
  std::string file = "{\n";
  file += part("version", "1.0") + part("truncation", nullptr) + part("padding", nullptr);
  file += part("added_tokens", added);
  file += part("normalizer", {{"type", "Sequence"}, {"normalizers", json::array()}});
  file += part("pre_tokenizer", pre_tokenizer());
  file += part("post_processor", byte_level(true, false, true));
  file += part("decoder", byte_level(true, true, true));
  file += fmt::format("  \"model\": {}\n}}\n", model_text(trained, options));

  std::error_code error;
  fs::create_directories(dir, error);
  if (error) fail("cannot make the folder {}: {}", dir.string(), error.message());
  write_file_atomically(dir / "tokenizer.json", file);
  write_file_atomically(dir / "tokenizer_config.json", config_text(options));
}

}  // namespace hadal::text
