#include "eval/measure.h"

#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"
#include "base/json.h"
#include "data/shard.h"

namespace hadal::eval {

std::uint64_t hash_of(const std::vector<Kind>& kinds) {
  std::uint64_t hash = 0;
  const auto add = [&](const auto& values) { hash = data::hash_bytes(std::as_bytes(std::span(values)), hash + 1); };
  for (const Kind& kind : kinds) {
    add(kind.name);
    for (const auto& row : kind.rows) add(row);
  }
  return hash;
}

std::int64_t predicted_tokens(const Kind& kind) {
  std::int64_t n = 0;
  for (const auto& row : kind.rows) n += static_cast<std::int64_t>(row.size()) - 1;
  return n;
}

train::Evaluation total_of(const std::vector<KindResult>& kinds) {
  train::Evaluation total;
  for (const KindResult& k : kinds) total.add(k.evaluation);
  return total;
}

std::vector<double> specialisation(const std::vector<KindResult>& kinds) {
  std::vector<double> by_layer;
  const std::size_t layers = kinds.empty() ? 0 : kinds.front().evaluation.loads_LE.size();
  for (std::size_t l = 0; l < layers; ++l) {
    std::vector<std::vector<double>> shares;
    for (const KindResult& k : kinds) {
      const auto& loads = k.evaluation.loads_LE[l];
      const auto sum = static_cast<double>(std::accumulate(loads.begin(), loads.end(), std::int64_t{0}));
      std::vector<double> share;
      for (const std::int64_t n : loads) share.push_back(sum > 0 ? static_cast<double>(n) / sum : 0);
      shares.push_back(share);
    }
    const auto count = static_cast<double>(shares.size());
    double distance = 0;
    for (std::size_t e = 0; e < shares[0].size(); ++e) {
      double mean = 0;
      for (const auto& share : shares) mean += share[e] / count;
      for (const auto& share : shares) distance += std::abs(share[e] - mean) / 2 / count;
    }
    by_layer.push_back(distance);
  }
  return by_layer;
}

std::vector<PositionRange> loss_by_position(const train::Evaluation& e) {
  std::vector<PositionRange> ranges;
  const auto length = static_cast<std::int64_t>(e.nats_T.size());
  for (std::int64_t first = 1, last = 1; first <= length; first = last + 1, last = std::min(length, 2 * last)) {
    double nats = 0;
    std::int64_t tokens = 0;
    for (std::int64_t i = first; i <= last; ++i) {
      nats += e.nats_T[static_cast<std::size_t>(i - 1)];
      tokens += e.tokens_T[static_cast<std::size_t>(i - 1)];
    }
    ranges.push_back({first, last, nats / static_cast<double>(tokens)});
  }
  return ranges;
}

std::optional<std::vector<KindResult>> measure(const kernels::Context& cx, const model::CausalLm& model,
                                               const std::vector<Kind>& kinds,
                                               const std::function<std::int64_t(std::int32_t)>& bytes_of,
                                               const std::atomic<bool>* stop,
                                               const std::function<void(std::int64_t)>& on_progress) {
  std::vector<KindResult> results;
  std::int64_t done = 0;
  for (const Kind& kind : kinds) {
    if (stop != nullptr && stop->load()) return std::nullopt;
    std::size_t rows = 0;
    auto evaluation = train::evaluate(cx, model, kind.rows, bytes_of, [&](std::size_t now) {
      for (; rows < now; ++rows) done += static_cast<std::int64_t>(kind.rows[rows].size()) - 1;
      if (on_progress) on_progress(done);
      return stop == nullptr || !stop->load();
    });
    if (!evaluation) return std::nullopt;
    results.push_back({kind.name, std::move(*evaluation)});
  }
  return results;
}

std::string to_text(const std::vector<KindResult>& kinds, const std::string& key) {
  json all = json::array();
  for (const KindResult& k : kinds) {
    const train::Evaluation& e = k.evaluation;
    all.push_back({{"name", k.name},
                   {"nats", e.nats},
                   {"tokens", e.tokens},
                   {"bytes", e.bytes},
                   {"loads", e.loads_LE},
                   {"drafts", e.drafts},
                   {"accepted", e.accepted},
                   {"chained", e.chained},
                   {"nats_by_position", e.nats_T},
                   {"tokens_by_position", e.tokens_T}});
  }
  return json{{"key", key}, {"kinds", all}}.dump() + "\n";
}

std::optional<std::vector<KindResult>> from_text(const std::string& text, const std::string& key,
                                                 const std::string& what) {
  const json document = parse_json(text, what);
  const JsonField j(document, what);
  if (j.at("key").string() != key) return std::nullopt;
  std::vector<KindResult> kinds;
  for (const JsonField& k : j.at("kinds").items()) {
    train::Evaluation e;
    e.nats = k.at("nats").number();
    e.tokens = k.at("tokens").integer(0);
    e.bytes = k.at("bytes").integer(0);
    for (const JsonField& layer : k.at("loads").items()) e.loads_LE.push_back(layer.integers(0));
    e.drafts = k.at("drafts").integers(0);
    e.accepted = k.at("accepted").integers(0);
    e.chained = k.at("chained").integers(0);
    e.nats_T = k.at("nats_by_position").numbers();
    e.tokens_T = k.at("tokens_by_position").integers(0);
    kinds.push_back({k.at("name").string(), std::move(e)});
  }
  return kinds;
}

}  // namespace hadal::eval
