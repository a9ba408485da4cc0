#include "base/words.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

TEST(Words, OnlyOneIsSingular) {
  EXPECT_EQ(plural(0, "token"), "0 tokens");
  EXPECT_EQ(plural(1, "token"), "1 token");
  EXPECT_EQ(plural(2, "token"), "2 tokens");
  EXPECT_EQ(plural(1, "entry", "entries"), "1 entry");
  EXPECT_EQ(plural(21, "entry", "entries"), "21 entries");
}

}  // namespace
}  // namespace hadal
