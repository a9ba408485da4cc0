#include "data/shard_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace hadal::data {

namespace {

constexpr std::size_t kBuffer = 1 << 20;
constexpr std::uint64_t kMaxDocuments = 1 << 22;  // of a shard: bounds the memory of its offsets

[[noreturn]] void fail_errno(const char* what, const fs::path& path) {
  fail("cannot {} {}: {}", what, path.string(), std::strerror(errno));
}

void write_all(int fd, const void* data, std::size_t size, const fs::path& path) {
  fault_point("write", path);
  const char* p = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, p, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_errno("write", path);
    p += n;
    size -= static_cast<std::size_t>(n);
  }
}

}  // namespace

ShardWriter::ShardWriter(fs::path folder, std::int32_t vocab_size, std::uint64_t tokenizer_hash,
                         std::uint64_t max_tokens)
    : folder_(std::move(folder)), vocab_size_(vocab_size), max_tokens_(max_tokens) {
  std::memcpy(header_.magic, kShardMagic, sizeof kShardMagic);
  header_.version = kShardVersion;
  header_.token_bytes = vocab_size <= 65536 ? 2 : 4;
  header_.tokenizer_hash = tokenizer_hash;
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) fail("cannot make the folder {}: {}", folder_.string(), error.message());
  for (const auto& entry : fs::directory_iterator(folder_)) {
    if (entry.path().extension() == ".bin")
      fail("{}: the folder has token shards already: give a new one", folder_.string());
  }
}

ShardWriter::~ShardWriter() {
  if (fd_ >= 0) ::close(fd_);
}

fs::path ShardWriter::path(std::size_t number) const { return folder_ / fmt::format("tokens-{:05}.bin", number); }

fs::path ShardWriter::tokens_path() const { return path(written_.size()).string() + ".tmp"; }

void ShardWriter::open_shard() {
  const fs::path file = tokens_path();
  fd_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno("write", file);
  header_.tokens = header_.documents = header_.text_bytes = 0;
  offsets_ = {0};
}

void ShardWriter::put(const void* data, std::size_t bytes) {
  const auto* p = static_cast<const std::byte*>(data);
  buffer_.insert(buffer_.end(), p, p + bytes);
  if (buffer_.size() >= kBuffer) flush();
}

void ShardWriter::flush() {
  write_all(fd_, buffer_.data(), buffer_.size(), tokens_path());
  buffer_.clear();
}

void ShardWriter::append(std::span<const std::int32_t> tokens, std::uint64_t text_bytes) {
  if (tokens.empty() && text_bytes == 0) return;
  if (fd_ < 0) open_shard();
  for (const std::int32_t id : tokens) HADAL_ASSERT(id >= 0 && id < vocab_size_);
  if (header_.token_bytes == 2) {
    narrow_.assign(tokens.begin(), tokens.end());
    put(narrow_.data(), narrow_.size() * sizeof narrow_[0]);
  } else {
    put(tokens.data(), tokens.size_bytes());
  }
  header_.tokens += tokens.size();
  header_.text_bytes += text_bytes;
  total_tokens_ += tokens.size();
  total_text_bytes_ += text_bytes;
}

void ShardWriter::end_document() {
  if (fd_ < 0 || header_.tokens == offsets_.back()) return;
  offsets_.push_back(header_.tokens);
  ++header_.documents;
  ++total_documents_;
  if (header_.tokens >= max_tokens_ || header_.documents >= kMaxDocuments) close_shard();
}

// The shard, still without a count: it is unfinished until complete().
void ShardWriter::close_shard() {
  HADAL_ASSERT(header_.tokens == offsets_.back());
  const fs::path tokens = tokens_path(), file = path(written_.size());
  flush();
  if (::close(std::exchange(fd_, -1)) != 0) fail_errno("write", tokens);
  fd_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_errno("write", file);
  Checksum body;
  const auto write = [&](std::span<const std::byte> bytes) {
    body.add(bytes);
    write_all(fd_, bytes.data(), bytes.size(), file);
  };
  write_all(fd_, &header_, sizeof header_, file);
  write(std::as_bytes(std::span(offsets_)));
  read_pieces(tokens, kBuffer, write);
  if (::close(std::exchange(fd_, -1)) != 0) fail_errno("write", file);
  fs::remove(tokens);
  header_.checksum = body.value();
  header_.number = static_cast<std::uint32_t>(written_.size());
  written_.push_back(header_);
  header_.checksum = 0;
}

// Writes the header of a shard whose body is there: from now on it is whole.
void ShardWriter::complete(std::size_t number) {
  ShardHeader& h = written_[number];
  h.count = static_cast<std::uint32_t>(written_.size());
  h.checksum = shard_checksum(h, h.checksum);
  const fs::path file = path(number);
  fd_ = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd_ < 0) fail_errno("write", file);
  write_all(fd_, &h, sizeof h, file);
  fault_point("fsync", file);
  if (::fsync(fd_) != 0) fail_errno("sync", file);
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) fail_errno("write", file);
}

void ShardWriter::finish() {
  if (fd_ >= 0) close_shard();
  for (std::size_t i = 0; i < written_.size(); ++i) complete(i);
  fsync_folder(folder_);
}

}  // namespace hadal::data
