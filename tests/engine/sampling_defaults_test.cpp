// What generation_config.json says of sampling, and how it is refused.
#include "engine/sampling_defaults.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "support/temp_folder.h"

namespace hadal::engine {
namespace {

SamplingDefaults read(const std::string& content) {
  const test::TempFolder folder;
  write_file_atomically(folder / "generation_config.json", content);
  return read_sampling_defaults(folder.path());
}

std::string error(const std::string& content) {
  return test::error_of([&] { read(content); });
}

TEST(SamplingDefaults, NothingIsStatedWithoutAFile) {
  const test::TempFolder folder;
  EXPECT_EQ(read_sampling_defaults(folder.path()).text(), "");
  EXPECT_EQ(
      read(R"({"bos_token_id": 0, "eos_token_id": [1, 2], "temperature": null, "transformers_version": "5.0"})").text(),
      "");
}

TEST(SamplingDefaults, TheFileIsRead) {
  const SamplingDefaults d = read(
      R"({"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0, "repetition_penalty": 1.05,
          "max_new_tokens": 2048, "stop_strings": ["A", "B"]})");
  EXPECT_EQ(d.temperature, 0.6);
  EXPECT_EQ(d.top_p, 0.95);
  EXPECT_EQ(d.top_k, 20);
  EXPECT_EQ(d.min_p, 0);
  EXPECT_EQ(d.repetition_penalty, 1.05);
  EXPECT_EQ(d.max_tokens, 2048);
  EXPECT_EQ(d.stop, (std::vector<std::string>{"A", "B"}));
  EXPECT_TRUE(d.unsupported.empty());
  EXPECT_EQ(
      d.text(),
      "temperature 0.6, top-k 20, top-p 0.95, min-p 0, repetition penalty 1.05, max tokens 2048, stop 'A', stop 'B'");
}

TEST(SamplingDefaults, WithoutSamplingItIsGreedy) {
  EXPECT_EQ(read(R"({"do_sample": false, "temperature": 0.6})").temperature, 0);
  EXPECT_EQ(read(R"({"top_k": -1})").top_k, 0) << "off, as other programs write it";
}

TEST(SamplingDefaults, WhatHadalDoesNotHaveIsNamed) {
  const SamplingDefaults d = read(
      R"({"num_beams": 4, "typical_p": 1.0, "no_repeat_ngram_size": 3, "bad_words_ids": [[5]], "guidance_scale": null})");
  EXPECT_EQ(d.unsupported, (std::vector<std::string>{"num_beams = 4", "no_repeat_ngram_size = 3", "bad_words_ids"}));
}

TEST(SamplingDefaults, SettingsThatWouldEndOrChangeTheTextAreNamed) {
  const SamplingDefaults d = read(R"({"max_length": 30, "token_healing": true, "max_time": 2.5, "constraints": [1]})");
  EXPECT_EQ(d.unsupported, (std::vector<std::string>{"constraints", "max_time", "token_healing"}));
  EXPECT_EQ(d.max_length, 30);
  EXPECT_TRUE(read(R"({"token_healing": false})").unsupported.empty());
}

TEST(SamplingDefaults, EdgesOfRangesAreTaken) {
  EXPECT_EQ(read(R"({"top_p": 0})").top_p, 0.0);
  EXPECT_EQ(read(R"({"top_p": 1, "top_k": -1})").top_k, 0);
}

TEST(SamplingDefaults, ValuesOutOfRangeAreNamed) {
  for (const char* content :
       {R"({"temperature": -1})", R"({"temperature": "hot"})", R"({"temperature": [0.5]})", R"({"temperature": 1e31})"})
    EXPECT_NE(error(content).find("generation_config.json: field 'temperature' = "), std::string::npos)
        << error(content);
  for (const char* content : {R"({"top_p": -0.1})", R"({"top_p": 1.5})"})
    EXPECT_NE(error(content).find("field 'top_p' = "), std::string::npos) << error(content);
  for (const char* content : {R"({"top_k": 2.5})", R"({"top_k": -2})", R"({"top_k": 1e300})"})
    EXPECT_NE(error(content).find("field 'top_k' = "), std::string::npos) << error(content);
  EXPECT_NE(error(R"({"repetition_penalty": 0})").find("'repetition_penalty' = 0"), std::string::npos);
  EXPECT_NE(error(R"({"do_sample": "yes"})").find("'do_sample'"), std::string::npos);
  EXPECT_NE(error(R"({"stop_strings": 3})").find("'stop_strings'"), std::string::npos);
  for (const char* content : {R"({"stop_strings": ""})", R"({"stop_strings": ["a", ""]})"})
    EXPECT_NE(error(content).find("must be texts, none empty"), std::string::npos) << error(content);
  EXPECT_NE(error(R"({"max_length": 0})").find("field 'max_length' = 0"), std::string::npos);
  EXPECT_NE(error(R"({"token_healing": 1})").find("'token_healing'"), std::string::npos);
  EXPECT_NE(error("[]").find("object"), std::string::npos);
}

}  // namespace
}  // namespace hadal::engine
