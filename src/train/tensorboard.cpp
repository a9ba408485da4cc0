#include "train/tensorboard.h"

#include <fmt/format.h>

#include <chrono>

namespace hadal::train {

std::vector<std::string> gate_names(const model::Config& c) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < c.num_hidden_layers; ++i) {
    if (c.is_moe_layer(i)) names.push_back(fmt::format("layer {}", i));
  }
  for (std::int64_t k = 0; k < c.num_nextn_predict_layers; ++k) names.push_back(fmt::format("MTP {}", k + 1));
  return names;
}

report::Event event_of(const StepMetrics& m, const std::vector<std::string>& gates, double wall_time) {
  report::Event e;
  e.wall_time = wall_time;
  e.step = m.step;
  e.scalars = {{"loss/total", m.loss},
               {"loss/main", m.main},
               {"loss/balance", m.balance},
               {"train/grad_norm", m.grad_norm},
               {"train/learning_rate", m.lr},
               {"train/gamma", m.gamma},
               {"train/lambda", m.lambda},
               {"speed/tokens_per_second", m.tokens_per_second},
               {"speed/share_of_peak", m.share_of_peak},
               {"speed/memory_gib", m.memory_gib}};
  for (std::size_t k = 0; k < m.mtp.size(); ++k) e.scalars.push_back({fmt::format("loss/mtp_{}", k + 1), m.mtp[k]});
  for (std::size_t l = 0; l < m.max_violation.size() && l < gates.size(); ++l)
    e.scalars.push_back({"MaxVio/" + gates[l], m.max_violation[l]});
  if (m.validated) {
    e.scalars.push_back({"heldout/bits_per_byte", m.heldout_bits_per_byte});
    e.scalars.push_back({"heldout/loss", m.heldout_loss});
    e.scalars.push_back({"heldout/MaxVio", m.heldout_max_violation});
    for (std::size_t k = 0; k < m.mtp_acceptance.size(); ++k)
      e.scalars.push_back({fmt::format("heldout/mtp_{}_acceptance", k + 1), m.mtp_acceptance[k]});
  }
  for (std::size_t l = 0; l < m.loads_LE.size() && l < gates.size(); ++l)
    e.histograms.push_back({"loads/" + gates[l], m.loads_LE[l]});
  return e;
}

TensorBoardLog::TensorBoardLog(const std::filesystem::path& run_dir, std::int64_t step, const model::Config& config)
    : gates_(gate_names(config)), file_(run_dir / "tensorboard" / "events.out.tfevents.hadal", step) {}

void TensorBoardLog::append(const StepMetrics& m) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  file_.append(event_of(m, gates_, std::chrono::duration<double>(now).count()));
}

}  // namespace hadal::train
