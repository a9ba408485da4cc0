// safetensors: what is written is read back to the bit; every kind of damage gives one line that names file and tensor.
#include "io/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>

#include "support/temp_folder.h"

namespace hadal::io {
namespace {

using test::error_of;
using test::TempFolder;

Tensor numbered(Shape shape, DType dtype, int seed) {
  Tensor t = Tensor::empty(shape, dtype);
  std::mt19937 random(static_cast<unsigned>(seed));
  for (std::size_t i = 0; i < t.bytes(); ++i)
    static_cast<std::uint8_t*>(t.raw())[i] = static_cast<std::uint8_t>(random());
  return t;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

std::string write(const TempFolder& folder, const std::string& header, const std::string& data) {
  const std::string path = (folder / "x.safetensors").string();
  const std::uint64_t length = header.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), 8);
  file << header << data;
  return path;
}

TEST(Safetensors, EveryTypeAndShapeComesBack) {
  const TempFolder folder;
  NamedTensors tensors;
  int seed = 0;
  for (const DType dtype : {DType::u8, DType::f32, DType::bf16, DType::f16, DType::f64, DType::i32, DType::i64,
                            DType::f8_e4m3, DType::f8_e5m2}) {
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{7}, Shape{3, 5}, Shape{2, 1, 3}}) {
      tensors.emplace_back(fmt::format("{}.{}", name_of(dtype), to_string(shape)), numbered(shape, dtype, ++seed));
    }
  }
  const Metadata metadata = {{"format", "pt"}, {"note", "ä \"quoted\"\n"}};
  write_safetensors(folder / "a", tensors, metadata);
  const Safetensors file = Safetensors::open(folder / "a");
  EXPECT_EQ(file.metadata(), metadata);
  ASSERT_EQ(file.names().size(), tensors.size());
  for (const auto& [name, t] : tensors) {
    EXPECT_TRUE(same(file.tensor(name), t)) << name;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(file.tensor(name).raw()) % size_of(t.dtype()), 0u) << name;
  }
}

TEST(Safetensors, EmptyTensorsAndEmptyFiles) {
  const TempFolder folder;
  write_safetensors(folder / "a", {{"none", Tensor::empty({0, 4}, DType::f32)}, {"some", numbered({2}, DType::f32, 1)}},
                    {});
  const Safetensors file = Safetensors::open(folder / "a");
  EXPECT_EQ(file.info("none").shape, (Shape{0, 4}));
  EXPECT_EQ(file.tensor("none").numel(), 0);
  write_safetensors(folder / "b", {}, {});
  EXPECT_TRUE(Safetensors::open(folder / "b").names().empty());
}

TEST(Safetensors, TheSameTensorsGiveTheSameFile) {
  const TempFolder folder;
  const NamedTensors tensors = {{"z", numbered({3}, DType::f32, 1)}, {"a", numbered({5}, DType::bf16, 2)}};
  write_safetensors(folder / "a", tensors, {{"k", "v"}});
  write_safetensors(folder / "b", tensors, {{"k", "v"}});
  EXPECT_EQ(read_file(folder / "a"), read_file(folder / "b"));
  EXPECT_LT(read_file(folder / "a").find("\"z\""), read_file(folder / "a").find("\"a\"")) << "the order given is kept";
}

TEST(Safetensors, TensorsOutliveTheReaderAndAreNotCopied) {
  const TempFolder folder;
  const Tensor t = numbered({1000}, DType::f32, 3);
  write_safetensors(folder / "a", {{"t", t}}, {});
  Tensor read, again;
  {
    const Safetensors file = Safetensors::open(folder / "a");
    read = file.tensor("t");
    again = file.tensor("t");
  }
  EXPECT_EQ(read.raw(), again.raw());
  EXPECT_TRUE(same(read, t));
}

TEST(Safetensors, UnalignedDataIsCopied) {
  const TempFolder folder;
  const Tensor t = numbered({4}, DType::f32, 4);
  for (int pad = 0; pad < 4; ++pad) {  // other writers align nothing
    const std::string header =
        R"({"t":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})" + std::string(static_cast<std::size_t>(pad), ' ');
    const std::string path = write(folder, header, std::string(static_cast<const char*>(t.raw()), 16));
    EXPECT_TRUE(same(Safetensors::open(path).tensor("t"), t)) << pad;
  }
}

struct Damage {
  const char* header;
  const char* says;
};

