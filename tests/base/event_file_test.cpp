// Event files: the checksum's published vectors, the bytes of a record, and no step twice after a resumption.
#include "base/report/event_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/file.h"
#include "support/temp_folder.h"

namespace hadal::report {
namespace {

std::vector<std::int64_t> steps_in(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  std::size_t used = 0;
  std::vector<std::int64_t> steps;
  for (const std::string_view payload : decode_records(bytes, used)) steps.push_back(step_of_event(payload));
  EXPECT_EQ(used, bytes.size()) << "every byte belongs to a whole record";
  return steps;
}

Event event_at(std::int64_t step) { return {1.5, step, {{"loss", 0.25}}, {}}; }

// RFC 3720, appendix B.4.
TEST(Crc32c, PublishedVectors) {
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(""), 0u);
}

// Written out by hand from the formats: fields of Event, Summary and Value, little-endian numbers.
TEST(EventFile, BytesOfAnEvent) {
  const unsigned char want[] = {0x09, 0,    0,    0,    0,    0,    0,   0xF8, 0x3F,       // wall_time 1.5
                                0x10, 0xAC, 0x02,                                          // step 300
                                0x2A, 0x0D, 0x0A, 0x0B, 0x0A, 0x04, 'l', 'o',  's',  's',  // tag
                                0x15, 0,    0,    0x80, 0x3E};                             // 0.25
  EXPECT_EQ(encode_event(event_at(300)), std::string(reinterpret_cast<const char*>(want), sizeof want));
}

TEST(EventFile, HistogramHoldsTheCounts) {
  const std::string e = encode_event({0, 1, {}, {{"loads", {5, 0, 7}}}});
  std::string buckets;
  for (const double n : {5.0, 0.0, 7.0}) buckets.append(reinterpret_cast<const char*>(&n), sizeof n);
  EXPECT_NE(e.find(std::string("\x3A\x18", 2) + buckets), std::string::npos) << "field 7, 24 bytes of packed doubles";
  std::string limits;
  for (const double l : {0.5, 1.5, 2.5}) limits.append(reinterpret_cast<const char*>(&l), sizeof l);
  EXPECT_NE(e.find(std::string("\x32\x18", 2) + limits), std::string::npos) << "field 6";
}

TEST(EventFile, RecordIsFramedAndDamageIsSeen) {
  std::string bytes = encode_record("abc") + encode_record("");
  ASSERT_EQ(bytes.size(), 16u + 3 + 16);
  std::uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  EXPECT_EQ(size, 3u);
  std::size_t used = 0;
  EXPECT_EQ(decode_records(bytes, used), (std::vector<std::string_view>{"abc", ""}));
  EXPECT_EQ(used, bytes.size());
  for (std::size_t i = 0; i < 19; ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_TRUE(decode_records(damaged, used).empty()) << "byte " << i;
    EXPECT_EQ(used, 0u);
  }
}

TEST(EventFile, ResumptionLeavesNoStepTwice) {
  const test::TempFolder folder;
  const auto path = folder / "tensorboard/events.out.tfevents.x";
  {
    EventFile file(path, 0);
    for (std::int64_t s = 1; s <= 5; ++s) file.append(event_at(s));
  }
  EXPECT_EQ(steps_in(path), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}));
  std::ofstream(path, std::ios::app | std::ios::binary) << "half a record";
  {
    EventFile file(path, 3);  // the checkpoint was of step 3
    file.append(event_at(4));
  }
  // The fourth entry is the session's start, which makes readers drop steps from 4 on.
  EXPECT_EQ(steps_in(path), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 4}));
  const std::string bytes = read_file(path);
  std::size_t used = 0;
  const auto payloads = decode_records(bytes, used);
  EXPECT_NE(payloads[0].find("brain.Event:2"), std::string_view::npos);
  EXPECT_TRUE(payloads[4].ends_with(std::string_view("\x3A\x02\x08\x01", 4))) << "session_log { status: START }";
  EXPECT_EQ(payloads[5], encode_event(event_at(4)));
  { const EventFile file(path, 0); }
  EXPECT_EQ(steps_in(path), (std::vector<std::int64_t>{0, 1})) << "a run that starts anew keeps nothing";
}

TEST(EventFile, ErrorNamesThePath) {
  const test::TempFolder folder;
  std::filesystem::create_directories(folder / "x");
  EXPECT_NE(test::error_of([&] { EventFile(folder / "x", 0); }).find("/x"), std::string::npos);
}

}  // namespace
}  // namespace hadal::report
