// Token shards: what is written is read, in ranges too; what is damaged, unfinished or not of one folder is refused.
#include "data/shard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "shards.h"

namespace hadal::data {
namespace {

using test::error_of;
using test::TempFolder;

// Writes a file anew with a checksum that fits, so that what is in it is looked at.
void write_signed(const fs::path& file, std::string content) {
  ShardHeader h{};
  std::memcpy(&h, content.data(), sizeof h);
  Checksum body;
  body.add(std::as_bytes(std::span(content)).subspan(sizeof h));
  h.checksum = shard_checksum(h, body.value());
  std::memcpy(content.data(), &h, sizeof h);
  std::ofstream(file, std::ios::binary) << content;
}

TEST(Shard, RangesOfADocumentAreItsTokens) {
  for (const std::int32_t vocab_size : {70000, 60000}) {  // four bytes per token, and two
    const TempFolder f;
    ShardWriter writer(f / "a", vocab_size, 1);
    std::vector<std::int32_t> first(1000), second(3);
    for (std::size_t i = 0; i < first.size(); ++i) first[i] = vocab_size - 1 - static_cast<std::int32_t>(i);
    writer.append(std::span(first).first(300), 5);
    writer.append(std::span(first).subspan(300), 6);
    writer.end_document();
    writer.add(second, 7);
    writer.finish();
    const std::vector<Shard> shards = open_shards(f / "a");
    ASSERT_EQ(shards.size(), 1u);
    EXPECT_EQ(shards[0].info().text_bytes, 18u);
    EXPECT_EQ(shards[0].document(0), first);
    EXPECT_EQ(shards[0].document(1), second);
    EXPECT_EQ(shards[0].tokens(0, 299, 2), (std::vector<std::int32_t>{first[299], first[300]}));
    EXPECT_EQ(shards[0].tokens(0, 1000, 0).size(), 0u);
    EXPECT_THROW(shards[0].tokens(0, 999, 2), std::logic_error);
  }
}

// A file ends with its last token, and leaves nothing beside it.
TEST(Shard, TokensComeLast) {
  const TempFolder f;
  ShardWriter writer(f / "a", 100, 1);
  writer.add(std::vector<std::int32_t>{7, 8, 99}, 3);
  writer.finish();
  EXPECT_TRUE(read_file(f / "a/tokens-00000.bin").ends_with(std::string("\x07\0\x08\0\x63\0", 6)));
  const auto begin = std::filesystem::directory_iterator(f / "a");
  EXPECT_EQ(std::distance(begin, {}), 1);
}

TEST(Shard, ADocumentLiesInOneShard) {
  const TempFolder f;
  write_numbers(f / "a", 0, {7, 1, 12, 3, 40, 2, 15}, 20);
  const std::vector<Shard> shards = open_shards(f / "a");
  ASSERT_EQ(shards.size(), 3u);
  EXPECT_EQ(shards[0].info().tokens, 20u);
  EXPECT_EQ(shards[1].info().tokens, 43u);
  EXPECT_EQ(shards[2].info().documents, 2u);
}

TEST(Shard, EveryByteIsChecked) {
  const TempFolder f;
  write_numbers(f / "a", 0, {5, 6});
  const auto file = f / "a/tokens-00000.bin";
  const std::string content = read_file(file);
  EXPECT_EQ(open_shards(f / "a").size(), 1u);
  for (std::size_t i = 0; i < content.size(); ++i) {
    std::string hurt = content;
    hurt[i] = static_cast<char>(hurt[i] ^ 1);
    std::ofstream(file, std::ios::binary) << hurt;
    EXPECT_NE(error_of([&] { open_shards(f / "a"); }).find("tokens-00000.bin: "), std::string::npos) << "byte " << i;
  }
}

TEST(Shard, CutFilesAreRefused) {
  const TempFolder f;
  write_numbers(f / "a", 0, {5, 6});
  const auto file = f / "a/tokens-00000.bin";
  const std::string content = read_file(file);
  for (std::size_t size = 0; size < content.size(); ++size) {
    std::ofstream(file, std::ios::binary) << content.substr(0, size);
    EXPECT_NE(error_of([&] { open_shards(f / "a"); }).find("truncated"), std::string::npos) << size << " bytes";
  }
}

// Sizes whose sum wraps round to that of the file.
TEST(Shard, SizesAreCheckedAgainstTheFile) {
  const TempFolder f;
  write_numbers(f / "a", 0, {5, 6});
  const auto file = f / "a/tokens-00000.bin";
  const std::string content = read_file(file);
  for (const std::uint64_t documents : {std::uint64_t{1} << 61, (std::uint64_t{1} << 61) + 2, ~std::uint64_t{0}}) {
    std::string hurt = content;
    std::memcpy(hurt.data() + offsetof(ShardHeader, documents), &documents, 8);
    write_signed(file, hurt);
    EXPECT_NE(error_of([&] { open_shards(f / "a"); }).find("truncated or damaged"), std::string::npos);
  }
}

TEST(Shard, OffsetsThatDoNotRiseAreRefused) {
  const TempFolder f;
  write_numbers(f / "a", 0, {5, 6});
  const auto file = f / "a/tokens-00000.bin";
  std::string content = read_file(file);
  content[sizeof(ShardHeader) + 8] = 0;  // the second document begins where the first does
  write_signed(file, content);
  EXPECT_NE(error_of([&] { open_shards(f / "a"); }).find("offsets of its documents do not rise"), std::string::npos);
}

TEST(Shard, OtherVersionsAreToBePreparedAgain) {
  const TempFolder f;
  write_numbers(f / "a", 0, {5, 6});
  const auto file = f / "a/tokens-00000.bin";
  std::string content = read_file(file);
  content[8] = 1;
  write_signed(file, content);
  const std::string error = error_of([&] { open_shards(f / "a"); });
  EXPECT_NE(error.find("version 1: this program reads version 2: prepare the data again"), std::string::npos) << error;
}

TEST(Shard, WhatIsNotFinishedIsRefused) {
  const TempFolder f;
  ShardWriter writer(f / "a", 100, 1, 10);
  for (int i = 0; i < 5; ++i) writer.add(std::vector<std::int32_t>(6), 6);
  EXPECT_NE(error_of([&] { open_shards(f / "a"); }).find("tokens-00000.bin: unfinished"), std::string::npos);
  writer.finish();
  EXPECT_EQ(open_shards(f / "a").size(), 3u);
}

TEST(Shard, AFolderHasAllOfItsShardsAndNoOthers) {
  const TempFolder f;
  for (const char* name : {"a", "b"}) write_numbers(f / name, 0, {20, 20, 20}, 20);
  fs::copy_file(f / "a/tokens-00001.bin", f / "a/tokens-00001b.bin");
  EXPECT_NE(error_of([&] { open_shards(f / "a"); }).find("tokens-00001b.bin: is shard 2 of 3, shard 3 of 3 should"),
            std::string::npos);
  fs::remove(f / "a/tokens-00001b.bin");
  fs::remove(f / "a/tokens-00001.bin");
  EXPECT_NE(error_of([&] { open_shards(f / "a"); }).find("is shard 3 of 3, shard 2 of 3 should"), std::string::npos);
  fs::remove(f / "b/tokens-00002.bin");
  EXPECT_NE(error_of([&] { open_shards(f / "b"); }).find("has 2 token shards, 3 were written"), std::string::npos);
}

TEST(Checksum, DoesNotDependOnHowBytesAreCut) {
  std::vector<std::byte> bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
  Checksum whole;
  whole.add(bytes);
  for (const std::size_t size : {1u, 3u, 7u, 8u, 13u, 64u}) {
    Checksum pieces;
    for (std::size_t at = 0; at < bytes.size(); at += size)
      pieces.add(std::span(bytes).subspan(at, std::min(size, bytes.size() - at)));
    EXPECT_EQ(pieces.value(), whole.value()) << size;
  }
  Checksum shorter;
  shorter.add(std::span(bytes).first(999));
  EXPECT_NE(shorter.value(), whole.value());
}

}  // namespace
}  // namespace hadal::data
