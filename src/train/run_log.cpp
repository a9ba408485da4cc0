#include "train/run_log.h"

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
  attempt([&] { metrics_.append(m); });
  attempt([&] { board_.append(m); });
  const bool first = !problem.empty() && !told_;
  told_ = !problem.empty();
  return first ? fmt::format("{}: kept in memory, written when it can be", problem) : "";
}

void RunLog::flush() {
  metrics_.sync();
  board_.flush();
}

}  // namespace hadal::train
