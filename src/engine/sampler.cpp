#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/rng.h"

namespace hadal::engine {

namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();
constexpr double kSmallest = std::numeric_limits<float>::min(), kLargest = std::numeric_limits<float>::max();

std::vector<double> softmax(std::span<const float> logits) {
  const float most = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p(logits.size());
  double total = 0;
  for (std::size_t i = 0; i < p.size(); ++i) total += p[i] = std::exp(static_cast<double>(logits[i]) - most);
  for (double& v : p) v /= total;
  return p;
}

void penalise(std::span<float> logits, double penalty, std::span<const std::int32_t> history) {
  std::vector<std::int32_t> seen(history.begin(), history.end());
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  for (const std::int32_t id : seen) {
    if (id < 0 || static_cast<std::size_t>(id) >= logits.size()) continue;
    float& z = logits[static_cast<std::size_t>(id)];
    z = z < 0 ? z * static_cast<float>(penalty) : z / static_cast<float>(penalty);
  }
}

// z / T in float, as transformers computes it. Where T or the highest quotient has no place in float, the distances to
// the highest logit are divided instead, in double: the same distribution, and near T = 0 its limit.
void divide_by(std::span<float> logits, double temperature) {
  const double most = *std::max_element(logits.begin(), logits.end());
  if (temperature >= kSmallest && temperature <= kLargest && std::fabs(most) / temperature <= kLargest) {
    for (float& z : logits) z /= static_cast<float>(temperature);
    return;
  }
  for (float& z : logits) z = static_cast<float>(std::max((static_cast<double>(z) - most) / temperature, -kLargest));
}

void keep_top_k(std::span<float> logits, std::int64_t k) {
  if (k >= static_cast<std::int64_t>(logits.size())) return;
  std::vector<float> sorted(logits.begin(), logits.end());
  std::nth_element(sorted.begin(), sorted.begin() + (k - 1), sorted.end(), std::greater<>());
  const float least = sorted[static_cast<std::size_t>(k - 1)];
  for (float& z : logits) {
    if (z < least) z = kRemoved;
  }
}

// Keeps the most probable tokens up to and with the one that crosses p: one at least, as transformers does at p = 0.
void keep_top_p(std::span<float> logits, double top_p) {
  const std::vector<double> p = softmax(logits);
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
  double before = 0;
  for (const std::size_t i : order) {
    if (before >= top_p && i != order.front()) logits[i] = kRemoved;
    before += p[i];
  }
}

void keep_min_p(std::span<float> logits, double min_p) {
  const std::vector<double> p = softmax(logits);
  const double least = min_p * *std::max_element(p.begin(), p.end());
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] < least) logits[i] = kRemoved;
  }
}

}  // namespace

void SamplingSettings::check() const {
  if (!(temperature >= 0) || !std::isfinite(temperature))
    fail("temperature = {}: must be 0 (greedy) or above", temperature);
  if (top_k < 0) fail("top-k = {}: must be 0 (off) or above", top_k);
  if (!(top_p >= 0 && top_p <= 1)) fail("top-p = {}: must be from 0 to 1", top_p);
  if (!(min_p >= 0 && min_p <= 1)) fail("min-p = {}: must be from 0 to 1", min_p);
  if (!(repetition_penalty >= 1e-3 && repetition_penalty <= 1e3))  // beyond, logits leave the numbers of float
    fail("repetition penalty = {}: must be from 0.001 to 1000; 1 is off", repetition_penalty);
}

void filter_logits(std::span<float> logits, const SamplingSettings& s, std::span<const std::int32_t> history) {
  if (s.repetition_penalty != 1.0) penalise(logits, s.repetition_penalty, history);
  if (s.temperature != 1.0 && s.temperature > 0) divide_by(logits, s.temperature);
  if (s.top_k > 0) keep_top_k(logits, s.top_k);
  if (s.top_p < 1) keep_top_p(logits, s.top_p);
  if (s.min_p > 0) keep_min_p(logits, s.min_p);
}

std::int32_t sample(std::span<float> logits, const SamplingSettings& s, std::span<const std::int32_t> history,
                    std::int64_t position) {
  bool finite = false;  // one at least: -inf is a token that the model rules out
  for (const float z : logits) {
    finite = finite || std::isfinite(z);
    if (std::isnan(z) || z > kLargest)
      fail("the model's logits at position {} are not numbers: its weights are damaged", position);
  }
  if (!finite) fail("the model's logits at position {} are all -inf: its weights are damaged", position);
  if (s.temperature == 0) {
    if (s.repetition_penalty != 1.0) penalise(logits, s.repetition_penalty, history);
    return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  filter_logits(logits, s, history);
  const std::vector<double> p = softmax(logits);
  const double u = Rng(s.seed, 0, static_cast<std::uint64_t>(position)).uniform();
  double sum = 0;
  std::int32_t last = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) continue;
    last = static_cast<std::int32_t>(i);
    sum += p[i];
    if (u < sum) break;
  }
  return last;
}

}  // namespace hadal::engine
