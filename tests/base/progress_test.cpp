// The bar's rate counts what is done while it runs, nothing else; its line fits the terminal, also one that changes.
#include "base/progress.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <fmt/core.h>

#include "base/report/text_plot.h"

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

ProgressState training() {
  return {"training",
          "tokens",
          812345,
          1800000,
          7213.4,
          100,
          false,
          {"lm loss 3.214", "mean of 20 3.301", "|g| 0.85", "MFU 45%", "MaxVio 0.52", "MTP loss 3.910", "step 412"}};
}

TEST(ProgressLine, FitsEveryWidthTheMostImportantFirst) {
  for (std::size_t width = 1; width <= 250; ++width)
    EXPECT_LE(report::shown_width(progress_line(training(), width)), width) << width;
  EXPECT_EQ(progress_line(training(), 40), "training  45%  ETA 2:17  lm loss 3.214");
  EXPECT_EQ(progress_line(training(), 80),
            "training [####.......]   45%  7.21k/s  ETA 2:17  lm loss 3.214  mean of 20 3.301");
  EXPECT_EQ(progress_line(training(), 200),
            "training [##################......................]   45%   812k/1.8M tokens  7.21k tokens/s  ETA 2:17  "
            "lm loss 3.214  mean of 20 3.301  |g| 0.85  MFU 45%  MaxVio 0.52  MTP loss 3.910  step 412");
  EXPECT_EQ(progress_line(training(), 12), "training  45");
}

TEST(ProgressLine, TheEndHasTheTimeItTook) {
  ProgressState s = training();
  s.done = s.total;
  s.finished = true;
  s.notes.clear();
  EXPECT_EQ(progress_line(s, 40), "training 100%  7.21k tokens/s  in 1:40");
}

TEST(ProgressLine, TheBarDoesNotJumpWithTheRate) {
  ProgressState state{"work", "tokens", 5000, 100000, 33000, 1, false, {"lm loss 3.214"}};
  const std::string round = progress_line(state, 79);
  state.rate = 33400;
  state.done = 5010;
  const std::string odd = progress_line(state, 79);
  EXPECT_EQ(round.find(']'), odd.find(']')) << round << "\n" << odd;
  EXPECT_EQ(round.find("ETA"), odd.find("ETA"));
  EXPECT_NE(round.find("    33k/s"), std::string::npos) << round;
}

TEST(ProgressLine, WithoutATotalThereIsNoBarAndNoEta) {
  EXPECT_EQ(progress_line({"reading", "bytes", 2500000, 0, 1e6, 2.5}, 200), "reading 2.5M bytes  1M bytes/s");
}

TEST(ProgressLine, ColourTakesNoRoom) {
  std::string line = progress_line(training(), 80, true);
  EXPECT_NE(line.find("\033[36m####\033[0m"), std::string::npos) << line;
  for (const char* code : {"\033[36m", "\033[0m"}) line.erase(line.find(code), std::string(code).size());
  EXPECT_EQ(line, progress_line(training(), 80));
}

// A pseudo-terminal whose window has `columns`.
class Pty {
 public:
  explicit Pty(unsigned short columns) {
    int slave = -1;
    if (::openpty(&master_, &slave, nullptr, nullptr, nullptr) != 0) std::abort();
    stream_ = ::fdopen(slave, "w");
    resize(columns);
  }
  ~Pty() {
    std::fclose(stream_);
    ::close(master_);
  }
  void resize(unsigned short columns) {
    winsize size{};
    size.ws_row = 24;
    size.ws_col = columns;
    ::ioctl(master_, TIOCSWINSZ, &size);
  }
  // All up to `end`: what is written arrives in pieces. If it never comes, all that did within ten seconds.
  std::string read_to(const std::string& end) {
    std::string all;
    pollfd ready{master_, POLLIN, 0};
    while (!all.ends_with(end) && ::poll(&ready, 1, 10000) > 0) {
      char c = 0;
      if (::read(master_, &c, 1) != 1) break;
      all += c;
    }
    return all;
  }
  std::FILE* stream() { return stream_; }

 private:
  int master_ = -1;
  std::FILE* stream_ = nullptr;
};

// The environment for the life of this object.
struct Variable {
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }
  const char* name_;
};

TEST(Progress, FollowsTheWindow) {
  const Variable no_colour("NO_COLOR", "1"), term("TERM", "xterm");
  Pty pty(200);
  Progress progress("work", 1000, "tokens", pty.stream());
  const std::vector<std::string> notes = {"lm loss 3.2", std::string(90, 'x')};
  progress.set_rate(50);
  progress.update(500, notes);
  const std::string wide = pty.read_to(notes[1]);
  EXPECT_TRUE(wide.starts_with("\r\033[Kwork [")) << wide;
  EXPECT_NE(wide.find(notes[1]), std::string::npos) << wide;
  EXPECT_NE(wide.find("ETA 0:10"), std::string::npos) << wide;
  pty.resize(50);
  progress.message("a message");  // it draws the bar again
  std::string narrow = pty.read_to("lm loss 3.2");
  // The bar stood in one row of 200; in rows of 50 the cursor has come down with its end.
  const std::size_t rows = (report::shown_width(wide.substr(4)) - 1) / 50;
  ASSERT_TRUE(narrow.starts_with(fmt::format("\r\033[{}A\033[J", rows) + "a message\r\n")) << narrow;
  narrow.erase(0, narrow.find("\n") + 1);
  EXPECT_TRUE(narrow.starts_with("\r\033[Kwork ")) << narrow;
  EXPECT_LT(report::shown_width(narrow.substr(4)), 50u) << narrow;
  EXPECT_NE(narrow.find("lm loss 3.2"), std::string::npos) << narrow;
  EXPECT_EQ(narrow.find("xxx"), std::string::npos) << narrow;
}

TEST(Progress, AMessageIsBrokenBetweenWords) {
  const Variable no_colour("NO_COLOR", "1"), term("TERM", "xterm");
  Pty pty(30);
  Progress progress("work", 1000, "tokens", pty.stream());
  progress.message("a message that is longer than one row");
  const std::string text = pty.read_to("one row");
  EXPECT_NE(text.find("a message that is longer than\r\n  one row"), std::string::npos) << text;
}

TEST(Progress, ColourOnlyWhereItIsWanted) {
  const Variable term("TERM", "xterm");
  const auto shown = [](const std::string& end) {
    Pty pty(100);
    Progress progress("work", 1000, "tokens", pty.stream());
    progress.update(500);
    return pty.read_to(end);
  };
  EXPECT_NE(shown("1k tokens").find("\033[36m"), std::string::npos);
  {
    const Variable no_colour("NO_COLOR", "1");
    EXPECT_EQ(shown("1k tokens").find("\033[36m"), std::string::npos);
  }
  const Variable dumb("TERM", "dumb");
  EXPECT_EQ(shown("\n"), "work  50%  500/1k tokens\r\n") << "a line as in a log";
}

}  // namespace
}  // namespace hadal
