#include "data/prepare.h"

#include <zstd.h>

#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/model_folder.h"
#include "data/checksum.h"
#include "data/shard_writer.h"

namespace hadal::data {

namespace {

std::string decompress(const fs::path& path) {
  const MappedFile file(path);
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
  std::string out;
  std::string buffer(ZSTD_DStreamOutSize(), '\0');
  ZSTD_inBuffer in{file.bytes().data(), file.bytes().size(), 0};
  std::size_t left = 1;
  while (in.pos < in.size || left > 0) {
    ZSTD_outBuffer o{buffer.data(), buffer.size(), 0};
    left = ZSTD_decompressStream(context.get(), &o, &in);
    if (ZSTD_isError(left) != 0U) fail("{}: not readable as zstd: {}", path.string(), ZSTD_getErrorName(left));
    out.append(buffer.data(), o.pos);
    if (in.pos == in.size && o.pos < o.size) break;
  }
  if (left != 0 && in.size > 0) fail("{}: the zstd file is truncated", path.string());
  return out;
}

void read_lines(const fs::path& path, const std::string& content, const std::function<void(std::string_view)>& f) {
  std::size_t begin = 0;
  for (std::size_t line = 1; begin < content.size(); ++line) {
    std::size_t end = content.find('\n', begin);
    if (end == std::string::npos) end = content.size();
    const std::string_view text(content.data() + begin, end - begin);
    begin = end + 1;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", path.string(), line);
    const json j = parse_json(text, where);
    if (!j.is_object() || !j.contains("text") || !j["text"].is_string())
      fail("{}: must be a JSON object with a string 'text'", where);
    f(j["text"].get_ref<const std::string&>());
  }
}

}  // namespace

void read_documents(const fs::path& path, const std::function<void(std::string_view)>& f) {
  const std::string name = path.filename().string();
  if (!fs::exists(path)) fail("{}: there is no such file", path.string());
  if (name.ends_with(".txt")) {
    const std::string content = read_file(path);
    if (!content.empty()) f(content);
  } else if (name.ends_with(".jsonl")) {
    read_lines(path, read_file(path), f);
  } else if (name.ends_with(".jsonl.zst")) {
    read_lines(path, decompress(path), f);
  } else {
    fail("{}: unknown kind of file: .txt, .jsonl and .jsonl.zst can be read", path.string());
  }
}

Prepared prepare(const std::vector<fs::path>& inputs, const text::Tokenizer& tokenizer, std::uint64_t hash,
                 const fs::path& out, const std::function<void(std::uint64_t)>& progress) {
  const auto eos = tokenizer.eos_id();
  if (!eos) fail("the tokenizer has no end-of-sequence token: documents could not be told apart");
  for (const fs::path& input : inputs) {
    if (!fs::exists(input)) fail("{}: there is no such file", input.string());
  }
  ShardWriter writer(out, tokenizer.vocab_size(), hash);
  Prepared p;
  for (const fs::path& input : inputs) {
    read_documents(input, [&](std::string_view text) {
      if (text.empty()) return;
      std::vector<std::int32_t> ids = tokenizer.encode_as_text(text);
      ids.push_back(*eos);
      writer.add(ids, text.size());
      p.text_bytes += text.size();
      if (progress) progress(p.text_bytes);
    });
  }
  if (writer.documents() == 0)
    fail("empty corpus: no text in {} input file{}", inputs.size(), inputs.size() == 1 ? "" : "s");
  writer.finish();
  p.documents = writer.documents();
  p.tokens = writer.tokens();
  return p;
}

std::uint64_t tokenizer_hash(const fs::path& dir) {
  const fs::path given = model_folder(dir);
  const MappedFile file(fs::is_directory(given) ? given / "tokenizer.json" : given);
  return hash_bytes(file.bytes());
}

}  // namespace hadal::data
