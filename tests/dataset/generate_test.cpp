// Generated text: the same from every compiler.
#include <gtest/gtest.h>

#include "data/generate.h"

namespace hadal::test {

namespace {

// FNV-1a.
std::uint64_t digest(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

}  // namespace

TEST(Generate, TextIsAsItAlwaysWas) {
  const std::pair<std::string_view, std::uint64_t> kinds[] = {{"prose", 11020732360353255223U},
                                                              {"code", 5007873701320154125U},
                                                              {"json", 3419899674893188301U},
                                                              {"numbers", 16737636128012438618U}};
  for (const auto& [kind, expected] : kinds) {
    std::string all;
    for (std::uint64_t number = 0; number < 20; ++number) all += data::generated_document(kind, 3, number, 2000);
    EXPECT_EQ(digest(all), expected) << kind << ": " << all.substr(0, 200);
  }
}

}  // namespace hadal::test
