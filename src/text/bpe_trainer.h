// Training of a byte-level BPE tokenizer with DeepSeek-V3's pre-tokenizer, merge for merge what the `tokenizers`
// library finds.
//
// Each step merges the pair with the highest count; ties go to the smallest (left id, right id). Ids: the first special
// tokens, the 256 bytes in the order of their characters, the merges in order of birth, the last added tokens.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/special_tokens.h"

namespace hadal::text {

struct TrainProgress {
  std::int64_t done = 0, total = 0;  // merges
};

struct TrainOptions {
  int vocab_size = 0;     // of all tokens, special and added ones too
  int min_frequency = 2;  // a pair seen less often is not merged
  // special:true, the first ids. bos_token, eos_token, pad_token of tokenizer_config.json are the first three, as far
  // as they go.
  std::vector<std::string> first_tokens{kFirstSpecialTokens.begin(), kFirstSpecialTokens.end()};
  std::vector<std::string> last_tokens{kLastAddedTokens.begin(),
                                       kLastAddedTokens.end()};  // special:false, the last ids
  std::function<void(const TrainProgress&)> progress;            // called now and then; may throw to stop
};

struct TrainedMerge {
  std::string left, right;  // raw bytes
  std::int64_t count;       // of the pair when it was merged
};

struct TrainedBpe {
  std::vector<TrainedMerge> merges;
  int vocab_size = 0;  // smaller than asked for when the texts hold no more pairs
};

class BpeTrainer {
 public:
  // Throws Error if vocab_size cannot hold the bytes and the named tokens, or if these are empty or named twice.
  explicit BpeTrainer(TrainOptions options);
  ~BpeTrainer();
  BpeTrainer(BpeTrainer&&) noexcept;
  BpeTrainer& operator=(BpeTrainer&&) noexcept;

  // One document of any bytes; no piece reaches from one into the next. Text that looks like a special token is
  // ordinary text.
  void add_text(std::string_view text);

  // The same for a document that comes in chunks, cut anywhere: push() them all, then end_text(). Throws Error where
  // the pre-tokenizer finds no place to cut in 16 MiB.
  void push(std::string_view bytes);
  void end_text();

  // As if the texts of `other` had been added here: several threads can count, each with a trainer of its own.
  void add_counts_of(const BpeTrainer& other);
  std::size_t words() const;  // different ones so far

  // Merges of all texts so far.
  TrainedBpe train() const;

  // train(), then tokenizer.json and tokenizer_config.json in `dir`, which is made if missing.
  TrainedBpe train_and_save(const std::filesystem::path& dir) const;

 private:
  class Words;
  TrainOptions options_;
  std::unique_ptr<Words> words_;
};

// Writes tokenizer.json and tokenizer_config.json, each atomically.
void save_tokenizer(const TrainedBpe& trained, const TrainOptions& options, const std::filesystem::path& dir);

}  // namespace hadal::text
