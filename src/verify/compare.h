// Collects rows: each tensor of the reference file is compared exactly once, with a bound that follows from its kind.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "verify/reference.h"
#include "verify/replay.h"

namespace hadal::verify {

// Frobenius norm of a - b over that of b; of a alone if b is zero. Sizes must agree.
double relative_error(std::span<const double> a, std::span<const double> b);

class Comparison {
 public:
  using Keep = std::function<void(const std::string&, std::span<const double>)>;
  // keep, if any, gets every value that is compared.
  Comparison(const Reference& file, DType act, Keep keep = {});

  bool has(const std::string& name) const;
  const Reference& file() const { return file_; }

  void compare(const std::string& name, const Tensor& mine);
  void compare(const std::string& name, std::span<const double> mine);
  void compare_integers(const std::string& name, std::span<const std::int64_t> mine);
  // An input of the replay: nothing to compare, but it was used.
  void used(const std::string& name);
  // What bf16 can hold to no bound: f32 compares it.
  void left_out(const std::string& name);
  // bf16: takes PyTorch's errors from this file, too (format hadal-bf16-errors-1: tools/reference.py --errors-only).
  // Throws Error if they are of another text, of tensors that the reference file lacks, or no finite numbers.
  void read_errors(const std::filesystem::path& path);
  // Adds a failed row for every tensor not yet seen, and orders rows as the computation goes. layers: of the trunk;
  // those from there on are MTP modules.
  Report finish(std::int64_t layers);

 private:
  double bound(const std::string& name);
  void add(Row row);
  const Reference& file_;
  DType act_;
  bool general_bounds_ = false;
  std::map<std::string, double> errors_;  // PyTorch's in bf16, by the tensor's name
  Keep keep_;
  std::map<std::string, Row> rows_;
};

}  // namespace hadal::verify
