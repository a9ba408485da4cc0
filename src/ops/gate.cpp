#include "ops/gate.h"

#include <algorithm>

#include "autograd/tape.h"
#include "ops/common.h"

namespace hadal::ops {

namespace {

void check_forced(const Tensor& forced, std::int64_t rows, std::int64_t experts, std::int64_t top_k) {
  require(forced.shape() == Shape{rows, top_k} && forced.dtype() == DType::i32, "gate", "forced routing (T, k) i32",
          {&forced});
  const auto* ids = forced.data<std::int32_t>();
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t j = 0; j < top_k; ++j) {
      const std::int32_t id = ids[t * top_k + j];
      if (id < 0 || id >= experts || (j > 0 && id <= ids[t * top_k + j - 1])) {
        fail("[gate] forced routing of row {} must be {} rising expert numbers below {}", t, top_k, experts);
      }
    }
  }
}

// What a sequence's losses are made of.
struct SequenceStatistics {
  std::vector<double> share;        // (E) P
  std::vector<std::int64_t> count;  // (E) tokens of each expert
  std::vector<std::int64_t> sent;   // (D) tokens with an expert in the group
};

SequenceStatistics statistics_of(const GateResult& r, const Tensor& scores, std::int64_t begin, std::int64_t end,
                                 std::int64_t groups) {
  const std::int64_t experts = scores.size(1), k = r.ids_TK.size(1), group_size = experts / groups;
  SequenceStatistics s{std::vector<double>(static_cast<std::size_t>(experts)),
                       std::vector<std::int64_t>(static_cast<std::size_t>(experts)),
                       std::vector<std::int64_t>(static_cast<std::size_t>(groups))};
  for (std::int64_t t = begin; t < end; ++t) {
    std::int64_t last_group = -1;
    for (std::int64_t j = 0; j < k; ++j) {
      const std::int32_t id = r.ids_TK.data<std::int32_t>()[t * k + j];
      ++s.count[static_cast<std::size_t>(id)];
      // Ids rise, so a group's come one after the other.
      const std::int64_t group = id / group_size;
      if (group != last_group) ++s.sent[static_cast<std::size_t>(group)];
      last_group = group;
    }
    const float* row = scores.data<float>() + t * experts;
    double total = 0;
    for (std::int64_t e = 0; e < experts; ++e) total += row[e];
    for (std::int64_t e = 0; e < experts; ++e) s.share[static_cast<std::size_t>(e)] += row[e] / total;
  }
  for (double& p : s.share) p /= static_cast<double>(std::max<std::int64_t>(1, end - begin));
  return s;
}

// Adds the losses to r, and makes f (sequences, E): what the gradient of each P_e is, coefficients included, over T.
void balance_statistics(GateResult& r, const Tensor& scores, const GateSettings& settings, const Balance& balance,
                        Tensor& f, Tensor& sequence_of) {
  const std::int64_t experts = scores.size(1), k = r.ids_TK.size(1), groups = settings.groups,
                     group_size = experts / groups, sequences = static_cast<std::int64_t>(balance.starts.size()) - 1;
  f = Tensor::zeros({sequences, experts}, DType::f32);
  sequence_of = Tensor::zeros({scores.size(0)}, DType::i32);
  for (std::int64_t s = 0; s < sequences; ++s) {
    const std::int64_t begin = balance.starts[static_cast<std::size_t>(s)],
                       end = balance.starts[static_cast<std::size_t>(s) + 1];
    if (begin == end) continue;
    std::fill(sequence_of.data<std::int32_t>() + begin, sequence_of.data<std::int32_t>() + end,
              static_cast<std::int32_t>(s));
    const SequenceStatistics stats = statistics_of(r, scores, begin, end, groups);
    const auto length = static_cast<double>(end - begin);
    for (std::int64_t g = 0; g < groups; ++g) {
      double device_f = 0, device_share = 0, loss = 0;
      const double scale = static_cast<double>(experts) / (static_cast<double>(k) * length);
      for (std::int64_t e = g * group_size; e < (g + 1) * group_size; ++e) {
        const double fe = scale * static_cast<double>(stats.count[static_cast<std::size_t>(e)]);
        device_f += fe / static_cast<double>(group_size);
        device_share += stats.share[static_cast<std::size_t>(e)];
        loss += fe * stats.share[static_cast<std::size_t>(e)];
        f.data<float>()[s * experts + e] = static_cast<float>(balance.coefficient * fe / length);
      }
      const double sent_f = static_cast<double>(groups) / (static_cast<double>(settings.top_groups) * length) *
                            static_cast<double>(stats.sent[static_cast<std::size_t>(g)]);
      r.balance += loss;
      r.device_balance += device_f * device_share;
      r.communication_balance += sent_f * device_share;
      const double of_group =
          (balance.device_coefficient * device_f + balance.communication_coefficient * sent_f) / length;
      if (of_group == 0) continue;
      for (std::int64_t e = g * group_size; e < (g + 1) * group_size; ++e)
        f.data<float>()[s * experts + e] += static_cast<float>(of_group);
    }
  }
}

}  // namespace

