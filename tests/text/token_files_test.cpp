// Which file a special, added or stop token comes from. Values are those of transformers 5.24 and tokenizers 0.23;
// tools/oracle_token_files.py compares drawn folders.
#include <gtest/gtest.h>

#include "base/error.h"
#include "fixtures.h"
#include "text/tokenizer.h"

namespace hadal::text {
namespace {

class TokenFiles : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = temporary_path("hadal_token_files");
    fs::create_directories(dir_);
    file_ = read_json(data_path("tokenizers/tiny_qwen2/tokenizer.json"));
  }
  void TearDown() override { fs::remove_all(dir_); }

  void write(const char* name, const json& content) { write_file_atomically(dir_ / name, content.dump()); }
  Tokenizer load() {
    write("tokenizer.json", file_);
    return Tokenizer::load(dir_);
  }
  std::string error() {
    try {
      load();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  static std::string source_of(const Tokenizer& tokenizer, const std::string& role) {
    for (const SpecialToken& token : tokenizer.special_tokens()) {
      if (token.role == role) return token.source;
    }
    return "none";
  }
  static json token(int id, const char* content, bool special = true) {
    return {{"id", id},        {"content", content}, {"single_word", false},  {"lstrip", false},
            {"rstrip", false}, {"special", special}, {"normalized", !special}};
  }

  fs::path dir_;
  json file_;
};

TEST_F(TokenFiles, TheMapWinsOverTheConfig) {
  write("tokenizer_config.json",
        {{"eos_token", "<|im_start|>"}, {"pad_token", "<|endoftext|>"}, {"bos_token", nullptr}});
  write("special_tokens_map.json", {{"eos_token", {{"content", "<|im_end|>"}, {"lstrip", false}}}});
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.eos_id(), 2038);
  EXPECT_EQ(source_of(tokenizer, "eos_token"), "special_tokens_map.json");
  EXPECT_EQ(tokenizer.pad_id(), 2036);
  EXPECT_EQ(source_of(tokenizer, "pad_token"), "tokenizer_config.json");
  EXPECT_EQ(tokenizer.bos_id(), std::nullopt);
  EXPECT_TRUE(tokenizer.is_control(2038));
}

TEST_F(TokenFiles, WithAddedTokensDecoderTheMapIsNotRead) {
  const json decoder = {{"2048", {{"content", "<extra>"}, {"special", true}}}};
  write("tokenizer_config.json", {{"eos_token", "<|im_start|>"}, {"added_tokens_decoder", decoder}});
  write("special_tokens_map.json", {{"eos_token", "<|im_end|>"}});
  write("added_tokens.json", {{"<more>", 2049}});
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.eos_id(), 2037);
  EXPECT_EQ(tokenizer.token_id("<extra>"), 2048);
  EXPECT_EQ(tokenizer.token_id("<more>"), std::nullopt);
  ASSERT_EQ(tokenizer.outside_tokens().size(), 1u);
  EXPECT_EQ(tokenizer.outside_tokens()[0].source, "tokenizer_config.json (added_tokens_decoder)");
}

TEST_F(TokenFiles, AddedTokensOfEveryPlace) {
  for (const char* place :
       {"added_tokens.json", "additional_special_tokens", "extra_special_tokens", "named", "role"}) {
    SCOPED_TRACE(place);
    const std::string where = place;
    json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}};
    if (where == "added_tokens.json") {
      write(place, {{"<extra>", 2048}});
    } else if (where == "named") {
      config["extra_special_tokens"] = {{"image_token", "<extra>"}};
    } else if (where == "role") {
      config["mask_token"] = "<extra>";
    } else {
      config[where] = {"<extra>"};
    }
    write("tokenizer_config.json", config);
    const Tokenizer tokenizer = load();
    EXPECT_EQ(tokenizer.encode("a<extra>b"), (std::vector<std::int32_t>{64, 2048, 65}));
    EXPECT_EQ(tokenizer.is_special(2048), where != "added_tokens.json");
    fs::remove(dir_ / "added_tokens.json");
  }
}

TEST_F(TokenFiles, GapsInAddedIdsCloseAsInTheLibrary) {
  file_["added_tokens"].push_back(token(2058, "<x>"));
  file_["added_tokens"].push_back(token(2050, "<y>"));
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.token_id("<x>"), 2048);
  EXPECT_EQ(tokenizer.token_id("<y>"), 2049);
  ASSERT_EQ(tokenizer.warnings().size(), 1u);
  EXPECT_NE(tokenizer.warnings()[0].find("<x> has id 2058 and gets 2048, and 1 more"), std::string::npos);
}

// Values of the library: where one token has swallowed white space, another that would swallow white space has no
// place.
TEST_F(TokenFiles, WhiteSpaceIsSwallowedOnce) {
  json line = token(2048, "\n", true), mark = token(2049, "<x>", true);
  line["lstrip"] = line["rstrip"] = mark["lstrip"] = mark["rstrip"] = true;
  file_["added_tokens"].push_back(line);
  file_["added_tokens"].push_back(mark);
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.encode("\n\n\n   x"), (std::vector<std::int32_t>{2048, 87}));
  EXPECT_EQ(tokenizer.encode("<x>\n <x>\t"), (std::vector<std::int32_t>{2049, 2049}));
  EXPECT_EQ(tokenizer.encode("a \n<x>"), (std::vector<std::int32_t>{64, 2048, 2049}));
}

TEST_F(TokenFiles, OfEqualContentsTheLastFlagsCount) {
  file_["added_tokens"].push_back(token(2048, "<x>", true));
  json again = token(2048, "<x>", false);
  again["lstrip"] = true;
  file_["added_tokens"].push_back(again);
  const Tokenizer tokenizer = load();
  EXPECT_EQ(tokenizer.encode("a  <x>"), (std::vector<std::int32_t>{64, 2048}));
  EXPECT_TRUE(tokenizer.is_special(2048));  // what was special once is left out in decoding, as in the library
}

