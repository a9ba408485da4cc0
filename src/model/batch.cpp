#include "model/batch.h"

namespace hadal::model {

Batch batch_of_rows(const std::vector<std::vector<std::int32_t>>& rows,
                    const std::vector<std::vector<std::int32_t>>& documents) {
  HADAL_ASSERT(documents.empty() || documents.size() == rows.size());
  Batch b;
  std::vector<std::int32_t> tokens, positions;
  b.row_start = {0};
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const auto begin = static_cast<std::int64_t>(tokens.size());
    if (documents.empty()) b.seq_start.push_back(begin);
    for (std::size_t d = 0; !documents.empty() && d < documents[r].size(); ++d)
      b.seq_start.push_back(begin + documents[r][d]);
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      tokens.push_back(rows[r][i]);
      positions.push_back(static_cast<std::int32_t>(i));
    }
    b.row_start.push_back(static_cast<std::int64_t>(tokens.size()));
  }
  const auto count = static_cast<std::int64_t>(tokens.size());
  b.seq_start.push_back(count);
  b.tokens_T = Tensor::of<std::int32_t>(tokens, {count});
  b.positions_T = Tensor::of<std::int32_t>(positions, {count});
  return b;
}

}  // namespace hadal::model
