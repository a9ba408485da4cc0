// What the values of a recipe may be, each for itself and against the others. What depends on files is checked in
// setup.cpp.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "train/recipe_text.h"

namespace hadal::train {

namespace {

constexpr double kAny = std::numeric_limits<double>::infinity();
constexpr double kStepTokens = 1 << 27;  // V3's batch has 2^26
constexpr double kTokens = 0x1p53;  // schedules are shares of the tokens in double, which holds integers up to here

// Numbers by themselves; of a list, each.
struct Bound {
  std::string_view key;
  double low, high;
};
constexpr Bound kBounds[] = {{"model.vocab_size", 0, 1 << 24},
                             {"model.seed", 0, kAny},
                             {"model.init_std", 0, 100},
                             {"model.embedding_std", 0, 100},
                             {"data.weights", 0, kAny},
                             {"data.epochs", 0, kAny},
                             {"data.sequence_length", 2, 1 << 24},
                             {"data.seed", 0, kAny},
                             {"data.fim_rate", 0, 1},
                             {"data.split_rate", 0, 1},
                             {"train.tokens", 1, kTokens},
                             {"train.rows", 1, kAny},
                             {"train.rows_start", 0, kAny},
                             {"train.ramp_share", 0, 1},
                             {"train.rows_multiple", 0, kAny},
                             {"train.micro_rows", 0, kAny},
                             {"train.threads", 0, 1024},
                             {"lr.peak", 0, 1000},
                             {"lr.final", 0, 1000},
                             {"lr.warmup_share", 0, 1},
                             {"lr.stable_share", 0, 1},
                             {"lr.tail_from", 0, 1},
                             {"lr.tail_lr", 0, 1000},
                             {"optimizer.weight_decay", 0, kAny},
                             {"optimizer.clip", 0, kAny},
                             {"guard.z", 0, kAny},
                             {"guard.grad_z", 0, kAny},
                             {"guard.window", 2, 1 << 20},
                             {"guard.most_in_row", 0, kAny},
                             {"balance.gamma", 0, 10},
                             {"balance.gamma_final", 0, 10},
                             {"balance.gamma_until", 0, 1},
                             {"balance.alpha", 0, 1000},
                             {"balance.expert_alpha", 0, 1000},
                             {"balance.device_alpha", 0, 1000},
                             {"balance.communication_alpha", 0, 1000},
                             {"mtp.lambda", 0, 1000},
                             {"mtp.lambda_final", 0, 1000},
                             {"mtp.lambda_until", 0, 1},
                             {"validation.every", 0, kAny},
                             {"validation.rows", 1, kAny},
                             {"checkpoint.every", 0, kAny},
                             {"checkpoint.keep", 1, kAny}};

// A key's numbers as double, integers rounded: bounds above 2^53 are kAny.
std::vector<double> numbers_of(const RecipeKey& key) {
  if (const auto* v = std::get_if<double*>(&key.value)) return {**v};
  if (const auto* v = std::get_if<std::int64_t*>(&key.value)) return {static_cast<double>(**v)};
  if (const auto* v = std::get_if<std::vector<double>*>(&key.value)) return **v;
  return {};
}

bool is_real(const RecipeKey& key) {
  return std::holds_alternative<double*>(key.value) || std::holds_alternative<std::vector<double>*>(key.value);
}

// Kernels take their settings in f32: 0, or what f32 holds in full precision.
bool in_f32(double v) {
  const double size = std::abs(v);
  return v == 0 || (size >= std::numeric_limits<float>::min() && size <= std::numeric_limits<float>::max());
}

// 1 - v is what a new value counts: f32 must hold it to a hundredth.
bool decays_in_f32(double v) {
  const double rest = 1 - static_cast<double>(static_cast<float>(v));
  return std::abs(rest - (1 - v)) <= 0.01 * (1 - v);
}

class Checker {
 public:
  Checker(Recipe& recipe, const Sources& sources) : r_(recipe), all_(keys(recipe)), sources_(sources) {}
  void numbers() const;
  void choices() const;
  void rows() const;
  void schedules() const;
  void data() const;

 private:
  bool is_set(std::string_view key) const { return sources_.contains(key); }
  std::string value_of(std::string_view key) const { return value_text(*find_key(all_, key)); }
  void want(bool ok, std::string_view key, std::string_view rule) const {
    if (ok) return;
    const auto found = sources_.find(key);
    fail("{}: key '{}' = {}: must be {}", found != sources_.end() ? found->second : sources_.at(""), key, value_of(key),
         rule);
  }
  // Of two keys, what `key` must be beside `other`: the one that was set is named first, with the value of both.
  void want_beside(bool ok, std::string_view key, std::string_view other, std::string_view rule) const {
    if (ok) return;
    if (is_set(key) || !is_set(other)) want(false, key, fmt::format("{} ({} = {})", rule, other, value_of(other)));
    fail("{}: key '{}' = {}: {} = {} must be {}", sources_.find(other)->second, other, value_of(other), key,
         value_of(key), rule);
  }

