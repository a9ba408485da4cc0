// Held-out loss in bits per byte, balance of the experts and MTP acceptance, teacher-forced.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "model/causal_lm.h"

namespace hadal::train {

struct Evaluation {
  double nats = 0;                                  // sum over predicted tokens
  std::int64_t tokens = 0;                          // predicted tokens
  std::int64_t bytes = 0;                           // UTF-8 bytes of the predicted tokens
  std::vector<std::vector<std::int64_t>> loads_LE;  // over the whole text (MaxVio_global), MoE layers only
  // Module k: how often its greedy guess for token i + k + 1 is the trunk's own greedy choice there.
  std::vector<std::int64_t> drafts, accepted;
  // The same, but only where the guesses of all modules before k for the tokens in between were right, too: what a
  // chain of drafts would keep.
  std::vector<std::int64_t> chained;
  // Of the predictions from position i of a row: nats and how many there were.
  std::vector<double> nats_T;
  std::vector<std::int64_t> tokens_T;
  double bits_per_byte() const;
  double loss() const;  // nats a token
  double max_violation_mean() const;
  double max_violation_worst() const;
  double acceptance(std::size_t module) const;
  double chain_acceptance(std::size_t module) const;
  // Adds another text's sums.
  void add(const Evaluation& other);
};

// rows: T + 1 tokens each, every one predicted once. bytes_of: UTF-8 bytes of a token. on_rows: called after each pass
// with the number of rows done; false ends the work, and then nothing is returned. May be null.
std::optional<Evaluation> evaluate(const kernels::Context& cx, const model::CausalLm& model,
                                   std::span<const std::vector<std::int32_t>> rows,
                                   const std::function<std::int64_t(std::int32_t)>& bytes_of,
                                   const std::function<bool(std::size_t)>& on_rows);

}  // namespace hadal::train
