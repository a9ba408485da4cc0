// One flat batch for trainer and engine: no (B, T) padding; documents and requests are both sequences.
#pragma once

#include <vector>

#include "ops/cache_view.h"
#include "tensor/tensor.h"

namespace hadal::model {

struct Batch {
  Tensor tokens_T;                      // i32
  Tensor positions_T;                   // i32, for RoPE
  std::vector<std::int64_t> seq_start;  // (S + 1): rows whose keys see each other
  // Training rows: the sequences of the balance loss and of MTP. Each is made of whole sequences. (R + 1)
  std::vector<std::int64_t> row_start;
  const ops::CacheView* cache = nullptr;  // serving: keys come from it
  // The choice of experts as an input: one (rows, k) i32 tensor for every MoE layer, then one for every MTP module; or
  // empty.
  std::vector<Tensor> forced_routing;
};

// A batch of whole rows of tokens, positions running on in each row. documents: rows' inner document starts, for a mask
// (empty: every row is one sequence).
Batch batch_of_rows(const std::vector<std::vector<std::int32_t>>& rows,
                    const std::vector<std::vector<std::int32_t>>& documents = {});

}  // namespace hadal::model
