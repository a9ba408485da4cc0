#include "train/metrics.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <variant>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "train/spike_guard.h"

namespace hadal::train {

namespace {

using Doubles = std::vector<double>;
using Loads = std::vector<std::vector<std::int64_t>>;

enum class Written : std::uint8_t { always, if_set };

// A key and the member that it stands for. older: the key's name in files from before November 2026.
template <class T>
struct Key {
  std::string_view name;
  std::variant<std::int64_t T::*, double T::*, bool T::*, Doubles T::*, Loads T::*> place;
  Written written = Written::always;
  std::string_view older = {};
};

using M = StepMetrics;
using V = Validation;
constexpr std::array kStepKeys = {
    Key<M>{"step", &M::step},
    Key<M>{"tokens", &M::tokens},
    Key<M>{"total_tokens", &M::total_tokens},
    Key<M>{"batch_size", &M::rows, Written::always, "rows"},
    Key<M>{"lm_loss", &M::lm_loss, Written::always, "main"},
    Key<M>{"mtp_loss", &M::mtp_loss, Written::always, "mtp"},
    Key<M>{"balance_loss", &M::balance_loss, Written::always, "balance"},
    Key<M>{"objective", &M::objective, Written::always, "loss"},
    Key<M>{"grad_norm", &M::grad_norm},
    Key<M>{"lr", &M::lr},
    Key<M>{"gamma", &M::gamma},
    Key<M>{"lambda", &M::lambda},
    Key<M>{"seconds", &M::seconds},
    Key<M>{"tokens_per_second", &M::tokens_per_second},
    Key<M>{"share_of_peak", &M::share_of_peak},
    Key<M>{"max_violation", &M::max_violation},
    Key<M>{"tokens_per_expert", &M::loads_LE, Written::always, "loads"},
    Key<M>{"memory_gib", &M::memory_gib},
    Key<M>{"device_balance_loss", &M::device_balance_loss, Written::if_set, "device_balance"},
    Key<M>{"communication_balance_loss", &M::communication_balance_loss, Written::if_set, "communication_balance"},
};
constexpr std::array kValidationKeys = {
    Key<V>{"rows", &V::rows},
    Key<V>{"whole", &V::whole},
    Key<V>{"lm_loss", &V::lm_loss},
    Key<V>{"bits_per_byte", &V::bits_per_byte},
    Key<V>{"max_violation", &V::max_violation},
    Key<V>{"mtp_acceptance", &V::mtp_acceptance},
};

template <class T, class Keys>
void write(json& j, const T& values, const Keys& keys) {
  for (const Key<T>& key : keys) {
    std::visit(
        [&](auto place) {
          const auto& value = values.*place;
          if (key.written == Written::always || value != std::decay_t<decltype(value)>{}) j[key.name] = value;
        },
        key.place);
  }
}

json to_object(const std::vector<Validation>& validations) {
  json j = json::object();
  for (const Validation& v : validations) write(j[v.name], v, kValidationKeys);
  return j;
}

// JSON has no NaN: it is written as null.
void take(const json& j, const std::string& key, double& value) {
  if (!j.is_null() && !j.is_number()) fail("key '{}' must be a number", key);
  value = j.is_null() ? std::numeric_limits<double>::quiet_NaN() : j.get<double>();
}

void take(const json& j, const std::string& key, std::int64_t& value) {
  constexpr std::uint64_t kMax = std::uint64_t{1} << 53;
  if (!j.is_number_unsigned() || j.get<std::uint64_t>() > kMax) fail("key '{}' must be a whole number, 0 or more", key);
  value = j.get<std::int64_t>();
}

void take(const json& j, const std::string& key, bool& value) {
  if (!j.is_boolean()) fail("key '{}' must be true or false", key);
  value = j.get<bool>();
}

template <class Item>
void take(const json& j, const std::string& key, std::vector<Item>& values) {
  if (!j.is_array()) fail("key '{}' must be a list", key);
  values.resize(j.size());
  for (std::size_t i = 0; i < values.size(); ++i) take(j[i], fmt::format("{}[{}]", key, i), values[i]);
}

template <class T, class Keys>
void read(const json& j, const std::string& above, T& values, const Keys& keys) {
  for (const Key<T>& key : keys) {
    auto found = j.find(key.name);
    if (found == j.end() && !key.older.empty()) found = j.find(key.older);
    if (found == j.end() && key.written == Written::if_set) continue;
    if (found == j.end()) fail("key '{}{}' is missing", above, key.name);
    std::visit([&](auto place) { take(*found, above + std::string(key.name), values.*place); }, key.place);
  }
}

// Names are shown on terminals and pages.
void check_name(const std::string& name) {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u < 0x20 || u == 0x7f;
  });
  if (name.empty() || name.size() > 200 || control || name.find("\xc2\x9b") != std::string::npos)
    fail("key 'validation': a name must have 1 to 200 bytes, none of them a control character");
}

std::vector<Validation> validations_of(const json& j) {
  if (!j.is_object()) fail("key 'validation' must hold an object per text");
  std::vector<Validation> all;
  for (const auto& [name, values] : j.items()) {
    check_name(name);
    if (!values.is_object()) fail("key 'validation' must hold an object per text");
    all.push_back({name});
    read(values, "validation.", all.back(), kValidationKeys);
  }
  return all;
}

