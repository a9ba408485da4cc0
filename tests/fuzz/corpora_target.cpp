// Corpora as data prepare reads them: the first line is the name of the file, whose end says what it is.
#include <algorithm>

#include "base/error.h"
#include "data/documents.h"
#include "fuzz/targets.h"

namespace hadal::fuzz {

namespace {

std::uint64_t read(const std::filesystem::path& path, const data::ReadOptions& options) {
  std::uint64_t bytes = 0;
  const data::ReadCounts counts =
      data::read_documents(data::find_inputs({path.string()}), options, [&](std::string_view piece, bool last) {
        require(last || !piece.empty(), "an empty piece that is not the last");
        bytes += piece.size();
#ifdef HADAL_PLANTED_BUG
        const std::vector<char> copy(piece.begin(), piece.end());
        require(copy.data()[copy.size() - 1] != '\1', "a piece that ends in 1");  // the last may be empty
#endif
        if (bytes > (64u << 20)) fail("{}: more text than is worth trying", path.string());
      });
  require(counts.text_bytes == bytes, "another number of bytes than was given out");
  return bytes;
}

}  // namespace

void corpora(std::string_view input) {
  static constexpr const char* kNames[] = {"c.txt",      "c.jsonl",   "c.json",      "c.md",     "c.txt.gz",
                                           "c.jsonl.gz", "c.txt.zst", "c.jsonl.zst", "c.json.gz"};
  const std::string_view wanted = first_line(input);
  const auto* const name = std::find(std::begin(kNames), std::end(kNames), wanted);
  if (name == std::end(kNames)) return;
  const auto path = write(*name, input);
  std::uint64_t strict = 0, lenient = 0;
  const bool whole = expect_error_names(*name, [&] { strict = read(path, {}); });
  data::ReadOptions skip;
  skip.skip_bad = true;
  const bool skipped = expect_error_names(*name, [&] { lenient = read(path, skip); });
  require(!whole || (skipped && strict == lenient), "skipping what is bad changes a good file");
}

}  // namespace hadal::fuzz