TEST(Safetensors, DamagedHeadersAreNamed) {
  const Damage cases[] = {
      {R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})", "not valid JSON"},
      {R"([])", "must be a JSON object"},
      {R"({"t":1})", "tensor 't': must have dtype, shape and two data_offsets"},
      {R"({"t":{"dtype":"F32","shape":[2]}})", "tensor 't': must have dtype, shape and two data_offsets"},
      {R"({"t":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", "tensor 't' has the dtype 'F31': known are F32"},
      {R"({"t":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
       "tensor 't': the sizes of its shape must be non-negative integers"},
      {R"({"t":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})",
       "tensor 't': the sizes of its shape must be non-negative integers"},
      {R"({"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
       "tensor 't': its shape is too large"},
      {R"({"t":{"dtype":"F32","shape":[0,18446744073709551615],"data_offsets":[0,0]}})",
       "tensor 't': its shape is too large"},
      {R"({"t":{"dtype":"F32","shape":[1,1,1,1,1,1,2],"data_offsets":[0,8]}})",
       "tensor 't': its shape has 7 dimensions: there may be 6"},
      {R"({"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
       "tensor 't': shape (3) of f32 needs 12 bytes, data_offsets give 8"},
      {R"({"t":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})",
       "tensor 't': data_offsets [0, 16) lie outside of the file's 8 data bytes: the file is truncated"},
      {R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", "tensor 't': data_offsets [8, 0) lie outside"},
      {R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,0]}})", "tensor 't': data_offsets"},
      {R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       "the key 't' is there twice in one object"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "tensors 'a' and 'b' overlap"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "bytes 0 to 4 before tensor 't' belong to none"},
      {R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "4 bytes after the last tensor belong to none"},
      {R"({"__metadata__":{"a":1},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       "metadata 'a' must be a string"},
      {R"({"__metadata__":["a"],"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
       "__metadata__ must be a JSON object"},
  };
  const TempFolder folder;
  for (const Damage& d : cases) {
    const std::string path = write(folder, d.header, "12345678"), error = error_of([&] { Safetensors::open(path); });
    EXPECT_NE(error.find(d.says), std::string::npos) << d.header << "\n  gave: " << error;
    EXPECT_NE(error.find(path), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(Safetensors, LengthsThatDoNotFitAreNamed) {
  const TempFolder folder;
  const std::string path = (folder / "a").string();
  for (const std::string& content :
       {std::string(), std::string("1234567"), std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}"),
        std::string("\x03\0\0\0\0\0\0\0{}", 10)}) {
    write_file_atomically(path, content);
    EXPECT_NE(error_of([&] { Safetensors::open(path); }).find(path), std::string::npos) << content.size();
  }
  EXPECT_NE(error_of([&] { Safetensors::open(folder / "missing"); }).find("missing"), std::string::npos);
}

// Any byte of the header changed, or the file cut anywhere: an Error or a readable file, never anything else.
TEST(Safetensors, FuzzedFilesNeverCrash) {
  const TempFolder folder;
  write_safetensors(folder / "a", {{"x", numbered({3, 2}, DType::f32, 1)}, {"y", numbered({5}, DType::bf16, 2)}},
                    {{"k", "v"}});
  const std::string good = read_file(folder / "a");
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 900; ++round) {
    std::string bad = good;
    if (round % 3 == 0) bad.resize(random() % good.size());
    const std::size_t changes = round % 3 == 0 ? 0 : 1 + random() % 4;
    for (std::size_t i = 0; i < changes; ++i) bad[random() % 200] = static_cast<char>(random());
    std::ofstream(folder / "b", std::ios::binary) << bad;
    refused += !error_of([&] {
                  const Safetensors file = Safetensors::open(folder / "b");
                  for (const std::string& name : file.names()) static_cast<void>(file.tensor(name).clone());
                }).empty();
  }
  EXPECT_GT(refused, 600);
}

TEST(SafetensorsWriter, RefusesWhatWasNotAnnounced) {
  const TempFolder folder;
  const Tensor t = numbered({2}, DType::f32, 1);
  EXPECT_NE(error_of([&] {
              write_safetensors(folder / "a", {{"t", t}, {"t", t}}, {});
            }).find("tensor 't' would be written twice"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "a"));
  {
    SafetensorsWriter writer(folder / "b", {{"t", DType::f32, {2}}, {"u", DType::f32, {2}}}, {});
    EXPECT_THROW(writer.append("u", t), std::logic_error);
    EXPECT_THROW(writer.commit(), std::logic_error);
  }
  EXPECT_TRUE(fs::is_empty(folder.path())) << "an unfinished file is not left behind";
  EXPECT_NE(error_of([&] { write_safetensors(folder / "no" / "a", {{"t", t}}, {}); }).find("no/a"), std::string::npos);
}

}  // namespace
}  // namespace hadal::io
