// hadal data prepare | info: text files to token shards, and what shards hold.
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/words.h"
#include "cli/failure.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/print_table.h"
#include "cli/runtime.h"
#include "cli/text_inputs.h"
#include "cli/verbs.h"
#include "data/generate.h"
#include "data/prepare.h"
#include "data/shard.h"

namespace hadal::cli {

namespace {

namespace fs = std::filesystem;

struct PrepareArguments {
  TextInputs inputs;
  std::string tokenizer, out;
  data::PrepareOptions options;
  bool as_json = false;
};

json json_of(const data::Prepared::Part& part) {
  return {{"documents", part.documents}, {"tokens", part.tokens}, {"text_bytes", part.text_bytes}};
}

void print_part(const std::string& folder, const data::Prepared::Part& part) {
  fmt::print("{}\n", for_reading(fmt::format("{}: {}, {}, {} of text, {:.2f} bytes per token", folder,
                                             plural(part.documents, "document"), plural(part.tokens, "token"),
                                             plural(part.text_bytes, "byte"),
                                             static_cast<double>(part.text_bytes) / static_cast<double>(part.tokens))));
}

void prepare(PrepareArguments& a) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(a.tokenizer);
  for (const std::string& warning : tokenizer.warnings()) warn(warning);
  const data::Inputs files = open_inputs(a.inputs);
  a.options.read = a.inputs.read;
  a.options.threads = threads_or_all(a.inputs.threads);
  Progress progress("preparing", static_cast<std::int64_t>(files.bytes), "bytes");
  a.options.progress = reading_progress(progress);
  const data::Prepared p = data::prepare(files, tokenizer, tokenizer.fingerprint(), a.out, a.options);
  progress.finish();
  print_notes(p.read);
  const std::string validation = (fs::path(a.out) / "validation").string();
  if (a.as_json) {
    json j = {{"folder", a.out}, {"training", json_of(p.training)}};
    if (p.validation.documents > 0) j["validation"] = json_of(p.validation);
    j["left_out"] = {{"empty", p.read.empty_documents},
                     {"damaged_documents", p.read.bad_values},
                     {"files", p.read.bad_files + p.read.binary_files},
                     {"nul_bytes", p.read.nul_bytes},
                     {"files_cut_short", p.read.cut_files}};
    j["bytes_not_utf8"] = p.read.invalid_bytes;
    print_json(j);
    return;
  }
  print_part(a.out, p.training);
  if (p.validation.documents > 0) print_part(validation, p.validation);
}

std::string line_of(const data::ShardInfo& i) {
  return fmt::format("{}, {}, {} of text", plural(i.documents, "document"), plural(i.tokens, "token"),
                     plural(i.text_bytes, "byte"));
}

void info(const std::string& folder, bool as_json) {
  data::ShardInfo total;
  json shards = json::array();
  for (const data::Shard& s : data::open_shards(folder)) {
    const data::ShardInfo& i = s.info();
    const std::string name = s.path().filename().string();
    if (as_json) {
      shards.push_back({{"file", name},
                        {"documents", i.documents},
                        {"tokens", i.tokens},
                        {"text_bytes", i.text_bytes},
                        {"bytes_per_token_id", i.token_bytes},
                        {"tokenizer", fmt::format("{:016x}", i.tokenizer_hash)}});
    } else {
      fmt::print("{}\n", for_reading(fmt::format("{}: {}, ids of {} bytes, tokenizer {:016x}", name, line_of(i),
                                                 i.token_bytes, i.tokenizer_hash)));
    }
    total.documents += i.documents;
    total.tokens += i.tokens;
    total.text_bytes += i.text_bytes;
  }
  if (as_json) {
    print_json({{"folder", folder},
                {"documents", total.documents},
                {"tokens", total.tokens},
                {"text_bytes", total.text_bytes},
                {"shards", shards}});
    return;
  }
  fmt::print("{}: {}\n", folder, line_of(total));
}

struct GenerateArguments {
  std::string out, kind = "prose";
  std::uint64_t seed = 1;
  std::int64_t bytes = 1000000;
  bool as_json = false;
};

void generate(const GenerateArguments& a) {
  data::generated_document(a.kind, a.seed, 0, 1);  // an unknown kind is an error before the file is made
  AtomicFile file(a.out);
  std::int64_t written = 0;
  std::uint64_t documents = 0;
  for (; written < a.bytes; ++documents) {
    const std::string text = data::generated_document(a.kind, a.seed, documents, 4000);
    file.append(json_line({{"text", text}}));
    written += static_cast<std::int64_t>(text.size());
  }
  file.commit();
  if (a.as_json) {
    print_json(
        {{"file", a.out}, {"kind", a.kind}, {"seed", a.seed}, {"documents", documents}, {"text_bytes", written}});
    return;
  }
  fmt::print("{}: {}, {} of generated text\n", a.out, plural(documents, "document"),
             plural(static_cast<std::uint64_t>(written), "byte"));
}

}  // namespace

void add_data(Command app) {
  struct Arguments {
    std::string folder;
    bool as_json = false;
  };
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("data", "token shards for training");
  verb.needs_verb();
  Command p = verb.add_verb("prepare", "encode text files into token shards");
  auto pa = std::make_shared<PrepareArguments>();
  p.add_option("--tokenizer", pa->tokenizer, "folder with tokenizer.json").required();
  add_text_inputs(p, pa->inputs);
  p.add_option("--out", pa->out, "new folder for the shards; it appears when all is done").required();
  p.add_flag("--force", pa->options.replace, "replace the shards of an earlier preparation in that folder");
  p.add_option("--validation-share", pa->options.validation_share,
               "this share of the text goes to OUT/validation, by documents, or by parts of long ones; e.g. 0.01")
      .rule(real(0, 0.999));
  p.add_option("--seed", pa->options.seed, "of the choice for validation: same seed, same choice")
      .rule(whole(0))
      .shows_default();
  add_json(p, pa->as_json);
  p.callback([pa] { prepare(*pa); });
  Command g =
      verb.add_verb("generate", "made-up text from word lists, as .jsonl: a stand-in where no real text is to be had");
  auto ga = std::make_shared<GenerateArguments>();
  g.add_option("--kind", ga->kind, "prose, code, json or numbers").shows_default();
  g.add_option("--seed", ga->seed, "same seed, same text").rule(whole(0)).shows_default();
  g.add_option("--bytes", ga->bytes, "about how much").rule(whole(1)).shows_default();
  g.add_option("--out", ga->out, "file to write").required();
  add_json(g, ga->as_json);
  g.callback([ga] { generate(*ga); });
  Command i = verb.add_verb("info", "what the shards of a folder hold");
  i.add_option("folder", a->folder, "folder of shards").required();
  add_json(i, a->as_json);
  i.callback([a] { info(a->folder, a->as_json); });
}

}  // namespace hadal::cli
