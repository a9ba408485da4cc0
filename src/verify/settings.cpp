#include "verify/settings.h"

#include <sstream>

#include "base/error.h"

namespace hadal::verify {

namespace {

double number(const std::string& text, const std::string& file, const std::string& key) {
  try {
    std::size_t used = 0;
    const double v = std::stod(text, &used);
    if (used == text.size()) return v;
  } catch (const std::exception&) {
  }
  fail("{}: metadata '{}' = '{}' is not a number", file, key, text);
}

// "adamw lr=1e-3 beta1=0.9 beta2=0.95 eps=1e-8 decay=0.1 decay_dims>=2 clip=1.0"
void read_optimizer(Settings& s, const std::string& text, const std::string& file) {
  std::istringstream words(text);
  std::string word;
  words >> word;
  if (word != "adamw") fail("{}: metadata 'optimizer' names '{}': only adamw is known", file, word);
  while (words >> word) {
    if (word == "decay_dims>=2") continue;
    const auto equals = word.find('=');
    const std::string key = word.substr(0, equals);
    const double value = number(equals == std::string::npos ? "" : word.substr(equals + 1), file, "optimizer " + key);
    if (key == "lr") {
      s.lr = value;
    } else if (key == "beta1") {
      s.adamw.beta1 = value;
    } else if (key == "beta2") {
      s.adamw.beta2 = value;
    } else if (key == "eps") {
      s.adamw.eps = value;
    } else if (key == "decay") {
      s.adamw.decay = value;
    } else if (key == "clip") {
      s.clip = value;
    } else {
      fail("{}: metadata 'optimizer' has the unknown setting '{}'", file, word);
    }
  }
}

}  // namespace

Settings read_settings(const std::map<std::string, std::string>& metadata, const std::string& file) {
  const auto get = [&](const std::string& key) {
    const auto it = metadata.find(key);
    return it == metadata.end() ? std::string() : it->second;
  };
  if (get("format") != "hadal-reference-1") {
    fail("{}: not a reference file: metadata 'format' is '{}', must be 'hadal-reference-1'", file, get("format"));
  }
  Settings s;
  if (!get("mtp_lambda").empty()) s.mtp_lambda = number(get("mtp_lambda"), file, "mtp_lambda");
  if (!get("balance_alpha").empty()) s.balance_alpha = number(get("balance_alpha"), file, "balance_alpha");
  if (!get("bias_gamma").empty()) s.bias_gamma = number(get("bias_gamma"), file, "bias_gamma");
  if (const std::string mode = get("mtp_hidden"); mode == "pre_norm") {
    s.mtp_hidden = model::MtpHidden::pre_norm;
  } else if (!mode.empty() && mode != "post_norm") {
    fail("{}: metadata 'mtp_hidden' = '{}': must be post_norm or pre_norm", file, mode);
  }
  if (!get("optimizer").empty()) read_optimizer(s, get("optimizer"), file);
  return s;
}

}  // namespace hadal::verify
