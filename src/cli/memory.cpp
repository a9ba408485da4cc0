#include "cli/memory.h"

#include "base/error.h"
#include "base/progress.h"
#include "cli/options.h"
#include "model/accounting.h"

namespace hadal::cli {

void add_memory_limit(Command verb, std::size_t& bytes) {
  verb.add_option("--memory-limit", bytes, "most memory it may take, as 8GiB; 0: what cgroup and system leave")
      .rule(byte_size());
}

MemoryLimit limit_of(std::size_t option) { return option > 0 ? MemoryLimit{option, "--memory-limit"} : memory_limit(); }

std::size_t program_bytes() {
  constexpr std::size_t kRun = 8 << 20;  // docs/LOG.md
  return resident_bytes() + kRun;
}

std::string size_text(std::size_t bytes) {
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  const auto size = static_cast<double>(bytes);
  return size < kGiB / 10 ? fmt::format("{:.1f} MiB", size / kMiB) : fmt::format("{:.2f} GiB", size / kGiB);
}

namespace {

std::string both(std::size_t bytes) { return fmt::format("{} ({} bytes)", size_text(bytes), bytes); }

std::string list_of(const std::vector<train::Remedy>& remedies) {
  std::string list;
  for (const train::Remedy& r : remedies) {
    if (!list.empty()) list += ", or ";
    for (const std::string& s : r.settings) list += "--set '" + s + "' ";
    list += fmt::format("({})", size_text(r.bytes));
  }
  return list;
}

}  // namespace

void require_memory(const kernels::Context& cx, const MemoryNeed& need) {
  const std::size_t limit = need.limit.bytes;
  train::Recipe smallest = need.recipe;
  smallest.optimizer.moments = "bf16";
  if (const std::size_t least = train::least_memory(smallest, need.config) + program_bytes(); least > limit) {
    const model::Accounting count = model::account(need.config, need.recipe.data.sequence_length);
    fail(
        "training {} parameters needs {} at the very least for weights, gradients and moments, {} is {}: take a "
        "smaller model",
        short_number(static_cast<double>(count.parameters + count.mtp_parameters)), both(least), need.limit.source,
        both(limit));
  }
  const train::MemoryPlan plan = train::plan_memory(cx, need.recipe, need.config, need.heldout_rows);
  const std::size_t taken = program_bytes(), needed = plan.total() + taken;
  if (needed <= limit) return;
  const std::vector<train::Remedy> fitting =
      train::remedies(cx, need.recipe, need.config, need.heldout_rows, taken, limit);
  fail("training needs {}, {} is {}; {}", both(needed), need.limit.source, both(limit),
       fitting.empty()
           ? "neither recompute, nor smaller micro-batches, nor bf16 moments make it fit: take a smaller model"
           : "what fits: " + list_of(fitting));
}

}  // namespace hadal::cli