// Files from before November 2026 do not say which rows were read.
Validation older_validation(const json& j) {
  Validation v{"held-out text"};
  take(j["heldout_bits_per_byte"], "heldout_bits_per_byte", v.bits_per_byte);
  if (j.contains("heldout_loss")) take(j["heldout_loss"], "heldout_loss", v.lm_loss);
  if (j.contains("heldout_max_violation")) take(j["heldout_max_violation"], "heldout_max_violation", v.max_violation);
  if (j.contains("mtp_acceptance")) take(j["mtp_acceptance"], "mtp_acceptance", v.mtp_acceptance);
  return v;
}

std::string cause_of(const json& j, const StepMetrics& m) {
  if (!j.contains("skipped")) return "";
  const json& value = j["skipped"];
  if (value.is_boolean())  // before November 2026
    return !value.get<bool>() ? "" : std::isfinite(m.objective) && std::isfinite(m.grad_norm) ? kSpike : kNotFinite;
  for (const char* cause : {kNotFinite, kLossSpike, kGradientSpike, kSpike}) {
    if (value == cause) return cause;
  }
  fail("key 'skipped' must be \"{}\", \"{}\" or \"{}\"", kNotFinite, kLossSpike, kGradientSpike);
}

StepMetrics from_json(const json& j) {
  if (!j.is_object()) fail("must be an object");
  StepMetrics m;
  read(j, "", m, kStepKeys);
  m.skipped = cause_of(j, m);
  if (j.contains("validation")) m.validations = validations_of(j["validation"]);
  if (j.contains("heldout_bits_per_byte")) m.validations.push_back(older_validation(j));
  return m;
}

void check_order(const StepMetrics& last, const StepMetrics& m) {
  if (m.step <= last.step) fail("step {} comes after step {}", m.step, last.step);
  if (m.tokens < last.tokens) fail("{} tokens come after {} tokens", m.tokens, last.tokens);
}

// Of which shape lists are: what reads a run relies on every step's being the same.
void check_shape(const StepMetrics& last, const StepMetrics& m) {
  const auto same = [](const char* key, std::size_t before, std::size_t now) {
    if (before != now) fail("key '{}' has {} entries, in the lines before it has {}", key, now, before);
  };
  same("mtp_loss", last.mtp_loss.size(), m.mtp_loss.size());
  same("max_violation", last.max_violation.size(), m.max_violation.size());
  same("tokens_per_expert", last.loads_LE.size(), m.loads_LE.size());
  for (std::size_t l = 0; l < m.loads_LE.size(); ++l)
    same("tokens_per_expert", last.loads_LE[l].size(), m.loads_LE[l].size());
}

// Calls f with each whole line.
template <class F>
void each_line(std::string_view text, F&& f) {
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1)
    f(text.substr(begin, end - begin));
}

}  // namespace

std::string to_json(const StepMetrics& m) {
  json j;
  write(j, m, kStepKeys);
  if (!m.skipped.empty()) j["skipped"] = m.skipped;
  if (!m.validations.empty()) j["validation"] = to_object(m.validations);
  return j.dump();
}

std::vector<std::string> metric_keys() {
  std::vector<std::string> names;
  names.reserve(std::size(kStepKeys) + 1 + std::size(kValidationKeys));
  for (const auto& key : kStepKeys) names.emplace_back(key.name);
  names.emplace_back("skipped");
  for (const auto& key : kValidationKeys) names.push_back("validation.NAME." + std::string(key.name));
  return names;
}

StepMetrics MetricsReader::line(std::string_view text) {
  const std::string where = fmt::format("{}:{}", what_, ++line_);
  const json j = parse_json(text, where);
  StepMetrics m;
  try {
    m = from_json(j);
    if (last_) {
      check_order(*last_, m);
      check_shape(*last_, m);
    }
  } catch (const Error& e) {
    fail("{}: not a line of metrics: {}", where, e.what());
  }
  last_ = m;
  return m;
}

std::vector<StepMetrics> MetricsReader::lines(std::string_view text) {
  std::vector<StepMetrics> all;
  each_line(text, [&](std::string_view one) { all.push_back(line(one)); });
  return all;
}

void each_step(const std::filesystem::path& path, const std::function<void(StepMetrics)>& f) {
  MetricsReader reader(path.string());
  each_line(read_whole_file(path), [&](std::string_view one) { f(reader.line(one)); });
}

std::vector<StepMetrics> read_metrics(const std::filesystem::path& path) {
  return MetricsReader(path.string()).lines(read_whole_file(path));
}

MetricsLog::MetricsLog(const std::filesystem::path& path, std::int64_t step) {
  std::string kept;
  if (fs::exists(path)) {
    MetricsReader reader(path.string());
    each_line(read_whole_file(path), [&](std::string_view one) {
      if (reader.line(one).step <= step) kept.append(one) += '\n';
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

void write_before(const std::filesystem::path& run_dir, const std::vector<Validation>& all) {
  write_file_atomically(run_dir / "before.json", json{{"validation", to_object(all)}}.dump() + "\n");
}

std::vector<Validation> read_before(const std::filesystem::path& run_dir) {
  const fs::path path = run_dir / "before.json";
  if (!fs::exists(path)) return {};
  const json j = read_json(path);
  try {
    if (j.is_object() && j.contains("heldout_bits_per_byte")) return {older_validation(j)};
    if (!j.is_object() || !j.contains("validation")) fail("key 'validation' is missing");
    return validations_of(j["validation"]);
  } catch (const Error& e) {
    fail("{}: {}", path.string(), e.what());
  }
}

}  // namespace hadal::train
