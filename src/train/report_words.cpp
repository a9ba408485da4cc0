#include "train/report_words.h"

#include "base/error.h"

namespace hadal::train {

std::vector<std::pair<std::string, std::string>> report_words() {
  return {
      {"lm loss",
       "cross-entropy of the next token, in nats per token: the mean of -ln(probability of the token that came)"},
      {"MTP loss", "the same for an MTP module, which predicts a token further on"},
      {"bits per byte",
       "the lm loss in bits per UTF-8 byte of the text: comparable between tokenizers, and what a compressor that uses "
       "the model would need"},
      {"|g|", "gradient norm: length of the gradient of all parameters together, before clipping"},
      {"MaxVio",
       "(tokens of the busiest expert - mean) / mean: 0 is perfect balance, 1 means that one expert gets twice its "
       "share"},
      {"MFU",
       "model FLOPs utilisation, the share of the rate of this machine's best floating-point instruction that the "
       "model's own arithmetic reaches"},
      {"tokens/s", "of training steps; validations, checkpoints and pauses are not counted"},
      {"MTP acceptance", "how often the greedy guess of an MTP module is what the model itself chooses there"},
      {"validation", "a text that is not trained on; its name says how much of it was read"},
  };
}

std::string meaning_of(const std::string& word) {
  for (const auto& [known, meaning] : report_words()) {
    if (known == word) return meaning;
  }
  HADAL_ASSERT(!"a word without a meaning");
  return "";
}

}  // namespace hadal::train
