#include "engine/bench.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/rng.h"
#include "model/build.h"

namespace hadal::engine {

namespace {

using Clock = std::chrono::steady_clock;

double weight_bytes(const model::CausalLm& model) {
  const model::Config& c = model.config();
  double bytes = 0;
  for (const model::ParameterShape& p : model::layout(c)) {
    // Of the embedding a token reads one row.
    const bool row = p.parameter.name == "model.embed_tokens.weight" && !c.tie_word_embeddings;
    if (p.mtp || row) continue;
    double n = static_cast<double>(numel(p.shape));
    if (p.parameter.stacked) n *= static_cast<double>(c.num_experts_per_tok) / static_cast<double>(c.n_routed_experts);
    const bool compute =
        p.parameter.kind == nn::ParameterKind::matrix || p.parameter.kind == nn::ParameterKind::embedding;
    bytes += n * static_cast<double>(size_of(compute ? model.act() : DType::f32));
  }
  return bytes;
}

}  // namespace

DecodeResult bench_decode(kernels::Context& cx, const model::CausalLm& model, const DecodeBench& s) {
  const std::int64_t positions = s.context + s.tokens + 1;
  KvCache cache(model, s.form, positions);
  Sequence sequence;
  Rng random(1, "decode");
  const auto draw = [&](std::int64_t n) {
    std::vector<std::int32_t> tokens;
    for (std::int64_t i = 0; i < n; ++i) {
      tokens.push_back(static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(model.config().vocab_size))));
    }
    return tokens;
  };
  const std::vector<std::int32_t> prompt = draw(s.context);
  const StepItem first{&sequence, prompt};
  step(cx, model, cache, {&first, 1});
  std::vector<double> seconds;
  DecodeResult result;
  for (std::int64_t i = 0; i < s.tokens; ++i) {
    const bool last = i + 1 == s.tokens;
    if (last) cx.set_profile(&result.profile);
    const std::vector<std::int32_t> token = draw(1);
    const StepItem item{&sequence, token};
    const Clock::time_point start = Clock::now();
    model.logits(cx, step(cx, model, cache, {&item, 1}).hidden_TD);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  cx.set_profile(nullptr);
  result.profiled_seconds = seconds.back();
  result.mean = std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
  std::sort(seconds.begin(), seconds.end());
  const double middle = static_cast<double>(s.context) + static_cast<double>(s.tokens) / 2;
  result.best = seconds.front();
  result.median = seconds[seconds.size() / 2];
  result.weight_bytes = weight_bytes(model);
  result.cache_bytes = middle * static_cast<double>(cache.bytes_per_token());
  return result;
}

}  // namespace hadal::engine
