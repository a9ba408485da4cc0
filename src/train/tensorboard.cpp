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
  e.scalars = {{"loss/objective", m.objective},
               {"loss/lm_loss", m.lm_loss},
               {"loss/balance_loss", m.balance_loss},
               {"train/grad_norm", m.grad_norm},
               {"train/learning_rate", m.lr},
               {"train/gamma", m.gamma},
               {"train/lambda", m.lambda},
               {"speed/tokens_per_second", m.tokens_per_second},
               {"speed/share_of_peak", m.share_of_peak},
               {"speed/memory_gib", m.memory_gib}};
  for (std::size_t k = 0; k < m.mtp_loss.size(); ++k)
    e.scalars.push_back({fmt::format("loss/mtp_loss_{}", k + 1), m.mtp_loss[k]});
  for (std::size_t l = 0; l < m.max_violation.size() && l < gates.size(); ++l)
    e.scalars.push_back({"MaxVio/" + gates[l], m.max_violation[l]});
  for (const Validation& v : m.validations) {
    const std::string group = "validation/" + v.name + "/";
    e.scalars.push_back({group + "lm_loss", v.lm_loss});
    e.scalars.push_back({group + "bits_per_byte", v.bits_per_byte});
    e.scalars.push_back({group + "MaxVio", v.max_violation});
    for (std::size_t k = 0; k < v.mtp_acceptance.size(); ++k)
      e.scalars.push_back({fmt::format("{}mtp_{}_acceptance", group, k + 1), v.mtp_acceptance[k]});
  }
  for (std::size_t l = 0; l < m.loads_LE.size() && l < gates.size(); ++l)
    e.histograms.push_back({"tokens_per_expert/" + gates[l], m.loads_LE[l]});
  return e;
}

TensorBoardLog::TensorBoardLog(const std::filesystem::path& run_dir, std::int64_t step, const model::Config& config)
    : gates_(gate_names(config)), file_(run_dir / "tensorboard" / "events.out.tfevents.hadal", step) {}

void TensorBoardLog::append(const StepMetrics& m) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  file_.append(event_of(m, gates_, std::chrono::duration<double>(now).count()));
}

}  // namespace hadal::train
