#include "data/spans.h"

#include <algorithm>
#include <bit>

#include "base/error.h"

namespace hadal::data {

namespace {

// The interval of a rising table that `number` lies in.
std::size_t interval_of(const std::vector<std::uint64_t>& before, std::uint64_t number) {
  return static_cast<std::size_t>(std::upper_bound(before.begin(), before.end(), number) - before.begin()) - 1;
}

}  // namespace

Spans::Spans(const std::filesystem::path& folder, std::int64_t length)
    : length_(static_cast<std::uint64_t>(length)), shards_(open_shards(folder)), documents_before_{0}, before_{0} {
  for (const Shard& s : shards_) {
    for (std::uint64_t d = 0; d < s.info().documents; ++d)
      before_.push_back(before_.back() + (s.document_length(d) + length_ - 1) / length_);
    documents_before_.push_back(documents_before_.back() + s.info().documents);
    tokens_ += s.info().tokens;
  }
}

std::uint64_t Spans::checksum() const {
  std::uint64_t all = 0;
  for (const Shard& s : shards_) all = std::rotl(all, 1) ^ s.info().checksum;
  return all;
}

Spans::Place Spans::place(std::uint64_t number) const {
  const std::size_t document = interval_of(before_, number);
  Place p;
  p.shard = interval_of(documents_before_, document);
  p.document = document - documents_before_[p.shard];
  p.whole = shards_[p.shard].document_length(p.document);
  p.begin = (number - before_[document]) * length_;
  p.end = std::min(p.whole, p.begin + length_);
  return p;
}

std::uint64_t Spans::length(std::uint64_t number) const {
  const Place p = place(number);
  return p.end - p.begin;
}

std::vector<std::int32_t> Spans::tokens_of(const Place& p, std::uint64_t begin, std::uint64_t end,
                                           std::int32_t vocab_size) const {
  std::vector<std::int32_t> ids = shards_[p.shard].tokens(p.document, begin, end - begin);
  for (const std::int32_t id : ids) {
    if (vocab_size > 0 && (id < 0 || id >= vocab_size))
      fail("{}: token {} in document {}: the vocabulary has {}: the file has changed since it was opened",
           shards_[p.shard].path().string(), id, p.document, vocab_size);
  }
  return ids;
}

Span Spans::read(std::uint64_t number, std::int32_t vocab_size, const DocumentTransform* transform,
                 std::uint64_t key) const {
  const Place p = place(number);
  Span s;
  s.begins = p.begin == 0;
  s.ends = p.end == p.whole;
  std::vector<std::int32_t> own = tokens_of(p, p.begin, p.end, vocab_size);
  const std::uint64_t before = s.begins ? p.whole - 1 : p.begin - 1;
  std::int32_t context = s.begins && s.ends ? own.back() : tokens_of(p, before, before + 1, vocab_size).front();
  Transformed t{std::move(own), 0, 0};
  if (transform != nullptr) t = transform->apply(key, std::move(t.tokens), length_);
  if (t.turned > 0) {
    s.begins = true;  // a document of its own, whatever it was cut from
    context = t.tokens[t.turned - 1];
    s.ends = s.ends || t.turned == t.tokens.size();
  }
  s.tokens.reserve(t.tokens.size() + 2);
  s.tokens.push_back(context);
  if (s.begins) s.starts.push_back({1, false});
  const auto rest = t.tokens.begin() + static_cast<std::ptrdiff_t>(t.turned);
  s.tokens.insert(s.tokens.end(), t.tokens.begin(), rest);
  if (t.turned > 0 && rest != t.tokens.end()) {
    s.starts.push_back({s.tokens.size(), true});
    s.tokens.push_back(t.before_rest);
  }
  s.tokens.insert(s.tokens.end(), rest, t.tokens.end());
  return s;
}

}  // namespace hadal::data
