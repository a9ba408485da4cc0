// hadal watch RUN: a live view of a run that this or another process trains, or of several.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/terminal.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/run_json.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "train/checkpoint.h"
#include "train/compare.h"
#include "train/report_words.h"
#include "train/setup.h"
#include "train/tensorboard.h"
#include "train/watch.h"

namespace hadal::cli {

namespace {

struct Arguments {
  std::vector<std::string> runs;
  bool once = false, as_json = false;
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

// From the latest checkpoint, else from the recipe. A run that has neither yet has no names. Throws Error for damaged
// ones.
std::vector<std::string> read_gates(const fs::path& run) {
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

// The view is worth having without names, too.
std::vector<std::string> gates_of(const fs::path& run) {
  try {
    return read_gates(run);
  } catch (const Error&) {
    return {};
  }
}

void fit(train::View& view) {
  const TerminalSize size = terminal_size(stdout);
  view.width = std::max<std::size_t>(size.columns, 40);
  view.height = std::max<std::size_t>(size.rows, 9) - 1;  // what comes after it pushes no line out
  view.colour = shows_colour(stdout);
}

// One run or several, as they are now.
class Watched {
 public:
  explicit Watched(const std::vector<std::string>& runs) : dirs_(runs.begin(), runs.end()) {
    for (const fs::path& dir : dirs_) followers_.emplace_back(dir);
    if (runs.size() > 1) names_ = train::distinct_names(dirs_);
    view_.title = "hadal run " + fs::absolute(dirs_.front()).lexically_normal().string();
  }

  // Whether anything has changed.
  bool poll() {
    bool changed = false;
    for (train::MetricsFollower& f : followers_) changed = f.poll() || changed;
    return changed;
  }

  bool finished() const {
    return std::all_of(followers_.begin(), followers_.end(),
                       [](const train::MetricsFollower& f) { return train::finished(f.steps()); });
  }

  std::vector<std::string> frame(bool terminal) {
    if (terminal) fit(view_);
    if (followers_.size() > 1) return train::draw_comparison(views(), train::recipe_differences(names_, dirs_), view_);
    const train::MetricsFollower& f = followers_.front();
    if (view_.gates.empty() && !f.steps().empty()) view_.gates = gates_of(dirs_.front());
    return train::draw_frame(f.steps(), view_, f.seconds_since_last());
  }

  json state() {
    json all = json::array();
    for (std::size_t i = 0; i < dirs_.size(); ++i) {
      const train::MetricsFollower& f = followers_[i];
      const bool begun = !f.steps().empty(), done = train::finished(f.steps());
      json j = {{"run", dirs_[i].string()}, {"state", done ? "finished" : begun ? "training" : "waiting"}};
      j.update(run_figures(f.steps()));
      j["max_violation_of"] = gates_of(dirs_[i]);
      j["eta_seconds"] = begun ? json(train::seconds_left(f.steps())) : json();
      j["seconds_since_last_step"] = begun ? json(f.seconds_since_last()) : json();
      all.push_back(j);
    }
    return all.size() == 1 ? all.front() : all;
  }

  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < followers_.size(); ++i)
      all.push_back((names_.empty() ? "" : names_[i] + ": ") + train::draw_line(followers_[i].steps()));
    return all;
  }

 private:
  std::vector<train::RunView> views() const {
    std::vector<train::RunView> all;
    for (std::size_t i = 0; i < followers_.size(); ++i)
      all.push_back({names_[i], &followers_[i].steps(), followers_[i].seconds_since_last()});
    return all;
  }

  std::vector<fs::path> dirs_;
  std::vector<train::MetricsFollower> followers_;
  std::vector<std::string> names_;  // empty for one run
  train::View view_;
};

void print(const std::vector<std::string>& lines) {
  for (const std::string& line : lines) fmt::print("{}\n", line);
  std::fflush(stdout);
}

// Sleeps in short naps, so that Ctrl-C is answered at once.
void nap(double seconds, const std::atomic<bool>& stop) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!stop.load() && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void watch_on_terminal(const Arguments& a, Watched& watched) {
  const std::atomic<bool>& stop = stop_flag();
  std::vector<std::string> frame;
  {
    Screen screen;
    do {
      watched.poll();
      frame = watched.frame(true);
      screen.show(frame);
      if (!watched.finished()) nap(a.interval > 0 ? a.interval : 0.5, stop);
    } while (!stop.load() && !watched.finished());
  }
  print(frame);  // the last view stays on the terminal
}

void watch_in_lines(const Arguments& a, Watched& watched) {
  const std::atomic<bool>& stop = stop_flag();
  for (std::vector<std::string> before; !stop.load();) {
    watched.poll();
    std::vector<std::string> now = watched.lines();
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (before.empty() || before[i] != now[i]) fmt::print("{}\n", now[i]);
    }
    std::fflush(stdout);
    before = std::move(now);
    if (watched.finished()) return;
    nap(a.interval > 0 ? a.interval : 5, stop);
  }
}

void run(const Arguments& a) {
  for (const std::string& run : a.runs) {
    if (fs::exists(run) && !fs::is_directory(run)) fail("{}: is a file; a run is a folder", run);
  }
  Watched watched(a.runs);
  if (a.as_json) {
    watched.poll();
    print_json(watched.state());
  } else if (a.once) {
    watched.poll();
    print(watched.frame(can_redraw(stdout)));
  } else if (can_redraw(stdout)) {
    watch_on_terminal(a, watched);
  } else {
    watch_in_lines(a, watched);
  }
}

std::string words() {
  std::string text = "Means and the ETA are over the last 20 steps.\n";
  for (const auto& [word, meaning] : train::report_words()) text += fmt::format("  {}: {}\n", word, meaning);
  return text + "docs/training.md explains all figures.";
}

}  // namespace

void add_watch(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("watch", "live view of a run: loss, speed, balance, ETA; Ctrl-C ends the view only");
  verb.add_option("run", a->runs, "folder of the run, which need not exist yet; of several: one view of all")
      .required();
  verb.add_flag("--once", a->once, "print one view and end");
  add_json(verb, a->as_json, "print the present state as one JSON object, of several runs as a list, and end");
  verb.add_option("--interval", a->interval, "seconds between looks (0.5 on a terminal, 5 elsewhere)").rule(positive());
  verb.footer(words());
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
