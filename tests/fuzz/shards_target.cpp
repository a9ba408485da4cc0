// Token shards. First line "whole": the checksum is made to fit, so that what stands behind it is tried, too.
#include <cstring>

#include "base/error.h"
#include "data/shard.h"
#include "data/shard_format.h"
#include "fuzz/targets.h"

namespace hadal::fuzz {

namespace {

std::string with_checksum(std::string_view content) {
  std::string file(content);
  data::ShardHeader header{};
  if (file.size() < sizeof header) return file;
  std::memcpy(&header, file.data(), sizeof header);
  data::Checksum body;
  body.add(std::as_bytes(std::span(file)).subspan(sizeof header));
  header.checksum = data::shard_checksum(header, body.value());
  std::memcpy(file.data(), &header, sizeof header);
  return file;
}

}  // namespace

void shards(std::string_view input) {
  const bool whole = first_line(input) == "whole";
  const auto path = write("shards/tokens-00000.bin", whole ? with_checksum(input) : std::string(input));
  expect_error_names("tokens-00000.bin", [&] {
    std::uint64_t tokens = 0;
    const data::Shard shard(path);
    for (std::uint64_t d = 0; d < shard.info().documents; ++d) {
      const std::vector<std::int32_t> document = shard.document(d);
      require(document.size() == shard.document_length(d), "a document of another length");
      tokens += document.size();
#ifdef HADAL_PLANTED_BUG
      const std::vector<char> vocabulary(256);
      require(vocabulary.data()[document[0]] == 0, "a token that is set");  // ids are believed
#endif
    }
    require(tokens == shard.info().tokens, "another number of tokens than the header says");
  });
}

}  // namespace hadal::fuzz
