#include "data/loader.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"

namespace hadal::data {

namespace {

// Streams of the seed; a source's number is added.
constexpr std::uint64_t kRows = 1, kOrder = 2, kDocuments = std::uint64_t{1} << 62;

}  // namespace

std::uint64_t Loader::Source::tokens() const {
  std::uint64_t n = 0;
  for (const Shard& s : shards) n += s.info().tokens;
  return n;
}

std::uint64_t Loader::Source::checksum() const {
  std::uint64_t all = 0;
  for (const Shard& s : shards) all = std::rotl(all, 1) ^ s.info().checksum;
  return all;
}

Loader::Loader(const LoaderOptions& options) : options_(options) {
  if (options.folders.empty()) fail("no training data: data.train must name at least one folder of token shards");
  if (options.sequence_length < 1) fail("sequence length = {}: must be 1 or more", options.sequence_length);
  for (std::size_t i = 0; i < options.folders.size(); ++i) {
    Source s;
    s.shards = open_shards(options.folders[i]);
    s.weight = options.weights.empty() ? static_cast<double>(s.tokens()) : options.weights[i];
    s.epochs = options.epochs.empty() ? 0 : options.epochs[i];
    if (s.weight < 0) fail("data.weights: {} for {}: must be 0 or more", s.weight, options.folders[i].string());
    if (!sources_.empty() && s.shards[0].info().tokenizer_hash != sources_[0].shards[0].info().tokenizer_hash) {
      fail("{}: made with another tokenizer than {}", options.folders[i].string(), options.folders[0].string());
    }
    sources_.push_back(std::move(s));
  }
}

std::uint64_t Loader::tokens() const {
  std::uint64_t n = 0;
  for (const Source& s : sources_) n += s.tokens();
  return n;
}

double Loader::most_tokens() const {
  double n = 0;
  for (const Source& s : sources_) {
    if (s.weight == 0) continue;
    if (s.epochs == 0) return std::numeric_limits<double>::infinity();
    n += s.epochs * static_cast<double>(s.tokens());
  }
  return n;
}

// Whether a source may begin another row: a row that its last epoch ends in is filled from the next one.
bool Loader::open(std::size_t number) {
  Source& s = sources_[number];
  if (s.epochs == 0 || static_cast<double>(s.cursor.epoch) + 1 <= s.epochs) return true;
  if (static_cast<double>(s.cursor.epoch) >= s.epochs) return false;
  arrange(number, s.cursor.epoch);
  const Document& d = s.order[s.cursor.place];
  const std::uint64_t read =
      s.before[s.cursor.place] + std::min(s.cursor.offset, s.shards[d.shard].document_length(d.document));
  return static_cast<double>(s.cursor.epoch) + static_cast<double>(read) / static_cast<double>(s.tokens()) < s.epochs;
}

// Keyed by the number of the row, so that the choice does not depend on how often the run was resumed.
std::size_t Loader::choose() {
  std::vector<double> weights;
  double total = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) total += weights.emplace_back(open(i) ? sources_[i].weight : 0);
  if (total <= 0)
    fail("the training data is used up after {} rows: allow more epochs (data.epochs) or train on fewer tokens", row_);
  double u = Rng(options_.seed, kRows, row_).uniform() * total;
  std::size_t last = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (weights[i] == 0) continue;
    last = i;
    u -= weights[i];
    if (u < 0) break;
  }
  return last;
}

void Loader::arrange(std::size_t number, std::uint64_t epoch) {
  Source& s = sources_[number];
  if (s.ordered == epoch) return;
  s.order.clear();
  for (std::uint32_t shard = 0; shard < s.shards.size(); ++shard) {
    for (std::uint32_t d = 0; d < s.shards[shard].info().documents; ++d) s.order.push_back({shard, d});
  }
  Rng random(options_.seed, kOrder + number, epoch);
  for (std::size_t i = s.order.size(); i > 1; --i) std::swap(s.order[i - 1], s.order[random.below(i)]);
  s.before.clear();
  std::uint64_t sum = 0;
  for (const Document& d : s.order) {
    s.before.push_back(sum);
    sum += s.shards[d.shard].document_length(d.document);
  }
  s.ordered = epoch;
}

