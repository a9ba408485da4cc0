#include "data/byte_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hadal::data {

namespace {

constexpr std::size_t kBuffer = 1 << 17;

class FileStream final : public ByteStream {
 public:
  explicit FileStream(const std::filesystem::path& path) : name_(path.string()) {
    if (name_ == "-") {
      fd_ = STDIN_FILENO;
      name_ = "standard input";
      return;
    }
    fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) fail("cannot open {}: {}", name_, std::strerror(errno));
    (void)::posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);  // only a hint
  }
  FileStream(const FileStream&) = delete;
  FileStream& operator=(const FileStream&) = delete;
  ~FileStream() override {
    if (fd_ > STDIN_FILENO) ::close(fd_);
  }

  std::size_t read(char* to, std::size_t size) override {
    std::size_t filled = std::min(size, held_.size());
    std::memcpy(to, held_.data(), filled);
    held_.erase(0, filled);
    filled += fill(to + filled, size - filled);
    position_ += filled;
    return filled;
  }
  std::uint64_t position() const override { return position_; }
  const std::string& name() const { return name_; }

  // The first bytes, which read() still gives out.
  const std::string& peek(std::size_t size) {
    const std::size_t had = held_.size();
    held_.resize(size);
    held_.resize(had + fill(held_.data() + had, size - had));
    return held_;
  }

 private:
  std::size_t fill(char* to, std::size_t size) {
    std::size_t filled = 0;
    while (filled < size) {
      const ssize_t n = ::read(fd_, to + filled, size - filled);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("cannot read {}: {}", name_, std::strerror(errno));
      if (n == 0) break;
      filled += static_cast<std::size_t>(n);
    }
    return filled;
  }

  std::string name_, held_;
  std::uint64_t position_ = 0;
  int fd_ = -1;
};

// What both packed kinds share: a buffer of packed bytes.
class PackedStream : public ByteStream {
 public:
  explicit PackedStream(std::unique_ptr<FileStream> file) : file_(std::move(file)), buffer_(kBuffer) {}
  std::uint64_t position() const override { return file_->position(); }

 protected:
  // Whether there are packed bytes after a possible refill.
  bool more() {
    if (begin_ < end_) return true;
    begin_ = 0;
    end_ = file_->read(buffer_.data(), buffer_.size());
    return end_ > 0;
  }
  const std::string& name() const { return file_->name(); }

  // read() by way of unpack(); damage found behind bytes that are good is thrown by the next call.
  std::size_t read(char* to, std::size_t size) final {
    if (!damage_.empty()) fail("{}", damage_);
    const std::size_t filled = unpack(to, size);
    if (!damage_.empty() && filled == 0) fail("{}", damage_);
    return filled;
  }
  // As read(), but says in damage_ what is wrong.
  virtual std::size_t unpack(char* to, std::size_t size) = 0;

  std::unique_ptr<FileStream> file_;
  std::string damage_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
};

class ZstdStream final : public PackedStream {
 public:
  explicit ZstdStream(std::unique_ptr<FileStream> file)
      : PackedStream(std::move(file)), context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {
    if (context_ == nullptr) fail("{}: no memory for zstd", name());
  }

  std::size_t unpack(char* to, std::size_t size) override {
    ZSTD_outBuffer out{to, size, 0};
    while (out.pos < size && damage_.empty()) {
      if (!inside_ && !more()) break;
      const bool at_end = !more();
      ZSTD_inBuffer in{buffer_.data() + begin_, end_ - begin_, 0};
      const std::size_t before = out.pos, left = ZSTD_decompressStream(context_.get(), &out, &in);
      begin_ += in.pos;
      if (ZSTD_isError(left) != 0U) {
        damage_ = fmt::format("{}: not readable as zstd, from byte {} on: {}", name(), position() - (end_ - begin_),
                              ZSTD_getErrorName(left));
        break;
      }
      inside_ = left != 0;  // a frame has begun and not ended
      if (at_end && inside_ && out.pos == before)
        damage_ = fmt::format("{}: truncated: its last zstd frame has no end", name());
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context_;
  bool inside_ = false;
};

class GzipStream final : public PackedStream {
 public:
  explicit GzipStream(std::unique_ptr<FileStream> file) : PackedStream(std::move(file)) {
    if (::inflateInit2(&state_, 15 + 16) != Z_OK) fail("{}: no memory for gzip", name());
  }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
  ~GzipStream() override { ::inflateEnd(&state_); }

  std::size_t unpack(char* to, std::size_t size) override {
    std::size_t filled = 0;
    while (filled < size && damage_.empty()) {
      if (!more()) {
        if (inside_) damage_ = fmt::format("{}: truncated: its last gzip member has no end", name());
        break;
      }
      if (!inside_ && members_ > 0 && buffer_[begin_] == 0) {  // tapes and blocks are filled up with zeros
        ++begin_;
        continue;
      }
      inside_ = true;
      state_.next_in = reinterpret_cast<Bytef*>(buffer_.data() + begin_);
      state_.avail_in = static_cast<uInt>(end_ - begin_);
      state_.next_out = reinterpret_cast<Bytef*>(to + filled);
      state_.avail_out = static_cast<uInt>(std::min<std::size_t>(size - filled, 1u << 30));
      const std::size_t room = state_.avail_out;
      const int code = ::inflate(&state_, Z_NO_FLUSH);
      filled += room - state_.avail_out;
      begin_ = end_ - state_.avail_in;
      if (code == Z_STREAM_END) {
        inside_ = false;
        ++members_;
        ::inflateReset(&state_);
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        damage_ = fmt::format("{}: not readable as gzip, from byte {} on: {}", name(), position() - state_.avail_in,
                              state_.msg != nullptr ? state_.msg : "damaged");
      }
    }
    return filled;
  }

 private:
  z_stream state_{};
  bool inside_ = false;  // a member has begun and not ended
  std::size_t members_ = 0;
};

Packing packing_of(std::string_view first) {
  if (first.starts_with("\x1f\x8b")) return Packing::gzip;
  if (first.starts_with("\x28\xb5\x2f\xfd")) return Packing::zstd;
  return Packing::none;
}

}  // namespace

std::unique_ptr<ByteStream> open_stream(const std::filesystem::path& path, Packing packing) {
  auto file = std::make_unique<FileStream>(path);
  if (packing == Packing::detect) packing = packing_of(file->peek(4));
  if (packing == Packing::zstd) return std::make_unique<ZstdStream>(std::move(file));
  if (packing == Packing::gzip) return std::make_unique<GzipStream>(std::move(file));
  return file;
}

}  // namespace hadal::data
