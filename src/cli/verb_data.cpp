// hadal data prepare | info: text files to token shards, and what shards hold.
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/failure.h"
#include "cli/verbs.h"
#include "data/generate.h"
#include "data/prepare.h"
#include "data/shard.h"

namespace hadal::cli {

namespace {

namespace fs = std::filesystem;

void prepare(const std::string& tokenizer_dir, const std::vector<std::string>& inputs, const std::string& out) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(tokenizer_dir);
  for (const std::string& warning : tokenizer.warnings()) fmt::print(stderr, "note: {}\n", warning);
  std::vector<fs::path> files(inputs.begin(), inputs.end());
  Progress progress("preparing", 0, "bytes");
  const data::Prepared p =
      data::prepare(files, tokenizer, data::tokenizer_hash(tokenizer_dir), out,
                    [&](std::uint64_t bytes) { progress.update(static_cast<std::int64_t>(bytes)); });
  progress.finish();
  fmt::print("{}: {} documents, {} tokens, {} bytes of text, {:.2f} bytes a token\n", out, p.documents, p.tokens,
             p.text_bytes, static_cast<double>(p.text_bytes) / static_cast<double>(p.tokens));
}

void info(const std::string& folder) {
  data::ShardInfo total;
  for (const data::Shard& s : data::open_shards(folder)) {
    const data::ShardInfo& i = s.info();
    fmt::print("{}: {} documents, {} tokens of {} bytes, {} bytes of text, tokenizer {:016x}\n",
               s.path().filename().string(), i.documents, i.tokens, i.token_bytes, i.text_bytes, i.tokenizer_hash);
    total.documents += i.documents;
    total.tokens += i.tokens;
    total.text_bytes += i.text_bytes;
  }
  fmt::print("{}: {} documents, {} tokens, {} bytes of text\n", folder, total.documents, total.tokens,
             total.text_bytes);
}

void generate(const std::string& kind, std::uint64_t seed, std::int64_t bytes, const std::string& out) {
  data::generated_document(kind, seed, 0, 1);  // an unknown kind is an error before the file is made
  AtomicFile file(out);
  std::int64_t written = 0;
  for (std::uint64_t number = 0; written < bytes; ++number) {
    const std::string text = data::generated_document(kind, seed, number, 4000);
    const std::string line = json{{"text", text}}.dump() + "\n";
    file.append(line);
    written += static_cast<std::int64_t>(text.size());
  }
  file.commit();
  fmt::print("{}: {} bytes of generated text\n", out, written);
}

}  // namespace

void add_data(CLI::App& app) {
  struct Arguments {
    std::string tokenizer, out, folder, kind = "prose";
    std::uint64_t seed = 1;
    std::int64_t bytes = 1000000;
    std::vector<std::string> inputs;
  };
  auto a = std::make_shared<Arguments>();
  CLI::App* verb = app.add_subcommand("data", "token shards for training");
  verb->require_subcommand(1);
  CLI::App* p = verb->add_subcommand("prepare", "encode .txt, .jsonl and .jsonl.zst files into token shards");
  p->add_option("--tokenizer", a->tokenizer, "folder with tokenizer.json")->required();
  p->add_option("--input", a->inputs, "text files")->required();
  p->add_option("--out", a->out, "new folder for the shards")->required();
  p->callback([a] { prepare(a->tokenizer, a->inputs, a->out); });
  CLI::App* g = verb->add_subcommand(
      "generate", "made-up text from word lists, as .jsonl: a stand-in where no real text is to be had");
  g->add_option("--kind", a->kind, "prose, code, json or numbers")->capture_default_str();
  g->add_option("--seed", a->seed, "same seed, same text");
  g->add_option("--bytes", a->bytes, "about how much")->check(positive());
  g->add_option("--out", a->out, "file to write")->required();
  g->callback([a] { generate(a->kind, a->seed, a->bytes, a->out); });
  CLI::App* i = verb->add_subcommand("info", "what the shards of a folder hold");
  i->add_option("folder", a->folder, "folder of shards")->required();
  i->callback([a] { info(a->folder); });
}

}  // namespace hadal::cli
