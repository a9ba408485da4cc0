#include "text/bpe_trainer.h"

#include <array>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "text/byte_table.h"
#include "text/flow.h"
#include "text/merge_finder.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_file.h"

namespace hadal::text {

namespace {

constexpr std::int64_t kProgressEvery = 256;  // merges

}  // namespace

// Pieces of the pre-tokenizer with their counts.
class BpeTrainer::Words final : private Flow {
 public:
  Words() : slots_(std::size_t{1} << 16) {
    std::vector<std::string> warnings;
    for (const std::string_view regex : kDeepSeekV3Splits) {
      pretokenizer_.add_split(make_pattern(std::string(regex), warnings), SplitBehavior::isolated, false);
    }
    HADAL_ASSERT(warnings.empty());
    flows_ = pretokenizer_.flows(settings_, *this);
  }

  void add_text(std::string_view text) {
    pretokenizer_.run(text, [this](std::string_view piece) { ++at(piece).count; });
  }

  void add_chunk(std::string_view bytes, bool last) { flows_.back()->push(bytes, last); }

  void add(std::string_view piece, std::int64_t count) { at(piece).count += count; }

  std::size_t size() const { return words_.size(); }

  template <class F>
  void for_each(F f) const {  // in the order of first appearance
    for (const Word& word : words_) f(std::string_view(bytes_).substr(word.start, word.size), word.count);
  }

 private:
  struct Word {
    std::size_t start, size;  // in bytes_
    std::size_t hash;
    std::int64_t count;
  };

  // A piece of a document that comes in chunks.
  void push(std::string_view bytes, bool last) override {
    if (last && piece_.empty()) {
      if (!bytes.empty()) ++at(bytes).count;
      return;
    }
    piece_.append(bytes);
    if (!last) return;
    ++at(piece_.text()).count;
    piece_.clear();
  }

  Word& at(std::string_view piece) {
    const std::size_t hash = std::hash<std::string_view>{}(piece);
    std::size_t i = hash & (slots_.size() - 1);
    for (; slots_[i] != 0; i = (i + 1) & (slots_.size() - 1)) {
      Word& word = words_[slots_[i] - 1];
      if (word.hash == hash && std::string_view(bytes_).substr(word.start, word.size) == piece) return word;
    }
    words_.push_back({bytes_.size(), piece.size(), hash, 0});
    bytes_ += piece;
    slots_[i] = words_.size();
    if (words_.size() * 2 > slots_.size()) grow();
    return words_.back();
  }

  void grow() {
    slots_.assign(slots_.size() * 2, 0);
    for (std::size_t w = 0; w < words_.size(); ++w) {
      std::size_t i = words_[w].hash & (slots_.size() - 1);
      while (slots_[i] != 0) i = (i + 1) & (slots_.size() - 1);
      slots_[i] = w + 1;
    }
  }

  static constexpr std::size_t kWindow = std::size_t{1} << 16;

  PreTokenizer pretokenizer_;
  bool prefix_ = false;
  FlowSettings settings_{prefix_, kWindow};
  std::vector<std::unique_ptr<Flow>> flows_;
  Held piece_{kWindow};
  std::string bytes_;
  std::vector<Word> words_;
  std::vector<std::size_t> slots_;  // open addressing over words_: index + 1, 0 for empty
};

BpeTrainer::BpeTrainer(TrainOptions options) : options_(std::move(options)), words_(std::make_unique<Words>()) {
  std::set<std::string> names;
  for (const auto* tokens : {&options_.first_tokens, &options_.last_tokens}) {
    for (const std::string& name : *tokens) {
      if (name.empty()) fail("a special token has an empty name");
      if (!names.insert(name).second) fail("the special token {} is named twice", name);
    }
  }
  const std::size_t least = 256 + names.size();
  if (options_.vocab_size < 0 || static_cast<std::size_t>(options_.vocab_size) < least) {
    fail("vocab_size {} is too small: 256 bytes and {} special tokens need {}", options_.vocab_size, names.size(),
         least);
  }
  if (options_.min_frequency < 1) fail("min_frequency {} must be 1 or more", options_.min_frequency);
}

BpeTrainer::~BpeTrainer() = default;
BpeTrainer::BpeTrainer(BpeTrainer&&) noexcept = default;
BpeTrainer& BpeTrainer::operator=(BpeTrainer&&) noexcept = default;

void BpeTrainer::add_text(std::string_view text) { words_->add_text(text); }

void BpeTrainer::push(std::string_view bytes) { words_->add_chunk(bytes, false); }

void BpeTrainer::end_text() { words_->add_chunk({}, true); }

void BpeTrainer::add_counts_of(const BpeTrainer& other) {
  other.words_->for_each([this](std::string_view piece, std::int64_t count) { words_->add(piece, count); });
}

std::size_t BpeTrainer::words() const { return words_->size(); }

TrainedBpe BpeTrainer::train() const {
  using Id = MergeFinder::Id;
  const std::size_t first = options_.first_tokens.size();
  const std::set<std::string> reserved(options_.last_tokens.begin(), options_.last_tokens.end());
  std::vector<std::string> tokens(first);  // bytes by id; the first tokens take part in no merge
  std::unordered_map<std::string, Id> ids;
  std::array<Id, 256> byte_ids{};
  for (const std::uint8_t byte : bytes_by_character()) {
    byte_ids[byte] = static_cast<Id>(tokens.size());
    tokens.emplace_back(1, static_cast<char>(byte));
    ids.emplace(tokens.back(), byte_ids[byte]);
  }
  MergeFinder finder;
  std::vector<Id> word;
  words_->for_each([&](std::string_view piece, std::int64_t count) {
    word.clear();
    for (const char byte : piece) word.push_back(byte_ids[static_cast<std::uint8_t>(byte)]);
    if (word.size() > 1) finder.add_word(word, count);
  });
  finder.start();

  const std::size_t full = static_cast<std::size_t>(options_.vocab_size) - options_.last_tokens.size();
  const auto total = static_cast<std::int64_t>(full - tokens.size());
  TrainedBpe trained;
  MergeFinder::Found pair{};
  while (tokens.size() < full && finder.next(options_.min_frequency, pair)) {
    const std::string &left = tokens[static_cast<std::size_t>(pair.left)],
                      &right = tokens[static_cast<std::size_t>(pair.right)];
    const std::string both = left + right;
    if (reserved.contains(both)) continue;  // an added token's text must have one id
    trained.merges.push_back({left, right, pair.count});
    const auto [place, is_new] = ids.emplace(both, static_cast<Id>(tokens.size()));
    if (is_new) tokens.push_back(both);
    finder.merge(pair, place->second);
    const auto done = static_cast<std::int64_t>(trained.merges.size());
    if (options_.progress && done % kProgressEvery == 0) options_.progress({done, total});
  }
  if (options_.progress) options_.progress({static_cast<std::int64_t>(trained.merges.size()), total});
  trained.vocab_size = static_cast<int>(tokens.size() + options_.last_tokens.size());
  return trained;
}

TrainedBpe BpeTrainer::train_and_save(const std::filesystem::path& dir) const {
  TrainedBpe trained = train();
  save_tokenizer(trained, options_, dir);
  return trained;
}

}  // namespace hadal::text
