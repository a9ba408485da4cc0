// How a model wants its text to be sampled: what generation_config.json in its folder says, as far as hadal does it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace hadal::engine {

struct SamplingDefaults {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<std::int64_t> top_k, max_tokens;
  std::optional<std::int64_t> max_length;  // of prompt and text: hadal counts the text alone
  std::vector<std::string> stop;           // stop_strings
  std::vector<std::string> unsupported;  // "num_beams = 4": settings that change the text, and that hadal does not have
  std::string text() const;              // "temperature 0.6, top-p 0.95"; empty if the file states nothing
};

// do_sample = false is greedy: temperature 0. What the file does not state, or states as null, is left to the program.
// Without a file nothing is stated. Throws Error naming file, field and value if one has not the type or the range that
// it must have.
SamplingDefaults read_sampling_defaults(const std::filesystem::path& model_dir);

}  // namespace hadal::engine
