// Every kept input of tests/fuzz/corpus goes through its reader: what a fuzzer once found stays found.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "fuzz/targets.h"

namespace hadal::fuzz {
namespace {

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Target& target : kTargets) all.emplace_back(target.name);
  return all;
}

class Corpus : public testing::TestWithParam<std::string> {};

TEST_P(Corpus, GoesThroughItsReader) {
  const auto* const target =
      std::find_if(std::begin(kTargets), std::end(kTargets), [](const Target& t) { return t.name == GetParam(); });
  const std::size_t before = read_whole();
  for (const auto& entry : fs::directory_iterator(fs::path(HADAL_SOURCE_DIR) / "tests/fuzz/corpus" / GetParam())) {
    SCOPED_TRACE(entry.path().string());
    EXPECT_NO_THROW(target->run(read_file(entry.path())));
  }
  EXPECT_GT(read_whole(), before) << "no input is taken: nothing behind the first check is tried";
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Corpus, testing::ValuesIn(names()), [](const auto& name) { return name.param; });

}  // namespace
}  // namespace hadal::fuzz
