#include "data/shard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/words.h"
#include "data/shard_format.h"

namespace hadal::data {

namespace {

// What can be said of a header before the body is read.
void check_header(const ShardHeader& h, std::uint64_t bytes, const std::string& path) {
  if (std::memcmp(h.magic, kShardMagic, 8) != 0) fail("{}: not a token shard (hadal data prepare makes them)", path);
  if (h.version != kShardVersion) {
    fail("{}: token shard of version {}: this program reads version {}: prepare the data again (hadal data prepare)",
         path, h.version, kShardVersion);
  }
  if (h.token_bytes != 2 && h.token_bytes != 4) fail("{}: damaged: {} bytes per token", path, h.token_bytes);
  if (h.count == 0) {
    fail("{}: unfinished: hadal data prepare was stopped before it had written the whole folder: prepare it again",
         path);
  }
  if (h.documents >= bytes || h.tokens >= bytes ||
      sizeof h + (h.documents + 1) * 8 + h.tokens * h.token_bytes != bytes) {
    fail("{}: truncated or damaged: the header announces {} in {}, the file has {}", path, plural(h.tokens, "token"),
         plural(h.documents, "document"), plural(bytes, "byte"));
  }
}

// Whether it is a folder, or the validation part of one, that still has the name under which it is made.
bool is_unfinished(const std::filesystem::path& folder) {
  const std::filesystem::path whole = std::filesystem::weakly_canonical(folder);
  const std::filesystem::path named = whole.filename() == "validation" ? whole.parent_path() : whole;
  return named.extension() == ".tmp";
}

}  // namespace

Shard::Shard(const std::filesystem::path& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open {}: {}", path.string(), std::strerror(errno));
  fd_ = std::shared_ptr<const int>(new int(fd), [](const int* open_fd) {
    ::close(*open_fd);
    delete open_fd;
  });
  struct stat file {};
  if (::fstat(fd, &file) != 0) fail("cannot read {}: {}", path.string(), std::strerror(errno));
  const auto bytes = static_cast<std::uint64_t>(file.st_size);
  ShardHeader h{};
  if (bytes < sizeof h)
    fail("{}: {} are too few for a token shard: it is truncated", path.string(), plural(bytes, "byte"));
  read(0, &h, sizeof h);
  check_header(h, bytes, path.string());
  Checksum body;
  std::vector<std::byte> piece(1 << 20);
  for (std::uint64_t at = sizeof h; at < bytes; at += piece.size()) {
    const std::size_t size = std::min<std::uint64_t>(piece.size(), bytes - at);
    read(at, piece.data(), size);
    body.add(std::span(piece).first(size));
  }
  if (shard_checksum(h, body.value()) != h.checksum) fail("{}: damaged: its checksum does not fit", path.string());
  info_ = {h.tokens, h.documents, h.text_bytes, h.tokenizer_hash, h.checksum, h.token_bytes, h.number, h.count};
  std::vector<std::uint64_t> all(h.documents + 1);
  read(sizeof h + h.tokens * h.token_bytes, all.data(), all.size() * 8);
  const bool rising = std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()) == all.end();
  if (all.front() != 0 || all.back() != h.tokens || !rising)
    fail("{}: damaged: the offsets of its documents do not rise from 0 to {}", path.string(), h.tokens);
  offsets_ = std::make_shared<const std::vector<std::uint64_t>>(std::move(all));
}

void Shard::read(std::uint64_t at, void* to, std::size_t bytes) const {
  for (std::size_t done = 0; done < bytes;) {
    const ssize_t n = ::pread(*fd_, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read {}: {}", path_.string(), std::strerror(errno));
    if (n == 0) fail("{}: the file has been cut since it was opened", path_.string());
    done += static_cast<std::size_t>(n);
  }
}

std::vector<std::int32_t> Shard::tokens(std::uint64_t document, std::uint64_t from, std::uint64_t count) const {
  HADAL_ASSERT(from <= document_length(document) && count <= document_length(document) - from);
  std::vector<std::int32_t> tokens(count);
  const std::uint64_t begin = sizeof(ShardHeader) + ((*offsets_)[document] + from) * info_.token_bytes;
  if (info_.token_bytes == 4) {
    read(begin, tokens.data(), count * 4);
  } else {
    std::vector<std::uint16_t> narrow(count);
    read(begin, narrow.data(), count * 2);
    std::copy(narrow.begin(), narrow.end(), tokens.begin());
  }
  return tokens;
}

std::vector<Shard> open_shards(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) fail("{}: there is no such folder of token shards", folder.string());
  if (is_unfinished(folder)) {
    fail("{}: unfinished: hadal data prepare works in this folder, or was stopped before it gave it its name",
         folder.string());
  }
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".bin") paths.push_back(entry.path());
  }
  if (paths.empty()) fail("{}: no token shards (*.bin) in this folder: hadal data prepare makes them", folder.string());
  std::sort(paths.begin(), paths.end());
  std::vector<Shard> shards;
  for (const auto& path : paths) {
    const ShardInfo &info = shards.emplace_back(path).info(), &first = shards.front().info();
    if (info.tokenizer_hash != first.tokenizer_hash)
      fail("{}: made with another tokenizer than {}", path.string(), paths.front().string());
    if (info.count != first.count || info.number != shards.size() - 1) {
      fail(
          "{}: is shard {} of {}, shard {} of {} should be here: the folder must hold all shards of one hadal data "
          "prepare, and no others",
          path.string(), info.number + 1, info.count, shards.size(), first.count);
    }
  }
  if (shards.size() != shards.front().info().count) {
    fail("{}: has {}, {} were written: some are missing", folder.string(), plural(shards.size(), "token shard"),
         shards.front().info().count);
  }
  return shards;
}

}  // namespace hadal::data
