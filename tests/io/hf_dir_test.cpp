// Model folders: one file or shards with an index; what is missing is named.
#include "io/hf_dir.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "io/convert.h"
#include "support/temp_folder.h"

namespace hadal::io {
namespace {

using test::error_of;
using test::TempFolder;

Tensor row(std::vector<float> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return Tensor::of<float>(values, {n});
}

std::vector<TensorSpec> specs_of(const NamedTensors& tensors) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, t] : tensors) specs.push_back({name, t.dtype(), t.shape()});
  return specs;
}

void write(const fs::path& dir, const NamedTensors& tensors, std::uint64_t most) {
  WeightsWriter writer(dir, specs_of(tensors), most);
  for (const auto& [name, t] : tensors) writer.append(name, t);
  writer.commit();
}

std::size_t count_files(const fs::path& dir) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir), fs::directory_iterator()));
}

const NamedTensors kTensors = {
    {"a", row({1, 2})}, {"b", row({3})}, {"c", row({4, 5, 6, 7})}, {"d", row({8})}, {"e", row({9})}};

TEST(HfDir, ShardsOfAnySizeReadAsOneFile) {
  for (const std::uint64_t most :
       {std::uint64_t{1}, std::uint64_t{8}, std::uint64_t{12}, std::uint64_t{20}, std::uint64_t{36}, kOneFile}) {
    const TempFolder folder;
    write(folder.path(), kTensors, most);
    const HfDir dir(folder.path());
    ASSERT_EQ(dir.names().size(), kTensors.size());
    for (const auto& [name, t] : kTensors) {
      ASSERT_EQ(dir.info(name).shape, t.shape());
      EXPECT_EQ(std::memcmp(dir.tensor(name).raw(), t.raw(), t.bytes()), 0) << name << ", shards of " << most;
    }
    EXPECT_EQ(fs::exists(folder / "model.safetensors"), most >= 36) << most;
  }
}

TEST(HfDir, ShardsAreFilledInOrder) {
  const TempFolder folder;
  write(folder.path(), kTensors, 12);  // (a b) (c, too large) (d e), and the index
  EXPECT_EQ(count_files(folder.path()), 4u);
  EXPECT_EQ(Safetensors::open(folder / "model-00001-of-00003.safetensors").names(),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Safetensors::open(folder / "model-00002-of-00003.safetensors").names(), (std::vector<std::string>{"c"}));
  EXPECT_NE(read_file(folder / "model.safetensors.index.json").find("\"total_size\": 36"), std::string::npos);
}

TEST(HfDir, WhatIsMissingIsNamed) {
  const TempFolder folder;
  const auto error = [&] { return error_of([&] { HfDir dir(folder.path()); }); };
  const auto says = [&](std::string_view part) { return error().find(part) != std::string::npos; };
  EXPECT_NE(error_of([] { HfDir dir("/no/such/folder"); }).find("/no/such/folder: there is no such model folder"),
            std::string::npos);
  EXPECT_TRUE(says("neither model.safetensors nor model.safetensors.index.json is there")) << error();
  write(folder.path(), kTensors, 12);
  EXPECT_EQ(error(), "");
  EXPECT_NE(error_of([&] { HfDir(folder.path()).tensor("f"); }).find("tensor 'f' is missing"), std::string::npos);
  const fs::path shard = folder / "model-00002-of-00003.safetensors";
  write_safetensors(shard, {{"other", row({1})}}, {});
  EXPECT_TRUE(says("tensor 'c' is not in model-00002-of-00003.safetensors, where the index says it is")) << error();
  fs::remove(shard);
  EXPECT_TRUE(says("the shard model-00002-of-00003.safetensors of tensor 'c' is missing")) << error();
  const fs::path index = folder / "model.safetensors.index.json";
  const std::pair<const char*, const char*> cases[] = {
      {"{", "is not valid JSON"},
      {"{}", "field 'weight_map' is missing"},
      {"[1]", "is [1]: must be an object"},
      {R"({"weight_map": {"a": 1}})", "field 'weight_map.a' = 1: must be a string"},
      {R"({"weight_map": {"a": "../a.safetensors"}})", "must lie in the folder itself"},
      {R"({"weight_map": {"a": ""}})", "must lie in the folder itself"},
      {R"({"weight_map": {"a": "model-00001-of-00003.safetensors\u0000x"}})", "must lie in the folder itself"},
  };
  for (const auto& [content, part] : cases) {
    write_file_atomically(index, content);
    EXPECT_TRUE(says(part)) << content << ": " << error();
    EXPECT_TRUE(says(folder.path().string()));
  }
}

TEST(HfDir, CompanionsAreCopied) {
  const TempFolder from, to;
  for (const char* name : {"tokenizer.json", "generation_config.json", "chat_template.jinja", "README.md"}) {
    write_file_atomically(from / name, name);
  }
  copy_companions(from.path(), to.path());
  EXPECT_EQ(count_files(to.path()), 3u);
  EXPECT_EQ(read_file(to / "tokenizer.json"), "tokenizer.json");
  EXPECT_FALSE(fs::exists(to / "README.md"));
}

TEST(Convert, RoundsToNearestEven) {
  const Tensor f = row({1.0f, 1.00390625f, 1.01171875f, -2.5f, 3.4e38f});  // the second and third lie halfway
  const Tensor b = converted(f, DType::bf16, "x");
  const std::uint16_t expected[] = {0x3f80, 0x3f80, 0x3f82, 0xc020, 0x7f80};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(b.data<bf16>()[i].bits, expected[i]) << i;
  const Tensor back = converted(b, DType::f32, "x");
  EXPECT_EQ(back.data<float>()[2], 1.015625f);
  EXPECT_EQ(converted(f, DType::f32, "x").raw(), f.raw()) << "nothing to convert";
}

TEST(Convert, ReadsHalfAndDouble) {
  Tensor half = Tensor::empty({7}, DType::f16);
  const std::uint16_t bits[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x7c00, 0x0400};
  std::memcpy(half.raw(), bits, sizeof bits);
  const Tensor f = converted(half, DType::f32, "x");
  const float expected[] = {1.0f, -2.0f, 65504.0f, 0x1p-24f, -0x1.ff8p-15f, HUGE_VALF, 0x1p-14f};
  for (int i = 0; i < 7; ++i) EXPECT_EQ(f.data<float>()[i], expected[i]) << i;
  const std::vector<double> wide = {0.1, 1e300};
  const Tensor d = converted(Tensor::of<double>(wide, {2}), DType::f32, "x");
  EXPECT_EQ(d.data<float>()[0], 0.1f);
  EXPECT_EQ(d.data<float>()[1], HUGE_VALF);
}

TEST(Convert, OtherTypesAreNamed) {
  const Tensor codes = Tensor::zeros({2}, DType::i32);
  EXPECT_EQ(error_of([&] { converted(codes, DType::f32, "DIR: tensor 't'"); }),
            "DIR: tensor 't': weights of type i32 are not supported: f32, bf16, f16 and f64 are");
}

}  // namespace
}  // namespace hadal::io
