// hadal watch RUN: a live view of a run that this or another process trains.
#include <sys/ioctl.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "cli/options.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "train/checkpoint.h"
#include "train/setup.h"
#include "train/tensorboard.h"
#include "train/watch.h"

namespace hadal::cli {

namespace {

struct Arguments {
  std::string run;
  bool once = false;
  double interval = 0;
};

// The other screen of the terminal, without a cursor; what was there before comes back with the end of this object.
class Screen {
 public:
  Screen() { fmt::print("\033[?1049h\033[?25l"); }
  ~Screen() {
    fmt::print("\033[?25h\033[?1049l");
    std::fflush(stdout);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  void show(const std::vector<std::string>& lines) {
    std::string frame = "\033[H";
    for (std::size_t i = 0; i < lines.size(); ++i) frame += (i == 0 ? "" : "\r\n") + lines[i] + "\033[K";
    fmt::print("{}\033[J", frame);
    std::fflush(stdout);
  }
};

// From the latest checkpoint, else from the recipe. A run that has neither yet has no names.
std::vector<std::string> gates_of(const fs::path& run) {
  const fs::path checkpoints = run / "checkpoints";
  std::vector<fs::path> steps;
  if (fs::is_directory(checkpoints)) {
    for (const auto& entry : fs::directory_iterator(checkpoints)) {
      if (fs::exists(entry.path() / "config.json")) steps.push_back(entry.path());
    }
  }
  if (!steps.empty()) return train::gate_names(model::load_config(*std::max_element(steps.begin(), steps.end())));
  if (!fs::exists(run / "recipe.toml")) return {};
  const train::Recipe recipe = train::load_recipe(run / "recipe.toml", {});
  const auto& m = recipe.model;
  const std::string& file = !m.config.empty() || !m.preset.empty() ? m.config : m.init_from;
  if (!file.empty() && !fs::exists(file)) return {};
  return train::gate_names(train::architecture(recipe));
}

void fit(train::View& view) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return;
  view.width = std::max<std::size_t>(size.ws_col, 40);
  view.height = std::max<std::size_t>(size.ws_row, 8);
}

train::View view_of(const Arguments& a) {
  train::View view;
  view.title = "hadal run " + fs::absolute(a.run).lexically_normal().string();
  return view;
}

void print_frame(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) fmt::print("{}\n", line);
}

// Sleeps in short naps, so that Ctrl-C is answered at once.
void nap(double seconds, const std::atomic<bool>& stop) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!stop.load() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void watch_on_terminal(const Arguments& a, train::MetricsFollower& follower) {
  const std::atomic<bool>& stop = stop_flag();
  train::View view = view_of(a);
  std::vector<std::string> frame;
  {
    Screen screen;
    do {
      follower.poll();
      fit(view);
      if (view.gates.empty() && !follower.steps().empty()) view.gates = gates_of(a.run);
      frame = train::draw_frame(follower.steps(), view, follower.seconds_since_last());
      screen.show(frame);
      if (!train::finished(follower.steps())) nap(a.interval > 0 ? a.interval : 0.5, stop);
    } while (!stop.load() && !train::finished(follower.steps()));
  }
  print_frame(frame);  // the last view stays on the terminal
}

void watch_in_lines(const Arguments& a, train::MetricsFollower& follower) {
  const std::atomic<bool>& stop = stop_flag();
  for (bool first = true; !stop.load(); first = false) {
    if (follower.poll() || first) {
      fmt::print("{}\n", train::draw_line(follower.steps()));
      std::fflush(stdout);
    }
    if (train::finished(follower.steps())) return;
    nap(a.interval > 0 ? a.interval : 5, stop);
  }
}

void run(const Arguments& a) {
  if (fs::exists(a.run) && !fs::is_directory(a.run)) fail("{}: is a file; a run is a folder", a.run);
  train::MetricsFollower follower(a.run);
  if (a.once) {
    train::View view = view_of(a);
    follower.poll();
    if (isatty(STDOUT_FILENO) == 1) fit(view);
    if (!follower.steps().empty()) view.gates = gates_of(a.run);
    print_frame(train::draw_frame(follower.steps(), view, follower.seconds_since_last()));
  } else if (isatty(STDOUT_FILENO) == 1) {
    watch_on_terminal(a, follower);
  } else {
    watch_in_lines(a, follower);
  }
}

}  // namespace

void add_watch(CLI::App& app) {
  auto a = std::make_shared<Arguments>();
  CLI::App* verb =
      app.add_subcommand("watch", "live view of a run: loss, speed, balance, ETA; Ctrl-C ends the view only");
  verb->add_option("run", a->run, "folder of the run; it need not exist yet")->required();
  verb->add_flag("--once", a->once, "print one view and end");
  verb->add_option("--interval", a->interval, "seconds between looks (0.5 on a terminal, 5 elsewhere)")
      ->check(positive());
  verb->callback([a] { run(*a); });
}

}  // namespace hadal::cli
