#include "eval/mtp.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "model/accounting.h"

namespace hadal::eval {

namespace {

std::string write_config(model::Config config, std::int64_t modules, const fs::path& path) {
  config.num_nextn_predict_layers = modules;
  write_file_atomically(path, model::config_json(config, DType::f32));
  return path.string();
}

double flops_of(model::Config config, std::int64_t modules, std::int64_t sequence) {
  config.num_nextn_predict_layers = modules;
  return model::train_flops_per_token(config, sequence);
}

std::vector<const RunResult*> of_variant(const std::vector<RunResult>& runs, const std::string& variant) {
  std::vector<const RunResult*> found;
  for (const RunResult& r : runs) {
    if (r.plan.variant == variant) found.push_back(&r);
  }
  return found;
}

std::string percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace

std::vector<Plan> plan_mtp(const train::Recipe& recipe, const model::Config& config, std::int64_t modules,
                           const std::vector<std::int64_t>& seeds, const std::filesystem::path& folder) {
  const std::int64_t length = recipe.data.sequence_length;
  if (length <= modules) fail("data.sequence_length = {}: must be above --modules {}", length, modules);
  if (recipe.mtp.lambda <= 0) fail("mtp.lambda = {}: must be above 0 for the runs with MTP", recipe.mtp.lambda);
  const std::string with = write_config(config, modules, folder / "model-mtp.json"),
                    without = write_config(config, 0, folder / "model-plain.json");
  const double more = flops_of(config, modules, length) / flops_of(config, 0, length);
  std::vector<Plan> plans;
  for (const std::int64_t seed : seeds) {
    for (const std::string variant : {"mtp", "plain", "plain-more"}) {
      Plan p{fmt::format("seed{}-{}", seed, variant), variant, recipe, ""};
      p.recipe.model.config = variant == "mtp" ? with : without;
      p.recipe.model.seed = p.recipe.data.seed = seed;
      if (variant == "plain-more")
        p.recipe.train.tokens = std::llround(more * static_cast<double>(recipe.train.tokens));
      plans.push_back(p);
    }
  }
  return plans;
}

std::vector<MtpVerdict> judge_mtp(const std::vector<RunResult>& runs) {
  const auto mtp = of_variant(runs, "mtp"), plain = of_variant(runs, "plain"), more = of_variant(runs, "plain-more");
  std::vector<MtpVerdict> verdicts;
  for (std::size_t i = 0; i < mtp.size(); ++i) {
    const train::Evaluation e = mtp[i]->total();
    MtpVerdict v{mtp[i]->plan.recipe.model.seed, e.loss(), plain[i]->total().loss(), more[i]->total().loss(), {}, {}};
    for (std::size_t k = 0; k < e.drafts.size(); ++k) {
      v.acceptance.push_back(e.acceptance(k));
      v.chain.push_back(e.chain_acceptance(k));
    }
    verdicts.push_back(v);
  }
  return verdicts;
}

std::vector<PositionRange> gain_by_position(const std::vector<RunResult>& runs, const std::string& other) {
  const auto mtp = of_variant(runs, "mtp"), plain = of_variant(runs, other);
  std::vector<PositionRange> gain;
  for (std::size_t i = 0; i < mtp.size(); ++i) {
    const auto a = loss_by_position(mtp[i]->total()), b = loss_by_position(plain[i]->total());
    gain.resize(a.size());
    for (std::size_t r = 0; r < a.size(); ++r) {
      gain[r].first = a[r].first;
      gain[r].last = a[r].last;
      gain[r].loss += (a[r].loss - b[r].loss) / static_cast<double>(mtp.size());
    }
  }
  return gain;
}

std::vector<std::vector<std::string>> mtp_table(const std::vector<RunResult>& runs) {
  std::vector<std::vector<std::string>> table = {
      {"run", "tokens", "TFLOP", "held-out loss", "bits per byte", "MaxVio", "accepted, by depth"}};
  for (const RunResult& r : runs) {
    const train::Evaluation e = r.total();
    std::string accepted;
    for (std::size_t k = 0; k < e.drafts.size(); ++k) accepted += (k > 0 ? ", " : "") + percent(e.acceptance(k));
    table.push_back({r.plan.name, short_number(static_cast<double>(r.tokens)), fmt::format("{:.2f}", r.flops / 1e12),
                     fmt::format("{:.4f}", e.loss()), fmt::format("{:.4f}", e.bits_per_byte()),
                     fmt::format("{:.3f}", e.max_violation_mean()), accepted.empty() ? "-" : accepted});
  }
  return table;
}

std::vector<std::vector<std::string>> mtp_verdict_table(const std::vector<MtpVerdict>& verdicts) {
  std::vector<std::vector<std::string>> table = {{"seed", "loss: mtp", "plain", "plain-more",
                                                  "mtp against plain (same data)",
                                                  "against plain-more (same compute)"}};
  for (std::size_t k = 0; k < verdicts.front().acceptance.size(); ++k) {
    table[0].push_back(fmt::format("depth {} accepted", k + 1));
    if (k > 0) table[0].push_back(fmt::format("depths 1 to {}", k + 1));
  }
  for (const MtpVerdict& v : verdicts) {
    table.push_back({fmt::format("{}", v.seed), fmt::format("{:.4f}", v.loss_mtp), fmt::format("{:.4f}", v.loss_plain),
                     fmt::format("{:.4f}", v.loss_more), fmt::format("{:+.2f} %", 100 * v.change_same_data()),
                     fmt::format("{:+.2f} %", 100 * v.change_same_compute())});
    for (std::size_t k = 0; k < v.acceptance.size(); ++k) {
      table.back().push_back(percent(v.acceptance[k]));
      if (k > 0) table.back().push_back(percent(v.chain[k]));
    }
  }
  return table;
}

std::vector<std::vector<std::string>> position_table(const std::vector<RunResult>& runs) {
  std::vector<std::vector<std::string>> table = {
      {"position in the row", "mtp - plain (same data), nats", "mtp - plain-more (same compute), nats"}};
  const auto data = gain_by_position(runs, "plain"), compute = gain_by_position(runs, "plain-more");
  for (std::size_t i = 0; i < data.size(); ++i)
    table.push_back({data[i].first == data[i].last ? fmt::format("{}", data[i].first)
                                                   : fmt::format("{} to {}", data[i].first, data[i].last),
                     fmt::format("{:+.4f}", data[i].loss), fmt::format("{:+.4f}", compute[i].loss)});
  return table;
}

std::string mtp_json(const std::vector<RunResult>& runs, const std::string& source) {
  json all = json::array(), verdicts = json::array(), positions = json::array();
  for (const RunResult& r : runs) {
    json j = json::parse(run_json(r));
    json losses = json::array();
    for (const PositionRange& p : loss_by_position(r.total())) losses.push_back({p.first, p.last, p.loss});
    j["loss_by_position"] = losses;
    all.push_back(j);
  }
  for (const MtpVerdict& v : judge_mtp(runs))
    verdicts.push_back({{"seed", v.seed},
                        {"loss_mtp", v.loss_mtp},
                        {"loss_plain", v.loss_plain},
                        {"loss_plain_more", v.loss_more},
                        {"change_same_data", v.change_same_data()},
                        {"change_same_compute", v.change_same_compute()},
                        {"acceptance", v.acceptance},
                        {"chain_acceptance", v.chain}});
  const auto data = gain_by_position(runs, "plain"), compute = gain_by_position(runs, "plain-more");
  for (std::size_t i = 0; i < data.size(); ++i)
    positions.push_back({{"first", data[i].first},
                         {"last", data[i].last},
                         {"same_data", data[i].loss},
                         {"same_compute", compute[i].loss}});
  return json{{"study", "mtp"},
              {"source", source},
              {"verdicts", verdicts},
              {"gain_by_position", positions},
              {"runs", all}}
             .dump(1) +
         "\n";
}

}  // namespace hadal::eval
