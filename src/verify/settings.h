// The metadata of a reference file: loss weights, optimizer, hidden mode.
#pragma once

#include <map>
#include <string>

#include "model/config.h"
#include "train/optimizer.h"

namespace hadal::verify {

struct Settings {
  double mtp_lambda = 0, balance_alpha = 0, bias_gamma = 0;
  model::MtpHidden mtp_hidden = model::MtpHidden::post_norm;
  train::AdamWSettings adamw;
  double lr = 0, clip = 0;
};

// Throws Error naming the file and the key for another format or an unknown value.
Settings read_settings(const std::map<std::string, std::string>& metadata, const std::string& file);

}  // namespace hadal::verify