TEST_F(TokenFiles, StopTokensAreTheGenerationConfigsElseTheConfigsElseEos) {
  write("tokenizer_config.json", {{"eos_token", "<|im_end|>"}});
  const auto stop = [&] { return load().stop_tokens(); };
  EXPECT_EQ(stop().ids, std::vector<std::int32_t>{2038});
  write("config.json", {{"eos_token_id", 7}});
  EXPECT_EQ(stop().ids, std::vector<std::int32_t>{7});
  write("generation_config.json", {{"eos_token_id", {1, 199}}});
  EXPECT_EQ(stop().ids, (std::vector<std::int32_t>{1, 199}));
  EXPECT_EQ(stop().source, "generation_config.json");
  write("generation_config.json", {{"eos_token_id", 5}});
  EXPECT_EQ(stop().ids, std::vector<std::int32_t>{5});
  write("generation_config.json", {{"eos_token_id", nullptr}});
  EXPECT_EQ(stop().ids, std::vector<std::int32_t>{7});
  write("generation_config.json", {{"eos_token_id", "five"}});
  EXPECT_EQ(error(), (dir_ / "generation_config.json").string() + ": eos_token_id must be an id from 0 to 16777215");
  // A tokenizer whose files name no EOS takes the first stop token.
  write("generation_config.json", {{"eos_token_id", {2037, 5}}});
  write("tokenizer_config.json", json::object());
  EXPECT_EQ(load().eos_id(), 2037);
}

TEST_F(TokenFiles, BrokenFilesAreNamed) {
  const auto with = [&](const char* name, const json& content) {
    write(name, content);
    const std::string text = error(), path = (dir_ / name).string();
    fs::remove(dir_ / name);
    return text.starts_with(path) ? text.substr(path.size()) : text;
  };
  EXPECT_EQ(with("tokenizer_config.json", {{"eos_token", 3}}),
            ": eos_token must be a string, or an object with a string under content");
  EXPECT_EQ(with("tokenizer_config.json", {{"added_tokens_decoder", {{"x", json::object()}}}}),
            ": added_tokens_decoder.x must be a token's object under its id");
  EXPECT_EQ(with("tokenizer_config.json", {{"extra_special_tokens", "x"}}),
            ": extra_special_tokens must be a list of tokens or an object of named ones");
  EXPECT_EQ(with("special_tokens_map.json", json::array()), ": the file must be an object");
  EXPECT_EQ(with("added_tokens.json", {{"<x>", -1}}), ": <x> must be an id from 0 to 16777215");
}

TEST_F(TokenFiles, TheUnknownTokenStandsForBytesWithoutOne) {
  json vocab = json::object(), merges = json::array();
  const auto has = [](const std::string& text) { return text.find_first_of("zq") != std::string::npos; };
  const int z = file_["model"]["vocab"]["z"];
  for (const auto& [name, id] : file_["model"]["vocab"].items()) {
    if (!has(name)) vocab[name] = id;
  }
  for (const json& merge : file_["model"]["merges"]) {
    if (!has(merge.dump())) merges.push_back(merge);
  }
  vocab["<unk>"] = z;
  file_["model"]["vocab"] = vocab;
  file_["model"]["merges"] = merges;
  file_["model"]["unk_token"] = "<unk>";
  EXPECT_EQ(load().encode("azzb zq z"), (std::vector<std::int32_t>{64, 89, 89, 65, 220, 89, 89, 220, 89}));
  file_["model"]["fuse_unk"] = true;
  EXPECT_EQ(load().encode("azzb zq z"), (std::vector<std::int32_t>{64, 89, 65, 220, 89, 220, 89}));
  file_["model"]["unk_token"] = "<nope>";
  EXPECT_NE(error().find("model.unk_token <nope> is not in model.vocab"), std::string::npos);
  file_["model"]["unk_token"] = nullptr;
  file_["model"]["byte_fallback"] = true;
  EXPECT_NE(error().find("model.byte_fallback true is not supported where bytes have no token"), std::string::npos);
}

TEST_F(TokenFiles, TheFingerprintIsOfTheMeaning) {
  write("tokenizer_config.json", {{"eos_token", "<|im_end|>"}, {"additional_special_tokens", {"<extra>"}}});
  const std::uint64_t print = load().fingerprint();
  // Written again: the added token in tokenizer.json, merges as strings, another post-processor.
  const json before = file_;
  file_["added_tokens"].push_back(token(2048, "<extra>"));
  json merges = json::array();
  for (const json& merge : file_["model"]["merges"]) {
    merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }
  file_["model"]["merges"] = merges;
  file_["post_processor"] = nullptr;
  EXPECT_EQ(load().fingerprint(), print);
  const auto differs = [&](const char* what, const auto& change) {
    file_ = before;
    change();
    EXPECT_NE(load().fingerprint(), print) << what;
  };
  differs("merges", [&] { std::swap(file_["model"]["merges"][5], file_["model"]["merges"][6]); });
  differs("ids", [&] { std::swap(file_["model"]["vocab"]["a"], file_["model"]["vocab"]["b"]); });
  differs("normalizer", [&] { file_["normalizer"] = nullptr; });
  differs("pattern", [&] { file_["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"; });
  differs("flags", [&] { file_["added_tokens"][5]["lstrip"] = true; });
  differs("EOS", [&] { write("tokenizer_config.json", {{"eos_token", "<|endoftext|>"}}); });
}

}  // namespace
}  // namespace hadal::text
