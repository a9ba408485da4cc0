// The bytes of a file as a stream, unpacked if it is gzip or zstd. Memory is a buffer, and zstd's window of at most
// 128 MiB.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

namespace hadal::data {

enum class Packing { none, gzip, zstd, detect };  // detect: by the first bytes

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Fills `to` with up to `size` bytes; fewer only at the end of the stream. Throws Error naming the file for one that
  // cannot be read, is damaged or ends too early: what came before has been given out by earlier calls.
  virtual std::size_t read(char* to, std::size_t size) = 0;
  // How much of the file has been read, before unpacking.
  virtual std::uint64_t position() const = 0;
};

// "-" is standard input.
std::unique_ptr<ByteStream> open_stream(const std::filesystem::path& path, Packing packing);

}  // namespace hadal::data