GateResult gate(const kernels::Context& cx, const Tensor& logits, const Tensor& bias, const GateSettings& settings,
                const Tensor& forced, const Balance& balance) {
  require(logits.rank() == 2 && logits.dtype() == DType::f32 && settings.top_k <= logits.size(1), "gate",
          "logits (T, E) f32 with E >= k", {&logits});
  const std::int64_t rows = logits.size(0), experts = logits.size(1), k = settings.top_k;
  if (forced.defined()) check_forced(forced, rows, experts, k);
  GateResult r{Tensor::empty({rows, k}, DType::i32), Tensor::empty({rows, k}, DType::f32),
               Tensor::zeros({experts}, DType::i64)};
  Tensor scores = Tensor::empty({rows, experts}, DType::f32);
  kernels::run(cx, kernels::Gate{.rows = rows,
                                 .experts = experts,
                                 .top_k = k,
                                 .score = settings.score,
                                 .group_score = settings.group_score,
                                 .groups = settings.groups,
                                 .top_groups = settings.top_groups,
                                 .normalise = settings.normalise,
                                 .scale = settings.scale,
                                 .logits = logits.data<float>(),
                                 .bias = bias.defined() ? bias.data<float>() : nullptr,
                                 .forced = forced.defined() ? forced.data<std::int32_t>() : nullptr,
                                 .scores = scores.data<float>(),
                                 .ids = r.ids_TK.data<std::int32_t>(),
                                 .weights = r.weights_TK.data<float>()});
  for (const std::int32_t id : r.ids_TK.span<std::int32_t>()) ++r.loads_E.data<std::int64_t>()[id];
  Tensor f, sequence_of;
  if (!balance.starts.empty()) balance_statistics(r, scores, settings, balance, f, sequence_of);
  if (autograd::Tape* tape = autograd::tape_of({&logits})) {
    if (balance.coefficient == 0 && balance.device_coefficient == 0 && balance.communication_coefficient == 0)
      f = Tensor();
    tape->record(r.weights_TK, [&cx, logits = logits.shell(), settings, scores, ids = r.ids_TK, f, sequence_of, rows,
                                experts, k](Tensor grad) {
      Tensor d_logits = Tensor::empty(logits.shape(), DType::f32);
      kernels::run(cx,
                   kernels::GateBackward{.rows = rows,
                                         .experts = experts,
                                         .top_k = k,
                                         .score = settings.score,
                                         .normalise = settings.normalise,
                                         .scale = settings.scale,
                                         .scores = scores.data<float>(),
                                         .ids = ids.data<std::int32_t>(),
                                         .d_weights = grad.data<float>(),
                                         .balance_f = f.defined() ? f.data<float>() : nullptr,
                                         .balance_sequence = f.defined() ? sequence_of.data<std::int32_t>() : nullptr,
                                         .d_logits = d_logits.data<float>()});
      autograd::accumulate(logits, std::move(d_logits));
    });
  }
  return r;
}

}  // namespace hadal::ops
