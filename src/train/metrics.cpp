#include "train/metrics.h"

#include <sys/resource.h>

#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace hadal::train {

std::string to_json(const StepMetrics& m) {
  json j = {{"step", m.step},
            {"tokens", m.tokens},
            {"total_tokens", m.total_tokens},
            {"rows", m.rows},
            {"loss", m.loss},
            {"main", m.main},
            {"mtp", m.mtp},
            {"balance", m.balance},
            {"grad_norm", m.grad_norm},
            {"lr", m.lr},
            {"gamma", m.gamma},
            {"lambda", m.lambda},
            {"seconds", m.seconds},
            {"tokens_per_second", m.tokens_per_second},
            {"share_of_peak", m.share_of_peak},
            {"max_violation", m.max_violation},
            {"loads", m.loads_LE},
            {"memory_gib", m.memory_gib}};
  if (m.device_balance != 0) j["device_balance"] = m.device_balance;
  if (m.communication_balance != 0) j["communication_balance"] = m.communication_balance;
  if (m.skipped) j["skipped"] = true;
  if (m.validated) {
    j["heldout_bits_per_byte"] = m.heldout_bits_per_byte;
    j["heldout_loss"] = m.heldout_loss;
    j["heldout_max_violation"] = m.heldout_max_violation;
    j["mtp_acceptance"] = m.mtp_acceptance;
  }
  return j.dump();
}

namespace {

// JSON has no NaN: it is written as null.
double number(const json& j) { return j.is_null() ? std::numeric_limits<double>::quiet_NaN() : j.get<double>(); }
double number(const json& j, const char* key) { return j.contains(key) ? number(j[key]) : 0; }

StepMetrics from_json(const json& j) {
  StepMetrics m;
  m.step = j.at("step").get<std::int64_t>();
  m.tokens = j.at("tokens").get<std::int64_t>();
  m.total_tokens = j.at("total_tokens").get<std::int64_t>();
  m.rows = j.value("rows", std::int64_t{0});
  m.loss = number(j, "loss");
  m.main = number(j, "main");
  m.balance = number(j, "balance");
  m.device_balance = number(j, "device_balance");
  m.communication_balance = number(j, "communication_balance");
  m.grad_norm = number(j, "grad_norm");
  m.lr = number(j, "lr");
  m.gamma = number(j, "gamma");
  m.lambda = number(j, "lambda");
  m.seconds = number(j, "seconds");
  m.tokens_per_second = number(j, "tokens_per_second");
  m.share_of_peak = number(j, "share_of_peak");
  m.memory_gib = number(j, "memory_gib");
  m.loads_LE = j.at("loads").get<std::vector<std::vector<std::int64_t>>>();
  for (const json& v : j.at("mtp")) m.mtp.push_back(number(v));
  for (const json& v : j.at("max_violation")) m.max_violation.push_back(number(v));
  m.skipped = j.value("skipped", false);
  m.validated = j.contains("heldout_bits_per_byte");
  if (m.validated) {
    m.heldout_bits_per_byte = number(j, "heldout_bits_per_byte");
    m.heldout_loss = number(j, "heldout_loss");
    m.heldout_max_violation = number(j, "heldout_max_violation");
    for (const json& v : j.at("mtp_acceptance")) m.mtp_acceptance.push_back(number(v));
  }
  return m;
}

// Calls f(line's text, its values) for each whole line; the last is left out while it has no end.
template <class F>
void each_line(std::string_view text, const std::string& what, std::size_t first_line, F&& f) {
  std::size_t begin = 0;
  for (std::size_t number = first_line; begin < text.size(); ++number) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(begin, end - begin);
    StepMetrics m;
    try {
      m = from_json(json::parse(line));
    } catch (const json::exception& e) {
      fail("{}:{}: not a line of metrics: {}", what, number, reason_of(e));
    }
    f(line, std::move(m));
    begin = end + 1;
  }
}

}  // namespace

std::vector<StepMetrics> parse_metrics(std::string_view text, const std::string& what, std::size_t first_line) {
  std::vector<StepMetrics> all;
  each_line(text, what, first_line, [&](std::string_view, StepMetrics m) { all.push_back(std::move(m)); });
  return all;
}

std::vector<StepMetrics> read_metrics(const std::filesystem::path& path) {
  return parse_metrics(read_file(path), path.string(), 1);
}

MetricsLog::MetricsLog(const std::filesystem::path& path, std::int64_t step) {
  std::string kept;
  if (fs::exists(path)) {
    each_line(read_file(path), path.string(), 1, [&](std::string_view line, const StepMetrics& m) {
      if (m.step <= step) kept.append(line) += '\n';
    });
  }
  write_file_atomically(path, kept);
  file_ = std::make_unique<GrowingFile>(path, kept.size());
}

double peak_memory_gib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}

double read_before(const std::filesystem::path& run_dir) {
  const fs::path path = run_dir / "before.json";
  return fs::exists(path) ? number(read_json(path), "heldout_bits_per_byte") : 0;
}

}  // namespace hadal::train
