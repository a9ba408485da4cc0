#include "data/prepare.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/new_folder.h"
#include "base/threads.h"
#include "base/words.h"
#include "data/batches.h"
#include "data/shard_writer.h"
#include "data/validation_split.h"
#include "text/piecewise.h"

namespace hadal::data {

namespace {

bool is_shard(const fs::path& inside) {
  const fs::path folder = inside.parent_path();
  const std::string name = inside.filename().string();
  return (folder.empty() || folder == "validation") && name.starts_with("tokens-") &&
         (name.ends_with(".bin") || name.ends_with(".bin.tmp"));
}

// Tokens of documents to the writers of both parts, in the order of the documents.
class Encoder {
 public:
  Encoder(const text::Tokenizer& tokenizer, std::int32_t eos, int threads, const fs::path& out, std::uint64_t hash)
      : tokenizer_(tokenizer),
        eos_(eos),
        pool_(threads),
        caches_(static_cast<std::size_t>(threads)),
        long_(tokenizer, text::ControlTokens::as_text),
        validation_out_(out / "validation"),
        hash_(hash),
        training_(out, tokenizer.vocab_size(), hash) {}

  void batch(std::span<const WholeDocument> documents) {
    if (ids_.size() < documents.size()) ids_.resize(documents.size());
    pool_.run(static_cast<std::int64_t>(documents.size()), [&](std::int64_t task, int worker) {
      const auto i = static_cast<std::size_t>(task);
      ids_[i].clear();
      tokenizer_.encode_as_text_to(documents[i].text, caches_[static_cast<std::size_t>(worker)], ids_[i]);
      ids_[i].push_back(eos_);
    });
    for (std::size_t i = 0; i < documents.size(); ++i) writer(documents[i].part).add(ids_[i], documents[i].text.size());
  }

  void piece(std::string_view text, bool last, int part) {
    std::vector<std::int32_t> ids;
    try {
      long_.push(text, ids);
      if (last) long_.finish(ids);
    } catch (const Error& e) {
      throw DocumentError(e.what());
    }
    if (last) ids.push_back(eos_);
    writer(part).append(ids, text.size());
    if (last) writer(part).end_document();
  }

  ShardWriter& writer(int part) {
    if (part == 0) return training_;
    if (!validation_) validation_.emplace(validation_out_, tokenizer_.vocab_size(), hash_);
    return *validation_;
  }
  bool has_validation() const { return validation_.has_value(); }

 private:
  const text::Tokenizer& tokenizer_;
  std::int32_t eos_;
  ThreadPool pool_;
  std::vector<text::WordCache> caches_;
  std::vector<std::vector<std::int32_t>> ids_;  // of a batch; their memory is used again
  text::PiecewiseEncoder long_;                 // the document that comes in pieces
  fs::path validation_out_;
  std::uint64_t hash_;
  ShardWriter training_;
  std::optional<ShardWriter> validation_;
};

Prepared::Part finish(ShardWriter& writer) {
  writer.finish();
  return {writer.documents(), writer.tokens(), writer.text_bytes()};
}

[[noreturn]] void fail_empty_part(const PrepareOptions& o, const char* part, const ReadCounts& read) {
  fail(
      "--validation-share {}: nothing of the {} ({} of text) was chosen for {}: take another share or --seed, or give "
      "more or longer documents",
      o.validation_share, plural(read.documents, "document"), plural(read.text_bytes, "byte"), part);
}

}  // namespace

Prepared prepare(const Inputs& inputs, const text::Tokenizer& tokenizer, std::uint64_t hash, const fs::path& out,
                 const PrepareOptions& options) {
  const auto eos = tokenizer.eos_id();
  if (!eos) fail("the tokenizer has no end-of-sequence token: documents could not be told apart");
  if (!(options.validation_share >= 0 && options.validation_share < 1))
    fail("--validation-share {}: must be 0 or more and less than 1", options.validation_share);
  NewFolder folder(out, options.replace, is_shard);
  Encoder encoder(tokenizer, *eos, options.threads, folder.work(), hash);
  DocumentBatches batches([&](std::span<const WholeDocument> documents) { encoder.batch(documents); },
                          [&](std::string_view text, bool last, int part) { encoder.piece(text, last, part); });
  ValidationSplit split(options.validation_share, options.seed,
                        [&](std::string_view text, bool last, int part) { batches.add(text, last, part); });
  Prepared p;
  p.read = read_documents(
      inputs, options.read, [&](std::string_view text, bool last) { split.add(text, last); }, options.progress);
  batches.finish();
  if (p.read.documents == 0) fail("empty corpus: no text in {}", plural(inputs.files.size(), "input file"));
  if (options.validation_share > 0) {
    if (!encoder.has_validation()) fail_empty_part(options, "validation", p.read);
    if (encoder.writer(0).documents() == 0) fail_empty_part(options, "training", p.read);
    p.validation = finish(encoder.writer(1));
  }
  p.training = finish(encoder.writer(0));
  folder.commit();
  return p;
}

std::uint64_t tokenizer_hash(const fs::path& dir) { return text::Tokenizer::load(dir).fingerprint(); }

}  // namespace hadal::data
