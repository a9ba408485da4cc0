// trainer/state.json of a checkpoint, and what the guard reads of it. First line "whole": the checksum is made to fit,
// so that what stands behind it is tried, too.
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "fuzz/targets.h"
#include "train/spike_guard.h"
#include "train/trainer_state.h"

namespace hadal::fuzz {

namespace {

// As train/trainer_state.cpp has it.
std::string checksum_of(const std::string& text) {
  std::uint64_t h = 0x9e3779b97f4a7c15ull ^ text.size();
  for (std::size_t i = 0; i < text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, std::min<std::size_t>(8, text.size() - i));
    h = std::rotl((h ^ word) * 0xff51afd7ed558ccdull, 31);
  }
  return fmt::format("{:016x}", h ^ (h >> 33));
}

std::string with_checksum(std::string_view input) {
  hadal::json j;
  try {
    j = parse_json(input, "state");
  } catch (const Error&) {
    return std::string(input);
  }
  if (!j.is_object()) return std::string(input);
  j.erase("checksum");
  const std::string text = j.dump();
  j["checksum"] = checksum_of(text);
  return j.dump();
}

}  // namespace

void state(std::string_view input) {
  std::string_view rest = input;
  const bool whole = first_line(rest) == "whole";
  write("step-00000003/trainer/state.json", whole ? with_checksum(rest) : std::string(input));
  train::TrainerState s;
  if (!expect_error_names("state.json", [&] { s = train::read_state(folder() / "step-00000003"); })) return;
#ifdef HADAL_PLANTED_BUG
  const std::vector<int> steps(4);
  require(steps.data()[s.best_step] == 0, "a step that is set");  // -1 is none
#endif
  expect_error_names("guard", [&] {
    train::SpikeGuard guard({});
    guard.restore(s.guard);
    train::SpikeGuard again({});
    again.restore(guard.state());
    require(again.state() == guard.state(), "the guard's state is another");
  });
  expect_error_names("step-00000003", [&] { train::check_files(folder() / "step-00000003", s); });
}

}  // namespace hadal::fuzz
