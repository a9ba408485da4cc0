#include "data/loader.h"

#include <algorithm>
#include <limits>
#include <tuple>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "data/permutation.h"

namespace hadal::data {

namespace {

// Streams of the seed; a source's number is added.
constexpr std::uint64_t kRows = 1, kOrder = 2, kSpans = std::uint64_t{1} << 62;

}  // namespace

bool Loader::Source::closed(const Position& at) const {
  const double read = static_cast<double>(at.read) / static_cast<double>(spans.tokens());
  return epochs > 0 && static_cast<double>(at.epoch) + read >= epochs;
}

Loader::Loader(const LoaderOptions& options) : options_(options) {
  if (options.folders.empty()) fail("no training data: data.train must name at least one folder of token shards");
  if (options.sequence_length < 1) fail("sequence length = {}: must be 1 or more", options.sequence_length);
  for (std::size_t i = 0; i < options.folders.size(); ++i) {
    Source s{.spans = Spans(options.folders[i], options.sequence_length)};
    s.weight = options.weights.empty() ? static_cast<double>(s.spans.tokens()) : options.weights[i];
    s.epochs = options.epochs.empty() ? 0 : options.epochs[i];
    if (s.weight < 0) fail("data.weights: {} for {}: must be 0 or more", s.weight, options.folders[i].string());
    if (!sources_.empty() && s.spans.shards()[0].info().tokenizer_hash != tokenizer_hash()) {
      fail("{}: made with another tokenizer than {}", options.folders[i].string(), options.folders[0].string());
    }
    for (const Shard& shard : s.spans.shards()) {
      if (options.vocab_size > 0) shard.check_ids(options.vocab_size);
    }
    sources_.push_back(std::move(s));
  }
}

std::uint64_t Loader::tokens() const {
  std::uint64_t n = 0;
  for (const Source& s : sources_) n += s.spans.tokens();
  return n;
}

double Loader::most_tokens() const {
  double n = 0;
  for (const Source& s : sources_) {
    if (s.weight == 0) continue;
    if (s.epochs == 0) return std::numeric_limits<double>::infinity();
    n += s.epochs * static_cast<double>(s.spans.tokens());
  }
  return n;
}

// Keyed by the number of the row, so that the choice does not depend on how often the run was resumed.
std::size_t Loader::choose() {
  std::vector<double> weights;
  double total = 0;
  for (const Source& s : sources_) {
    const bool open = !s.closed(s.position) || !s.position.packer.pieces().empty();
    total += weights.emplace_back(open ? s.weight : 0);
  }
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

std::uint64_t Loader::span_at(std::size_t number, std::uint64_t epoch, std::uint64_t place) const {
  return Permutation(Rng(options_.seed, kOrder + number, epoch).uint64(), sources_[number].spans.size())(place);
}

// What is done to a span is keyed by (seed, source, epoch, span): a resumed run does the same, another epoch something
// else.
Piece Loader::piece(std::size_t number, std::uint64_t epoch, std::uint64_t place) const {
  const std::uint64_t span = span_at(number, epoch, place);
  const std::uint64_t source = Rng(options_.seed, kSpans + number, epoch).uint64(), key = Rng(source, 0, span).uint64();
  return {epoch, place, 0,
          std::make_shared<const Span>(
              sources_[number].spans.read(span, options_.vocab_size, options_.transform.get(), key))};
}

void Loader::advance(std::size_t number, Position& at) const {
  const Spans& spans = sources_[number].spans;
  at.read += spans.length(span_at(number, at.epoch, at.place));
  if (++at.place < spans.size()) return;
  at.place = at.read = 0;
  ++at.epoch;
}

Row Loader::fill(std::size_t number, Position& at) const {
  const auto length = static_cast<std::size_t>(options_.sequence_length);
  bool beyond = false;  // tokens that the source's epochs do not ask for fill its last row
  while (at.packer.positions() < length) {
    const bool closed = sources_[number].closed(at), waiting = !at.packer.pieces().empty();
    Piece next = piece(number, at.epoch, at.place);
    // What waits from an epoch that is over is filled with whatever comes.
    const bool alone = next.left() >= length && !closed && !(waiting && at.packer.pieces().front().epoch < at.epoch);
    beyond = beyond || closed;
    advance(number, at);
    if (!alone) {
      at.packer.add(std::move(next));
      continue;
    }
    RowPacker whole;
    whole.add(std::move(next));
    Row row = whole.take(length);
    for (const Piece& left : whole.pieces()) at.packer.add(left);
    return row;
  }
  Row row = at.packer.take(length);
  if (beyond) at.packer = {};
  return row;
}

Row Loader::next() {
  const std::size_t number = choose();
  Position at = sources_[number].position;  // the source's own moves when the row is whole: a failed read loses nothing
  Row row = fill(number, at);
  sources_[number].position = std::move(at);
  ++row_;
  return row;
}

std::string Loader::state() const {
  json sources = json::array();
  for (const Source& s : sources_) {
    json waiting = json::array();
    for (const Piece& p : s.position.packer.pieces()) waiting.push_back({p.epoch, p.place, p.at});
    sources.push_back({{"epoch", s.position.epoch},
                       {"place", s.position.place},
                       {"read", s.position.read},
                       {"waiting", waiting},
                       {"tokens", s.spans.tokens()},
                       {"checksum", s.spans.checksum()}});
  }
  return json{{"row", row_}, {"sources", sources}}.dump();
}

void Loader::restore(const std::string& state) {
  const std::string what = "the checkpoint's data position";
  const json document = parse_json(state, what);
  const JsonField j(document, what);
  const JsonField sources = j.at("sources");
  if (sources.items().size() != sources_.size()) {
    fail("the checkpoint was made with {} data folders, there are {} now", sources.items().size(), sources_.size());
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) restore(i, sources.items()[i]);
  row_ = j.at("row").unsigned_integer();
}

void Loader::restore(std::size_t number, const JsonField& j) {
  Source& s = sources_[number];
  const std::string folder = options_.folders[number].string();
  if (j.value().is_array()) {
    fail("the checkpoint's data position is that of an older version of this program: train anew");
  }
  const std::uint64_t tokens = j.at("tokens").unsigned_integer(), checksum = j.at("checksum").unsigned_integer();
  if (tokens != s.spans.tokens() || checksum != s.spans.checksum()) {
    fail("{}: has {} tokens, but {} when the checkpoint was made, checksums {:016x} and {:016x}: the data has changed",
         folder, s.spans.tokens(), tokens, s.spans.checksum(), checksum);
  }
  Position at{j.at("epoch").unsigned_integer(), j.at("place").unsigned_integer(), j.at("read").unsigned_integer()};
  const auto check = [&](bool inside) {
    if (!inside) fail("the checkpoint's data position lies outside of {}", folder);
  };
  check(at.place < s.spans.size() && at.read < tokens);
  for (const JsonField& waiting : j.at("waiting").items()) {
    const std::vector<JsonField> piece_at = waiting.items();
    if (piece_at.size() != 3) waiting.wrong("an epoch, a place and an offset");
    const std::uint64_t epoch = piece_at[0].unsigned_integer(), place = piece_at[1].unsigned_integer();
    check((epoch < at.epoch && place < s.spans.size()) || (epoch == at.epoch && place < at.place));
    Piece p = piece(number, epoch, place);
    p.at = piece_at[2].unsigned_integer();
    check(p.at < p.span->tokens.size() && p.at + 1 < p.span->tokens.size());
    at.packer.add(std::move(p));
  }
  s.position = std::move(at);
}

std::vector<std::vector<std::int32_t>> rows_in_order(const std::vector<Shard>& shards, std::int64_t sequence_length,
                                                     std::int64_t most_rows) {
  std::vector<std::vector<std::int32_t>> rows(1);
  for (const Shard& s : shards) {
    for (std::uint64_t d = 0; d < s.info().documents; ++d) {
      for (const std::int32_t token : s.document(d)) {
        rows.back().push_back(token);
        if (static_cast<std::int64_t>(rows.back().size()) <= sequence_length) continue;
        if (static_cast<std::int64_t>(rows.size()) == most_rows) return rows;
        rows.push_back({token});
      }
    }
  }
  if (rows.back().size() < 2) rows.pop_back();
  return rows;
}

}  // namespace hadal::data