  const Recipe& r_;
  std::vector<RecipeKey> all_;
  const Sources& sources_;
};

void Checker::numbers() const {
  for (const RecipeKey& key : all_) {
    const std::vector<double> values = numbers_of(key);
    want(std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }), key.name, "finite");
    want(!is_real(key) || std::all_of(values.begin(), values.end(), in_f32), key.name,
         "0 or of a size that f32 holds: 1.2e-38 to 3.4e38");
  }
  for (const Bound& b : kBounds) {
    const std::string rule =
        b.high == kAny ? fmt::format("{} or more", b.low) : fmt::format("from {:.17g} to {:.17g}", b.low, b.high);
    if (!is_set(b.key)) continue;  // train.tokens not named yet
    for (const double v : numbers_of(*find_key(all_, b.key))) want(v >= b.low && v <= b.high, b.key, rule);
  }
  const auto& o = r_.optimizer;
  for (const auto& [key, v] : {std::pair{"optimizer.beta1", o.beta1}, std::pair{"optimizer.beta2", o.beta2},
                               std::pair{"optimizer.ema", o.ema}}) {
    want(v >= 0 && v < 1, key, "in [0, 1)");
    want(decays_in_f32(v), key, "so far from 1 that f32 holds the distance, as 0.99999");
  }
  want(o.eps > 0, "optimizer.eps", "above 0");
  const double std = r_.model.embedding_std;
  want(std == 0 || std >= 1e-12, "model.embedding_std", "0 or from 1e-12 to 100: gradients of smaller ones overflow");
}

void Checker::choices() const {
  const std::string &dtype = r_.model.dtype, &recompute = r_.train.recompute, &moments = r_.optimizer.moments;
  want(dtype == "f32" || dtype == "bf16" || dtype == "fp8", "model.dtype", "\"f32\", \"bf16\" or \"fp8\"");
  want(recompute == "none" || recompute == "selective" || recompute == "blocks", "train.recompute",
       "\"none\", \"selective\" or \"blocks\"");
  want(moments == "f32" || moments == "bf16", "optimizer.moments", "\"f32\" or \"bf16\"");
  want(r_.model.preset.empty() || model::is_preset(r_.model.preset), "model.preset", "one of " + model::preset_names());
}

void Checker::rows() const {
  const auto& t = r_.train;
  want_beside(t.rows <= static_cast<std::int64_t>(kStepTokens) / r_.data.sequence_length, "train.rows",
              "data.sequence_length", "so few that rows x data.sequence_length is at most 134217728");
  want_beside(t.micro_rows == 0 || t.rows % t.micro_rows == 0, "train.micro_rows", "train.rows",
              "0 or a divisor of train.rows");
  const std::int64_t multiple = rows_multiple(r_);
  want_beside(t.micro_rows == 0 || multiple % t.micro_rows == 0, "train.rows_multiple", "train.micro_rows",
              "0 or a multiple of train.micro_rows");
  want_beside(t.rows % multiple == 0, "train.rows_multiple", "train.rows", "0 or a divisor of train.rows");
  want_beside(t.rows_start <= t.rows, "train.rows_start", "train.rows", "at most train.rows");
  want_beside(t.rows_start % multiple == 0, "train.rows_start",
              t.rows_multiple > 0 ? "train.rows_multiple" : "train.micro_rows",
              fmt::format("0 or a multiple of {}", multiple));
}

void Checker::schedules() const {
  const auto& lr = r_.lr;
  want_beside(lr.warmup_share + lr.stable_share <= 1, "lr.stable_share", "lr.warmup_share",
              "from 0 to 1 - lr.warmup_share");
  want_beside(lr.tail_from.size() == lr.tail_lr.size(), "lr.tail_lr", "lr.tail_from", "as long as lr.tail_from");
  want(std::is_sorted(lr.tail_from.begin(), lr.tail_from.end()), "lr.tail_from", "in rising order");
  const double highest_tail = lr.tail_lr.empty() ? 0 : *std::max_element(lr.tail_lr.begin(), lr.tail_lr.end());
  for (const auto& [key, rate] :
       {std::pair{"lr.peak", lr.peak}, std::pair{"lr.final", lr.final}, std::pair{"lr.tail_lr", highest_tail}}) {
    want_beside(rate * r_.optimizer.weight_decay <= 1, key, "optimizer.weight_decay",
                "at most 1 / optimizer.weight_decay: a step must not turn weights round");
  }
}

void Checker::data() const {
  const auto& d = r_.data;
  // Where nothing is said of them a plan does without.
  want(!d.tokenizer.empty() || !is_set("data.tokenizer"), "data.tokenizer", "a folder with tokenizer.json");
  want(!d.train.empty() || !is_set("data.train"), "data.train", "one folder of token shards at least");
  want(std::find(d.train.begin(), d.train.end(), "") == d.train.end(), "data.train", "names of folders, none empty");
  want(d.weights.empty() || *std::max_element(d.weights.begin(), d.weights.end()) > 0, "data.weights",
       "above 0 somewhere");
  want_beside(d.weights.empty() || d.weights.size() == d.train.size(), "data.weights", "data.train",
              "one number for each folder of data.train");
  want_beside(d.epochs.empty() || d.epochs.size() == d.train.size(), "data.epochs", "data.train",
              "one number for each folder of data.train");
}

}  // namespace

void check_ranges(Recipe& recipe, const Sources& sources) {
  const Checker check(recipe, sources);
  check.numbers();
  check.choices();
  check.rows();
  check.schedules();
  check.data();
}

}  // namespace hadal::train
