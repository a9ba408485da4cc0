#include "train/run_log.h"

#include <utility>

#include "base/error.h"

namespace hadal::train {

RunLog::RunLog(const std::filesystem::path& run_dir, std::int64_t step, const model::Config& config)
    : metrics_(run_dir / "metrics.jsonl", step), board_(run_dir, step, config) {}

std::string RunLog::append(const StepMetrics& m) {
  std::string problem;
  const auto attempt = [&](auto&& write) {
    try {
      write();
    } catch (const Error& e) {
      problem += fmt::format("{}{}", problem.empty() ? "" : "; ", e.what());
    }
  };
  attempt([&] { put_back(); });
  attempt([&] { metrics_.append(m); });
  attempt([&] { board_.append(m); });
  const bool first = !problem.empty() && !told_;
  told_ = !problem.empty();
  std::string said = std::exchange(put_back_, "");
  if (first) said += fmt::format("{}{}: kept in memory, written when it can be", said.empty() ? "" : "; ", problem);
  return said;
}

void RunLog::put_back() {
  if (metrics_.put_back())
    put_back_ = "metrics.jsonl was removed or replaced while the run went on: it is written again";
  if (board_.put_back() && put_back_.empty())
    put_back_ = "the event file was removed or replaced while the run went on: it is written again";
}

void RunLog::flush() {
  put_back();
  metrics_.sync();
  board_.flush();
}

}  // namespace hadal::train
