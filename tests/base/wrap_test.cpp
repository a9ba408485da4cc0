// Lines are broken between words, and only where they must be.
#include "base/wrap.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

TEST(Wrap, BreaksBetweenWords) {
  EXPECT_EQ(wrapped("", 10), "");
  EXPECT_EQ(wrapped("one two", 7), "one two");
  EXPECT_EQ(wrapped("one two", 6), "one\ntwo");
  EXPECT_EQ(wrapped("one two three", 9, 0, 2), "one two\n  three");
  EXPECT_EQ(wrapped("one two three", 9, 4, 4), "one\n    two\n    three") << "the first line begins in column 4";
  EXPECT_EQ(wrapped("a muchtoolongword b", 6), "a\nmuchtoolongword\nb");
}

TEST(Wrap, CountsCharactersNotBytes) { EXPECT_EQ(wrapped("ää öö", 5), "ää öö"); }

}  // namespace
}  // namespace hadal
