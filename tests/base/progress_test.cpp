// The bar's rate counts what is done while it runs, nothing else.
#include "base/progress.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>

namespace hadal {
namespace {

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of('\n');
  const std::size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - begin);
}

// The lines that `use` makes, with a pause before the last.
template <class Use>
std::string lines_of(Use use) {
  std::FILE* file = std::tmpfile();
  {
    Progress progress("work", 1000, "tokens", file);
    use(progress);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    progress.finish();
  }
  std::rewind(file);
  std::string text(1 << 12, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return text;
}

TEST(Progress, WhatWasDoneBeforeIsNoRate) {
  const std::string line = last_line(lines_of([](Progress& p) {
    p.update(0);
    p.skip_to(400);
    p.skip_to(1000);
  }));
  EXPECT_NE(line.find("1k tokens"), std::string::npos) << line;
  EXPECT_EQ(line.find("/s"), std::string::npos) << line;
}

TEST(Progress, WhatIsDoneAfterwardsIsCounted) {
  const std::string line = last_line(lines_of([](Progress& p) {
    p.skip_to(400);
    p.update(500);
    p.skip_to(900);
    p.update(1000);
  }));
  EXPECT_NE(line.find("/s"), std::string::npos) << line;
}

}  // namespace
}  // namespace hadal
