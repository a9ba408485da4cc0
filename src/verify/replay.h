// Replays a reference file (format hadal-reference-1: docs/verify.md) on a model and compares every tensor in it.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/causal_lm.h"

namespace hadal::verify {

struct Options {
  DType act = DType::f32;
  nn::MlaForm form = nn::MlaForm::expanded;  // latent: logits and greedy text go through the absorbed cache
  std::filesystem::path bf16_errors;         // PyTorch's errors in bf16, if the reference file does not hold them
  // Test hook: changes the model after loading, as a planted bug would.
  std::function<void(model::CausalLm&)> tamper;
  // Test hook: gets each value as it is compared, by its name in the file.
  std::function<void(const std::string& name, std::span<const double> mine)> keep;
};

struct Row {
  std::string tensor;  // name in the reference file
  double error = 0;    // Frobenius, relative (absolute where the reference is zero); or the count of differing integers
  double bound = 0;
  bool ok = false;
  std::string note;  // why it could not be compared, or what kind of row it is
  int step = 0;      // of a failed row with one value a step: the first step that parts, from 1
};

struct Report {
  std::vector<Row> rows;         // one for every tensor in the file
  bool general_bounds = false;   // bf16 without PyTorch's own errors: bounds are 5e-2, of losses 5e-3
  std::string first_difference;  // the first layer and op that part, in the order of computation; empty if none
  std::size_t failed() const;
  bool passed() const { return failed() == 0 && !rows.empty(); }
};

// Throws Error for files that cannot be read or are not of the format. A tensor it does not know is a failed row.
Report replay(const kernels::Context& cx, const std::filesystem::path& model_dir,
              const std::filesystem::path& reference, const Options& options);

}  // namespace hadal::verify
