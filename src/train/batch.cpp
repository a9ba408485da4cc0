#include "train/batch.h"

#include "train/accumulate.h"

namespace hadal::train {

void run_batch(const BatchRun& run, const std::vector<SourceRow>& rows, StepMetrics& m) {
  const auto& [cx, model, optimizer, r, after_backward] = run;
  const auto all = static_cast<std::int64_t>(rows.size());
  const std::int64_t micro = r.train.micro_rows > 0 ? r.train.micro_rows : all;
  ObjectiveSettings s;
  s.mtp_lambda = m.lambda;
  s.balance_alpha = r.balance.alpha + r.balance.expert_alpha;
  s.device_alpha = r.balance.device_alpha;
  s.communication_alpha = r.balance.communication_alpha;
  s.global_tokens = all * r.data.sequence_length;
  s.global_rows = all;
  s.recompute = recompute_of(r);
  GradientTree tree(optimizer);
  const bool whole = micro == all;
  optimizer.zero_grads();
  for (std::int64_t first = 0; first < all; first += micro) {
    TrainRows part;
    for (std::int64_t i = first; i < first + micro; ++i) {
      const SourceRow& row = rows[static_cast<std::size_t>(i)];
      part.tokens.push_back(row.tokens);
      part.contexts.push_back(row.contexts);
      if (r.data.document_mask) part.documents.push_back(row.documents);
    }
    ObjectiveResult result;
    {
      autograd::Tape tape(cx);
      const Watch watch(tape, optimizer);
      result = run_objective(cx, model, part, s);
    }
    if (after_backward) after_backward(first, result);
    if (!whole) tree.take(cx);
    m.lm_loss += result.main;
    m.balance_loss += result.balance;
    if (s.device_alpha > 0) m.device_balance_loss += result.device_balance;
    if (s.communication_alpha > 0) m.communication_balance_loss += result.communication_balance;
    m.objective += result.total(s);
    m.mtp_loss.resize(result.mtp.size());
    for (std::size_t k = 0; k < result.mtp.size(); ++k) m.mtp_loss[k] += result.mtp[k];
    m.loads_LE.resize(result.loads_LE.size());
    for (std::size_t l = 0; l < result.loads_LE.size(); ++l) {
      m.loads_LE[l].resize(result.loads_LE[l].size());
      for (std::size_t e = 0; e < result.loads_LE[l].size(); ++e) m.loads_LE[l][e] += result.loads_LE[l][e];
    }
  }
  if (!whole) tree.finish(cx);
}

}  // namespace hadal::train
