#include "data/shard.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/error.h"
#include "base/file.h"

namespace hadal::data {

namespace {

constexpr char kMagic[8] = {'H', 'A', 'D', 'A', 'L', 'T', 'O', 'K'};

struct Header {
  char magic[8];
  std::uint32_t version, token_bytes;
  std::uint64_t tokens, documents, text_bytes, tokenizer_hash, checksum;
};
static_assert(sizeof(Header) == 56);

std::uint64_t body_checksum(std::span<const std::byte> offsets, std::span<const std::byte> tokens) {
  return hash_bytes(tokens, hash_bytes(offsets));
}

}  // namespace

std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed) {
  std::uint64_t h = 0x9e3779b97f4a7c15ull ^ seed ^ bytes.size();
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
    h = std::rotl((h ^ word) * 0xff51afd7ed558ccdull, 31);
  }
  return h ^ (h >> 33);
}

Shard::Shard(const std::filesystem::path& path) : path_(path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open {}: {}", path.string(), std::strerror(errno));
  fd_ = std::shared_ptr<const int>(new int(fd), [](const int* open_fd) {
    ::close(*open_fd);
    delete open_fd;
  });
  const MappedFile file(path);
  const auto bytes = file.bytes();
  Header h{};
  if (bytes.size() < sizeof h)
    fail("{}: {} bytes are too few for a token shard: it is truncated", path.string(), bytes.size());
  std::memcpy(&h, bytes.data(), sizeof h);
  if (std::memcmp(h.magic, kMagic, 8) != 0)
    fail("{}: not a token shard (hadal data prepare makes them)", path.string());
  if (h.version != 1) fail("{}: token shard of version {}: this program reads version 1", path.string(), h.version);
  if (h.token_bytes != 2 && h.token_bytes != 4) fail("{}: damaged: {} bytes a token", path.string(), h.token_bytes);
  const std::uint64_t most = bytes.size();
  if (h.documents >= most || h.tokens >= most || sizeof h + (h.documents + 1) * 8 + h.tokens * h.token_bytes != most) {
    fail("{}: truncated or damaged: the header announces {} tokens in {} documents, the file has {} bytes",
         path.string(), h.tokens, h.documents, most);
  }
  const auto offsets = bytes.subspan(sizeof h, (h.documents + 1) * 8),
             tokens = bytes.subspan(sizeof h + (h.documents + 1) * 8);
  if (body_checksum(offsets, tokens) != h.checksum) fail("{}: damaged: its checksum does not fit", path.string());
  info_ = {h.tokens, h.documents, h.text_bytes, h.tokenizer_hash, h.checksum, h.token_bytes};
  std::vector<std::uint64_t> all(h.documents + 1);
  std::memcpy(all.data(), offsets.data(), offsets.size());
  const bool rising = std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()) == all.end();
  if (all.front() != 0 || all.back() != h.tokens || !rising)
    fail("{}: damaged: the offsets of its documents do not rise from 0 to {}", path.string(), h.tokens);
  offsets_ = std::make_shared<const std::vector<std::uint64_t>>(std::move(all));
}

std::vector<std::int32_t> Shard::document(std::uint64_t document) const {
  std::vector<std::int32_t> tokens(document_length(document));
  std::vector<std::byte> bytes(tokens.size() * info_.token_bytes);
  const std::uint64_t begin =
      sizeof(Header) + offsets_->size() * 8 + (*offsets_)[document] * std::uint64_t{info_.token_bytes};
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::pread(*fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(begin + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot read {}: {}", path_.string(), std::strerror(errno));
    if (n == 0) fail("{}: the file has been cut since it was opened", path_.string());
    done += static_cast<std::size_t>(n);
  }
  if (info_.token_bytes == 4) {
    std::memcpy(tokens.data(), bytes.data(), bytes.size());
  } else {
    std::vector<std::uint16_t> narrow(tokens.size());
    std::memcpy(narrow.data(), bytes.data(), bytes.size());
    std::copy(narrow.begin(), narrow.end(), tokens.begin());
  }
  return tokens;
}

ShardWriter::ShardWriter(std::filesystem::path folder, std::int32_t vocab_size, std::uint64_t tokenizer_hash,
                         std::uint64_t most_tokens)
    : folder_(std::move(folder)), most_tokens_(most_tokens) {
  info_.token_bytes = vocab_size <= 65536 ? 2 : 4;
  info_.tokenizer_hash = tokenizer_hash;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) fail("cannot make the folder {}: {}", folder_.string(), error.message());
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().extension() == ".bin")
      fail("{}: the folder has token shards already: give a new one", folder_.string());
  }
}

void ShardWriter::add(std::span<const std::int32_t> document, std::uint64_t text_bytes) {
  if (document.empty()) return;
  if (!tokens_.empty() && tokens_.size() + document.size() > most_tokens_) flush();
  tokens_.insert(tokens_.end(), document.begin(), document.end());
  offsets_.push_back(tokens_.size());
  info_.text_bytes += text_bytes;
  total_tokens_ += document.size();
  ++total_documents_;
}

void ShardWriter::flush() {
  std::vector<std::uint16_t> narrow;
  std::span<const std::byte> tokens = std::as_bytes(std::span(tokens_));
  if (info_.token_bytes == 2) {
    narrow.assign(tokens_.begin(), tokens_.end());
    tokens = std::as_bytes(std::span(narrow));
  }
  const auto offsets = std::as_bytes(std::span(offsets_));
  Header h{};
  std::memcpy(h.magic, kMagic, 8);
  h.version = 1;
  h.token_bytes = info_.token_bytes;
  h.tokens = tokens_.size();
  h.documents = offsets_.size() - 1;
  h.text_bytes = info_.text_bytes;
  h.tokenizer_hash = info_.tokenizer_hash;
  h.checksum = body_checksum(offsets, tokens);
  AtomicFile file(folder_ / fmt::format("tokens-{:05}.bin", number_++));
  file.append(&h, sizeof h);
  file.append(offsets.data(), offsets.size());
  file.append(tokens.data(), tokens.size());
  file.commit();
  tokens_.clear();
  offsets_ = {0};
  info_.text_bytes = 0;
}

void ShardWriter::finish() {
  if (!tokens_.empty()) flush();
}

std::vector<Shard> open_shards(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder)) fail("{}: there is no such folder of token shards", folder.string());
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".bin") paths.push_back(entry.path());
  }
  if (paths.empty()) fail("{}: no token shards (*.bin) in this folder: hadal data prepare makes them", folder.string());
  std::sort(paths.begin(), paths.end());
  std::vector<Shard> shards;
  for (const auto& path : paths) {
    shards.emplace_back(path);
    if (shards.back().info().tokenizer_hash != shards.front().info().tokenizer_hash) {
      fail("{}: made with another tokenizer than {}", path.string(), paths.front().string());
    }
  }
  return shards;
}

}  // namespace hadal::data
