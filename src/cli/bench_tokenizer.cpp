// hadal bench tokenizer: encoding and training on one thread, cold: every round loads the tokenizer anew.
#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/words.h"
#include "cli/bench.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "data/checksum.h"
#include "data/documents.h"
#include "data/mixed_text.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"

namespace hadal::cli {

namespace {

using Clock = std::chrono::steady_clock;

struct Arguments {
  BenchOptions common;
  std::string tokenizer, out;
  std::vector<std::string> texts;
  std::int64_t bytes = 10'000'000;
  std::uint64_t seed = 1;
  int vocab_size = 8192;
};

// Seconds of every round.
class Times {
 public:
  template <class F>
  auto measure(F&& f) {
    const Clock::time_point start = Clock::now();
    auto result = f();
    all_.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    return result;
  }
  double best() const { return *std::min_element(all_.begin(), all_.end()); }
  double median() const {
    std::vector<double> sorted = all_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }

 private:
  std::vector<double> all_;
};

struct Measured {
  std::vector<std::string> documents;
  std::size_t bytes = 0;
  Times load, encode, train;
  std::vector<std::int32_t> ids;  // of all documents, each ended by -1
  text::TrainedBpe trained;
  std::int64_t rounds = 0;
};

std::vector<std::string> documents_of(const Arguments& a) {
  if (a.texts.empty()) return data::mixed_text(a.seed, static_cast<std::size_t>(a.bytes));
  std::vector<std::string> documents;
  std::string document;
  data::read_documents(data::find_inputs(a.texts), {}, [&](std::string_view text, bool last) {
    document += text;
    if (last) documents.push_back(std::exchange(document, {}));
  });
  return documents;
}

std::vector<std::int32_t> encode(const text::Tokenizer& tokenizer, const std::vector<std::string>& documents) {
  text::WordCache cache;  // of this round alone
  std::vector<std::int32_t> ids;
  for (const std::string& text : documents) {
    tokenizer.encode_to(text, false, cache, ids);
    ids.push_back(-1);
  }
  return ids;
}

text::TrainedBpe train(const text::TrainOptions& options, const std::vector<std::string>& documents) {
  text::BpeTrainer trainer(options);
  for (const std::string& text : documents) trainer.add_text(text);
  return trainer.train();
}

Measured measure(const Arguments& a, const text::TrainOptions& options) {
  Measured m;
  m.documents = documents_of(a);
  for (const std::string& text : m.documents) m.bytes += text.size();
  if (m.bytes == 0) fail("the texts are empty: nothing to measure");
  const Clock::time_point until =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(a.common.seconds));
  const std::int64_t least = a.common.quick ? 1 : 3;
  while (m.rounds < least || (!a.common.quick && Clock::now() < until)) {
    const text::Tokenizer tokenizer = m.load.measure([&] { return text::Tokenizer::load(a.tokenizer); });
    m.ids = m.encode.measure([&] { return encode(tokenizer, m.documents); });
    m.trained = m.train.measure([&] { return train(options, m.documents); });
    ++m.rounds;
  }
  return m;
}

// What bench/tokenizer.py compares: texts.jsonl, ids.bin (int32, -1 after each document), the trained tokenizer.
void write(const Measured& m, const text::TrainOptions& options, const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  if (error) fail("cannot make the folder {}: {}", dir.string(), error.message());
  std::string lines;
  for (const std::string& text : m.documents) lines += json{{"text", text}}.dump() + "\n";
  write_file_atomically(dir / "texts.jsonl", lines);
  const auto bytes = std::as_bytes(std::span(m.ids));
  write_file_atomically(dir / "ids.bin", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  text::save_tokenizer(m.trained, options, dir / "trained");
}

json part(const Times& times, std::size_t bytes, const char* what, std::size_t number, const std::string& all) {
  return {{"seconds", times.best()},
          {"seconds_median", times.median()},
          {"bytes_per_s", static_cast<double>(bytes) / times.best()},
          {what, number},
          {"checksum", all}};
}

std::string checksum(std::span<const std::byte> bytes) { return fmt::format("{:016x}", data::hash_bytes(bytes)); }

void print(const Measured& m, bool as_json) {
  std::string merges;
  for (const text::TrainedMerge& t : m.trained.merges) merges += t.left + "\n" + t.right + "\n";
  const std::size_t ids = m.ids.size() - m.documents.size();
  const std::string id_sum = checksum(std::as_bytes(std::span(m.ids))),
                    merge_sum = checksum(std::as_bytes(std::span(merges)));
  if (as_json) {
    const json j = {{"bench", "tokenizer"},
                    {"threads", 1},
                    {"text_bytes", m.bytes},
                    {"documents", m.documents.size()},
                    {"rounds", m.rounds},
                    {"load_seconds", m.load.best()},
                    {"encode", part(m.encode, m.bytes, "ids", ids, id_sum)},
                    {"train", part(m.train, m.bytes, "merges", m.trained.merges.size(), merge_sum)}};
    print_json(j);
    return;
  }
  fmt::print("{} in {}, one thread, {}, each cold\n\n", plural(m.bytes, "byte"), plural(m.documents.size(), "document"),
             plural(static_cast<std::uint64_t>(m.rounds), "round"));
  const auto row = [&](const char* what, const Times& t, std::size_t number, const char* of, const std::string& sum) {
    fmt::print("{:7} {:7.2f} MB/s  {:.3f} s (median {:.3f})  {} {}, checksum {}\n", what,
               1e-6 * static_cast<double>(m.bytes) / t.best(), t.best(), t.median(), number, of, sum);
  };
  row("encode", m.encode, ids, "ids", id_sum);
  row("train", m.train, m.trained.merges.size(), "merges", merge_sum);
  fmt::print("load    {:.3f} s\n", m.load.best());
}

void run(Arguments a) {
  if (a.common.threads > 1) fail("--threads {}: a tokenizer is measured on one thread", a.common.threads);
  if (a.common.quick) {
    a.bytes = std::min<std::int64_t>(a.bytes, 100'000);
    a.vocab_size = 512;
  }
  text::TrainOptions options;
  options.vocab_size = a.vocab_size;
  const Measured m = measure(a, options);
  if (!a.out.empty()) write(m, options, a.out);
  print(m, a.common.json);
}

}  // namespace

void add_bench_tokenizer(Command bench) {
  auto a = std::make_shared<Arguments>();
  Command verb = bench.add_verb("tokenizer", "encoding and training on one thread, cold");
  add_bench_options(verb, a->common);
  verb.add_option("--tokenizer", a->tokenizer, "folder with the tokenizer.json that encodes").required();
  verb.add_option("--text", a->texts, ".txt, .jsonl or .jsonl.zst to measure on; none: a generated mixed text");
  verb.add_option("--bytes", a->bytes, "size of the generated text").rule(whole(1, 1 << 30)).shows_default();
  verb.add_option("--seed", a->seed, "key of the generated text").rule(whole(0)).shows_default();
  verb.add_option("--vocab-size", a->vocab_size, "tokens to train").rule(whole(256, 1 << 24)).shows_default();
  verb.add_option("--out", a->out, "folder for the texts, the ids and the trained tokenizer, to compare with");
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
