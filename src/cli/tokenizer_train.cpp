#include "cli/tokenizer_train.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/new_folder.h"
#include "base/threads.h"
#include "base/words.h"
#include "cli/failure.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/runtime.h"
#include "cli/text_inputs.h"
#include "data/batches.h"
#include "text/bpe_trainer.h"

namespace hadal::cli {

namespace {

struct Arguments {
  TextInputs inputs;
  std::string out;
  int vocab_size = 8192, min_frequency = 2;
  bool replace = false, as_json = false;
};

bool is_tokenizer_file(const fs::path& inside) {
  const std::string name = inside.string();
  return name.starts_with("tokenizer.json") || name.starts_with("tokenizer_config.json");
}

// Counts the words of texts on several threads; each has a trainer of its own.
class Counter {
 public:
  Counter(const text::TrainOptions& options, int threads) : options_(options), pool_(threads) {
    for (int i = 0; i < threads; ++i) trainers_.emplace_back(options);
  }
  void batch(std::span<const data::WholeDocument> documents) {
    pool_.run(static_cast<std::int64_t>(documents.size()), [&](std::int64_t task, int worker) {
      trainers_[static_cast<std::size_t>(worker)].add_text(documents[static_cast<std::size_t>(task)].text);
    });
    std::size_t words = 0;
    for (std::size_t i = 1; i < trainers_.size(); ++i) words += trainers_[i].words();
    if (words > kMaxApart) put_together();
  }
  void piece(std::string_view text, bool last) {
    try {
      trainers_[0].push(text);
      if (last) trainers_[0].end_text();
    } catch (const Error& e) {
      throw data::DocumentError(e.what());
    }
  }
  // The counts of all threads.
  const text::BpeTrainer& all() {
    put_together();
    return trainers_.front();
  }

 private:
  static constexpr std::size_t kMaxApart = std::size_t{1} << 20;  // words: a word is not to be held once per thread

  void put_together() {
    for (std::size_t i = 1; i < trainers_.size(); ++i) {
      trainers_.front().add_counts_of(trainers_[i]);
      trainers_[i] = text::BpeTrainer(options_);
    }
  }

  text::TrainOptions options_;
  ThreadPool pool_;
  std::vector<text::BpeTrainer> trainers_;
};

void train(const Arguments& a) {
  std::optional<Progress> merging;
  text::TrainOptions options;
  options.vocab_size = a.vocab_size;
  options.min_frequency = a.min_frequency;
  options.progress = [&](const text::TrainProgress& p) {
    if (!merging) merging.emplace("training: merges", p.total, "merges");
    merging->update(p.done);
    end_if_stopped("nothing was written");
  };
  Counter counter(options, threads_or_all(a.inputs.threads));
  const data::Inputs files = open_inputs(a.inputs);
  NewFolder folder(a.out, a.replace, is_tokenizer_file);
  data::DocumentBatches batches([&](std::span<const data::WholeDocument> documents) { counter.batch(documents); },
                                [&](std::string_view text, bool last, int) { counter.piece(text, last); });
  Progress reading("training: words", static_cast<std::int64_t>(files.bytes), "bytes");
  const data::ReadCounts read = data::read_documents(
      files, a.inputs.read, [&](std::string_view text, bool last) { batches.add(text, last, 0); },
      reading_progress(reading));
  batches.finish();
  reading.finish();
  print_notes(read);
  if (read.documents == 0) fail("the input is empty: nothing to train a tokenizer on");
  const text::TrainedBpe trained = counter.all().train_and_save(folder.work());
  if (merging) merging->finish();
  folder.commit();
  if (trained.vocab_size < options.vocab_size) {
    warn(fmt::format("the texts give {} only, not the {} asked for",
                     plural(static_cast<std::uint64_t>(trained.vocab_size), "token"), options.vocab_size));
  }
  const std::string file = (fs::path(a.out) / "tokenizer.json").string();
  if (a.as_json) {
    const json j = {{"file", file},
                    {"vocab_size", trained.vocab_size},
                    {"documents", read.documents},
                    {"text_bytes", read.text_bytes}};
    print_json(j);
    return;
  }
  fmt::print("{}: {} from {} of text in {}\n", file, plural(static_cast<std::uint64_t>(trained.vocab_size), "token"),
             plural(read.text_bytes, "byte"), plural(read.documents, "document"));
}

}  // namespace

void add_tokenizer_train(Command verb) {
  auto a = std::make_shared<Arguments>();
  Command sub = verb.add_verb("train", "train a byte-level BPE tokenizer with DeepSeek-V3's pre-tokenizer");
  add_text_inputs(sub, a->inputs);
  sub.add_option("--out", a->out, "new folder for tokenizer.json and tokenizer_config.json").required();
  sub.add_flag("--force", a->replace, "replace the tokenizer that is in that folder");
  sub.add_option("--vocab-size", a->vocab_size, "number of tokens, special ones included")
      .shows_default()
      .rule(whole(1, 1 << 24));
  sub.add_option("--min-frequency", a->min_frequency, "merge no pair that is seen less often")
      .shows_default()
      .rule(whole(1, std::numeric_limits<int>::max()));
  add_json(sub, a->as_json);
  sub.callback([a] { train(*a); });
}

}  // namespace hadal::cli
