// The MTP study: the same model trained with MTP modules, without them on the same data, and without them on as much
// more data as takes the same compute.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "eval/study.h"
#include "model/config.h"

namespace hadal::eval {

// For each seed three plans: "mtp", "plain" (as many tokens), "plain-more" (as many FLOPs, more tokens). Writes the two
// architectures to FOLDER/model-mtp.json and FOLDER/model-plain.json, which the plans name. Throws Error if the rows
// are too short for the modules, or mtp.lambda is 0.
std::vector<Plan> plan_mtp(const train::Recipe& recipe, const model::Config& config, std::int64_t modules,
                           const std::vector<std::int64_t>& seeds, const std::filesystem::path& folder);

// Of one seed. Changes are relative: below 0, MTP is better.
struct MtpVerdict {
  std::int64_t seed = 0;
  double loss_mtp = 0, loss_plain = 0, loss_more = 0;
  std::vector<double> acceptance, chain;  // by module
  double change_same_data() const { return loss_mtp / loss_plain - 1; }
  double change_same_compute() const { return loss_mtp / loss_more - 1; }
};
std::vector<MtpVerdict> judge_mtp(const std::vector<RunResult>& runs);

// Loss of "mtp" less that of `other`, in nats, by position in the row; mean over the seeds.
std::vector<PositionRange> gain_by_position(const std::vector<RunResult>& runs, const std::string& other);

// Rows for a terminal or a page, header first.
std::vector<std::vector<std::string>> mtp_table(const std::vector<RunResult>& runs);
std::vector<std::vector<std::string>> mtp_verdict_table(const std::vector<MtpVerdict>& verdicts);
std::vector<std::vector<std::string>> position_table(const std::vector<RunResult>& runs);

std::string mtp_json(const std::vector<RunResult>& runs, const std::string& source);
void write_mtp_report(const std::filesystem::path& path, const std::vector<RunResult>& runs,
                      const model::Config& config, const std::string& source);

}  // namespace hadal::eval