// What is done to a document is keyed by (seed, source, epoch, document): a resumed run does the same, another epoch
// something else.
const std::vector<std::int32_t>& Loader::document(std::size_t number, const Cursor& at) {
  Source& s = sources_[number];
  arrange(number, at.epoch);
  if (s.loaded_epoch == at.epoch && s.loaded_place == at.place) return s.document;
  const Document& d = s.order[at.place];
  s.loaded_epoch = kNone;
  s.document = s.shards[d.shard].document(d.document);
  for (const std::int32_t id : s.document) {
    if (options_.vocab_size > 0 && (id < 0 || id >= options_.vocab_size))
      fail("{}: token {} in document {}: the vocabulary has {}: the file has changed since it was opened",
           s.shards[d.shard].path().string(), id, d.document, options_.vocab_size);
  }
  if (options_.transform != nullptr) {
    const std::uint64_t source = Rng(options_.seed, kDocuments + number, at.epoch).uint64();
    options_.transform->apply(Rng(source, d.shard, d.document).uint64(), s.document);
  }
  s.loaded_epoch = at.epoch;
  s.loaded_place = at.place;
  return s.document;
}

Row Loader::next() {
  const std::size_t number = choose();
  Source& s = sources_[number];
  Row row;
  Cursor at = s.cursor, last;  // the source's own moves when the row is whole: a failed read loses nothing
  while (static_cast<std::int64_t>(row.tokens.size()) <= options_.sequence_length) {
    const std::vector<std::int32_t>& d = document(number, at);
    if (at.offset == 0 || row.tokens.empty()) row.documents.push_back(static_cast<std::int32_t>(row.tokens.size()));
    last = at;
    row.tokens.push_back(d[at.offset]);
    if (++at.offset < d.size()) continue;
    at.offset = 0;
    if (++at.place < s.order.size()) continue;
    at.place = 0;
    ++at.epoch;
  }
  s.cursor = last;  // the next row starts with this row's last token
  ++row_;
  return row;
}

std::string Loader::state() const {
  json cursors = json::array();
  for (const Source& s : sources_)
    cursors.push_back({s.cursor.epoch, s.cursor.place, s.cursor.offset, s.tokens(), s.checksum()});
  return json{{"row", row_}, {"sources", cursors}}.dump();
}

void Loader::restore(const std::string& state) {
  const json j = parse_json(state, "the checkpoint's data position");
  try {
    const json& cursors = j.at("sources");
    if (cursors.size() != sources_.size())
      fail("the checkpoint was made with {} data folders, there are {} now", cursors.size(), sources_.size());
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      Source& s = sources_[i];
      const auto was = cursors[i].get<std::vector<std::uint64_t>>();
      if (was.size() != 5) fail("the checkpoint's data position has {} numbers a folder, not 5", was.size());
      if (was[3] != s.tokens() || was[4] != s.checksum()) {
        fail(
            "{}: has {} tokens, but {} when the checkpoint was made, checksums {:016x} and {:016x}: the data has "
            "changed",
            options_.folders[i].string(), s.tokens(), was[3], s.checksum(), was[4]);
      }
      s.cursor = {was[0], was[1], was[2]};
      arrange(i, s.cursor.epoch);
      if (s.cursor.place >= s.order.size() || s.cursor.offset >= document(i, s.cursor).size())
        fail("the checkpoint's data position lies outside of {}", options_.folders[i].string());
    }
    row_ = j.at("row").get<std::uint64_t>();
  } catch (const json::exception& e) {
    fail("the checkpoint's data position is damaged: {}", reason_of(e));
  }
}

std::vector<std::vector<std::int32_t>> rows_in_order(const std::filesystem::path& folder,
                                                     std::int64_t sequence_length) {
  std::vector<std::vector<std::int32_t>> rows(1);
  for (const Shard& s : open_shards(folder)) {
    for (std::uint64_t d = 0; d < s.info().documents; ++d) {
      for (const std::int32_t token : s.document(d)) {
        rows.back().push_back(token);
        if (static_cast<std::int64_t>(rows.back().size()) == sequence_length + 1) rows.push_back({token});
      }
    }
  }
  if (rows.back().size() < 2) rows.pop_back();
  return rows;
}

}  // namespace hadal::data
