#include "data/loader.h"

#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"

namespace hadal::data {

std::uint64_t Loader::Source::tokens() const {
  std::uint64_t n = 0;
  for (const Shard& s : shards) n += s.info().tokens;
  return n;
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

// Keyed by the number of the row, so that the choice does not depend on how often the run was resumed.
std::size_t Loader::choose() const {
  double total = 0;
  const auto open = [](const Source& s) { return s.epochs == 0 || static_cast<double>(s.cursor.epoch) < s.epochs; };
  for (const Source& s : sources_) total += open(s) ? s.weight : 0;
  if (total <= 0)
    fail("the training data is used up after {} rows: allow more epochs (data.epochs) or train on fewer tokens", row_);
  double u = Rng(options_.seed, 1, row_).uniform() * total;
  std::size_t last = 0;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!open(sources_[i]) || sources_[i].weight == 0) continue;
    last = i;
    u -= sources_[i].weight;
    if (u < 0) break;
  }
  return last;
}

void Loader::arrange(Source& s, std::size_t number) const {
  if (s.ordered == s.cursor.epoch) return;
  s.order.clear();
  for (std::uint32_t shard = 0; shard < s.shards.size(); ++shard) {
    for (std::uint32_t d = 0; d < s.shards[shard].info().documents; ++d) s.order.push_back({shard, d});
  }
  Rng random(options_.seed, 2 + number, s.cursor.epoch);
  for (std::size_t i = s.order.size(); i > 1; --i) std::swap(s.order[i - 1], s.order[random.below(i)]);
  s.ordered = s.cursor.epoch;
}

Row Loader::next() {
  const std::size_t number = choose();
  Source& s = sources_[number];
  ++row_;
  Row row;
  Cursor last;
  while (static_cast<std::int64_t>(row.tokens.size()) <= options_.sequence_length) {
    arrange(s, number);
    const Document& d = s.order[s.cursor.place];
    if (s.cursor.offset == 0 || row.tokens.empty())
      row.documents.push_back(static_cast<std::int32_t>(row.tokens.size()));
    last = s.cursor;
    row.tokens.push_back(s.shards[d.shard].token(d.document, s.cursor.offset));
    if (++s.cursor.offset < s.shards[d.shard].document_length(d.document)) continue;
    s.cursor.offset = 0;
    if (++s.cursor.place < s.order.size()) continue;
    s.cursor.place = 0;
    ++s.cursor.epoch;
  }
  s.cursor = last;  // the next row starts with this row's last token
  return row;
}

std::string Loader::state() const {
  json cursors = json::array();
  for (const Source& s : sources_) cursors.push_back({s.cursor.epoch, s.cursor.place, s.cursor.offset, s.tokens()});
  return json{{"row", row_}, {"sources", cursors}}.dump();
}

void Loader::restore(const std::string& state) {
  const json j = parse_json(state, "the checkpoint's data position");
  try {
    const json& cursors = j.at("sources");
    if (cursors.size() != sources_.size())
      fail("the checkpoint was made with {} data folders, there are {} now", cursors.size(), sources_.size());
    for (std::size_t i = 0; i < sources_.size(); ++i) {
      if (cursors[i].at(3).get<std::uint64_t>() != sources_[i].tokens()) {
        fail("{}: has {} tokens, but {} when the checkpoint was made: the data has changed",
             options_.folders[i].string(), sources_[i].tokens(), cursors[i].at(3).get<std::uint64_t>());
      }
      Source& s = sources_[i];
      s.cursor = {cursors[i].at(0).get<std::uint64_t>(), cursors[i].at(1).get<std::uint64_t>(),
                  cursors[i].at(2).get<std::uint64_t>()};
      arrange(s, i);
      const bool inside =
          s.cursor.place < s.order.size() &&
          s.cursor.offset < s.shards[s.order[s.cursor.place].shard].document_length(s.order[s.cursor.place].document);
      if (!inside) fail("the checkpoint's data position lies outside of {}", options_.folders[i].string());
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
      for (std::uint64_t i = 0; i < s.document_length(d); ++i) {
        const std::int32_t token = s.token(d, i);
        rows.back().push_back(token);
        if (static_cast<std::int64_t>(rows.back().size()) == sequence_length + 1) rows.push_back({token});
      }
    }
  }
  if (rows.back().size() < 2) rows.pop_back();
  return rows;
}

}  // namespace hadal::data
