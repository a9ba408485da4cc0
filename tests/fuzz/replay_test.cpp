// Every kept input of tests/fuzz/corpus goes through its reader: what a fuzzer once found stays found.
#include <gtest/gtest.h>

#include "base/file.h"
#include "fuzz/targets.h"

namespace hadal::fuzz {
namespace {

class Corpus : public testing::TestWithParam<Target> {};

TEST_P(Corpus, GoesThroughItsReader) {
  std::size_t tried = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(HADAL_SOURCE_DIR) / "tests/fuzz/corpus" / GetParam().name)) {
    SCOPED_TRACE(entry.path().string());
    EXPECT_NO_THROW(GetParam().run(read_file(entry.path())));
    ++tried;
  }
  EXPECT_GT(tried, 0u);
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Corpus, testing::ValuesIn(kTargets),
                         [](const auto& target) { return target.param.name; });

}  // namespace
}  // namespace hadal::fuzz
