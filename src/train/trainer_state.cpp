#include "train/trainer_state.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "train/checkpoint.h"

namespace hadal::train {

namespace {

constexpr const char* kFormat = "hadal-trainer-2";
constexpr const char* kStateFile = "trainer/state.json";

// A fast 64-bit hash: finds damage and edits, is no protection against malice.
class Checksum {
 public:
  explicit Checksum(std::uint64_t size) : h_(0x9e3779b97f4a7c15ull ^ size) {}
  void add(std::span<const std::byte> piece) {
    for (std::size_t i = 0; i < piece.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, piece.data() + i, std::min<std::size_t>(piece.size() - i, 8));
      h_ = std::rotl((h_ ^ word) * 0xff51afd7ed558ccdull, 31);
    }
  }
  std::string text() const { return fmt::format("{:016x}", h_ ^ (h_ >> 33)); }

 private:
  std::uint64_t h_;
};

std::string checksum_of_file(const fs::path& path) {
  struct stat info {};
  ::close(open_regular(path, info));  // a pipe or a device may have no end
  Checksum sum(static_cast<std::uint64_t>(info.st_size));
  // Read, not mapped: a map's pages would count as memory of this process.
  read_pieces(path, 1 << 20, [&](std::span<const std::byte> piece) { sum.add(piece); });
  return sum.text();
}

std::string checksum_of_text(std::string_view text) {
  Checksum sum(text.size());
  sum.add(std::as_bytes(std::span(text)));
  return sum.text();
}

json to_json(const TrainerState& s) {
  return {{"format", kFormat},
          {"step", s.step},
          {"tokens", s.tokens},
          {"updates", s.updates},
          {"loader", s.loader},
          {"guard", s.guard},
          {"recipe", s.recipe},
          {"best_bits_per_byte", s.best_bits_per_byte},
          {"best_step", s.best_step},
          {"build", s.build},
          {"isa", s.isa},
          {"seconds", s.seconds},
          {"validation", s.validation},
          {"pending", s.pending},
          {"checksums", s.checksums}};
}

TrainerState from_json(const JsonField& j) {
  TrainerState s;
  s.step = j.at("step").integer(0);
  s.tokens = j.at("tokens").integer(0);
  s.updates = j.at("updates").integer(0, s.step);
  s.loader = j.at("loader").string();
  s.guard = j.at("guard").string();
  s.recipe = j.at("recipe").string();
  s.best_bits_per_byte = j.at("best_bits_per_byte").number();
  s.best_step = j.at("best_step").integer(-1);
  s.build = j.at("build").string();
  s.isa = j.at("isa").string();
  s.seconds = j.at("seconds").number();
  s.validation = j.at("validation").string();
  s.pending = j.at("pending").string();
  for (const auto& [name, sum] : j.at("checksums").members()) s.checksums[name] = sum.string();
  return s;
}

void check_values(const TrainerState& s, const fs::path& checkpoint, const std::string& where) {
  if (checkpoint.filename() != checkpoint_dir("", s.step).filename()) {
    fail("{}: is of step {}: the folder must be called {}", where, s.step,
         checkpoint_dir("", s.step).filename().string());
  }
  for (const char* name : {"model.safetensors", "config.json", "trainer/moments.safetensors"}) {
    if (!s.checksums.contains(name)) fail("{}: the checksum of {} is missing", where, name);
  }
}

}  // namespace

void write_state(const fs::path& checkpoint, TrainerState state) {
  state.checksums.clear();
  for (const auto& entry : fs::recursive_directory_iterator(checkpoint)) {
    const std::string name = entry.path().lexically_relative(checkpoint).string();
    if (entry.is_regular_file() && name != kStateFile) state.checksums[name] = checksum_of_file(entry.path());
  }
  json j = to_json(state);
  j["checksum"] = checksum_of_text(j.dump());
  write_file_atomically(checkpoint / kStateFile, j.dump(1));
}

TrainerState read_state(const fs::path& checkpoint) {
  const fs::path path = checkpoint / kStateFile;
  json j = read_json(path);
  const JsonField fields(j, path.string());
  if (fields.at("format").string() != kFormat) {
    fail("{}: format must be '{}': another version of hadal wrote it, of which only the weights can be used",
         path.string(), kFormat);
  }
  const std::string sum = fields.at("checksum").string();
  j.erase("checksum");
  if (checksum_of_text(j.dump()) != sum) {
    fail("{}: differs from what was saved (its checksum is of other values): restore it", path.string());
  }
  TrainerState s = from_json(fields);
  check_values(s, checkpoint, path.string());
  return s;
}

void check_files(const fs::path& checkpoint, const TrainerState& state) {
  for (const auto& [name, sum] : state.checksums) {
    if (checksum_of_file(checkpoint / name) != sum)
      fail("{}: the file is damaged or was edited (its checksum differs from {})", (checkpoint / name).string(),
           kStateFile);
  }
}

}  // namespace hadal::train
