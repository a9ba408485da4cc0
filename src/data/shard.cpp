#include "data/shard.h"

#include <algorithm>
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

template <class Id>
std::uint32_t largest(std::span<const std::byte> bytes) {
  std::uint32_t most = 0;
  for (std::size_t i = 0; i + sizeof(Id) <= bytes.size(); i += sizeof(Id)) {
    Id id = 0;
    std::memcpy(&id, bytes.data() + i, sizeof id);
    most = std::max<std::uint32_t>(most, id);
  }
  return most;
}

// All of the file, once, in pieces.
ShardInfo inspect(const KeptFile& file) {
  const std::string path = file.path().string();
  ShardHeader h{};
  if (file.size() < sizeof h)
    fail("{}: {} are too few for a token shard: it is truncated", path, plural(file.size(), "byte"));
  file.read(0, &h, sizeof h);
  check_header(h, file.size(), path);
  ShardInfo info{h.tokens, h.documents, h.text_bytes, h.tokenizer_hash, h.checksum, h.token_bytes, h.number, h.count};
  Checksum body;
  std::vector<std::byte> buffer(1 << 20);
  const std::uint64_t tokens_begin = sizeof h + (h.documents + 1) * 8;
  for (std::uint64_t at = sizeof h; at < file.size(); at += buffer.size()) {
    const auto piece = std::span(buffer).first(std::min<std::uint64_t>(buffer.size(), file.size() - at));
    file.read(at, piece.data(), piece.size());
    body.add(piece);
    const auto tokens = piece.subspan(std::min<std::uint64_t>(piece.size(), tokens_begin - std::min(at, tokens_begin)));
    const std::uint32_t most = h.token_bytes == 2 ? largest<std::uint16_t>(tokens) : largest<std::uint32_t>(tokens);
    info.max_token = std::max(info.max_token, most);
  }
  if (shard_checksum(h, body.value()) != h.checksum) fail("{}: damaged: its checksum does not fit", path);
  return info;
}

}  // namespace

Shard::Shard(const std::filesystem::path& path) : file_(std::make_shared<KeptFile>(path)), info_(inspect(*file_)) {
  std::vector<std::uint64_t> all(info_.documents + 1);
  file_->read(sizeof(ShardHeader), all.data(), all.size() * 8);
  const bool rising = std::adjacent_find(all.begin(), all.end(), std::greater_equal<>()) == all.end();
  if (all.front() != 0 || all.back() != info_.tokens || !rising)
    fail("{}: damaged: the offsets of its documents do not rise from 0 to {}", path.string(), info_.tokens);
  offsets_ = std::make_shared<const std::vector<std::uint64_t>>(std::move(all));
  check_unchanged();
}

void Shard::check_unchanged() const {
  const KeptFile::Change change = file_->change();
  if (change == KeptFile::Change::none) return;
  // Removed, say: the content must still be the same, and is looked at once.
  const bool written = change == KeptFile::Change::written || inspect(*file_).checksum != info_.checksum;
  if (written) fail("{}: the file has been written to since it was opened", path().string());
  file_->accept();
}

void Shard::check_ids(std::int32_t vocab_size) const {
  if (info_.max_token >= static_cast<std::uint32_t>(vocab_size)) {
    fail("{}: has the token {}: the tokenizer has {}, all must be below", path().string(), info_.max_token, vocab_size);
  }
}

std::vector<std::int32_t> Shard::tokens(std::uint64_t document, std::uint64_t from, std::uint64_t count) const {
  HADAL_ASSERT(from <= document_length(document) && count <= document_length(document) - from);
  std::vector<std::int32_t> tokens(count);
  const std::uint64_t begin =
      sizeof(ShardHeader) + offsets_->size() * 8 + ((*offsets_)[document] + from) * info_.token_bytes;
  if (info_.token_bytes == 4) {
    file_->read(begin, tokens.data(), count * 4);
  } else {
    std::vector<std::uint16_t> narrow(count);
    file_->read(begin, narrow.data(), count * 2);
    std::copy(narrow.begin(), narrow.end(), tokens.begin());
  }
  check_unchanged();
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
