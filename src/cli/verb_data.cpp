// hadal data prepare | info: text files to token shards, and what shards hold.
#include <CLI/CLI.hpp>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/progress.h"
#include "cli/verbs.h"
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
  const data::Prepared p = data::prepare(files, tokenizer, data::tokenizer_hash(tokenizer_dir), out, [&](std::uint64_t bytes) { progress.update(static_cast<std::int64_t>(bytes)); });
  progress.finish();
  fmt::print("{}: {} documents, {} tokens, {} bytes of text, {:.2f} bytes a token\n", out, p.documents, p.tokens, p.text_bytes,
             static_cast<double>(p.text_bytes) / static_cast<double>(p.tokens));
}

void info(const std::string& folder) {
  data::ShardInfo total;
  for (const data::Shard& s : data::open_shards(folder)) {
    const data::ShardInfo& i = s.info();
    fmt::print("{}: {} documents, {} tokens of {} bytes, {} bytes of text, tokenizer {:016x}\n", s.path().filename().string(), i.documents, i.tokens,
               i.token_bytes, i.text_bytes, i.tokenizer_hash);
    total.documents += i.documents;
    total.tokens += i.tokens;
    total.text_bytes += i.text_bytes;
  }
  fmt::print("{}: {} documents, {} tokens, {} bytes of text\n", folder, total.documents, total.tokens, total.text_bytes);
}

}  // namespace

void add_data(CLI::App& app) {
  struct Arguments {
    std::string tokenizer, out, folder;
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
  CLI::App* i = verb->add_subcommand("info", "what the shards of a folder hold");
  i->add_option("folder", a->folder, "folder of shards")->required();
  i->callback([a] { info(a->folder); });
}

}  // namespace hadal::cli
