// How benchmarks measure and what they print: each row a share of a limit that was measured in the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/bench.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace hadal::cli {

// Uniform in [-1, 1), keyed by the shape: zeros would cost the processor less power, and so less time.
Tensor random_tensor(const Shape& shape, DType dtype);

struct BenchRow {
  std::string name, shape, dtype;
  std::string limit;            // what the share is a share of
  double work = 0;              // FLOPs or bytes of a call
  std::function<void()> call;   // owns what it works on; none: best and median are known already
  bool sets_limit = false;      // the best rate of such rows is the limit of that name
  std::string total;            // the sum that this row belongs to, or empty
  double best = 0, median = 0;  // seconds, after measure()
  std::vector<double> seconds;  // of every call so far
  double rate() const { return work / best; }
};

class BenchTable {
 public:
  // name: the sub-command's. unit: "FLOP/s" or "B/s".
  BenchTable(std::string name, std::string unit, const kernels::Context& cx);
  void add(BenchRow row) { rows_.push_back(std::move(row)); }
  const std::vector<BenchRow>& rows() const { return rows_; }
  // A figure that says what was measured.
  void note(const std::string& name, double value) { notes_.emplace_back(name, value); }
  // Calls every row again and again, round after round until `options.seconds` have passed: a machine's speed drifts,
  // and so every row meets the same good and bad moments as the limits do. quick: one call of each.
  // Again: more calls of the rows that have been added by then.
  void measure(const BenchOptions& options);
  void print(bool json) const;

 private:
  struct Total {
    std::string name, limit;
    double work = 0, seconds = 0;
    double rate() const { return work / seconds; }
  };
  double limit_of(const std::string& name) const;
  std::vector<std::string> limits() const;
  std::vector<Total> totals() const;
  void print_json() const;
  void print_text() const;
  std::string name_, unit_, isa_;
  int threads_;
  std::vector<std::pair<std::string, double>> notes_;
  std::vector<BenchRow> rows_;
};

// Squares of 1024, 2048, 4096, which set the limit "DTYPE peak"; of 64 and 128 if quick, or where only the reference
// kernels run. The context must outlive the table.
void add_squares(BenchTable& table, const kernels::Context& cx, const BenchOptions& options, DType dtype);
std::string peak_name(DType dtype);

// What plain loops reach on `bytes` of memory: "copy" (bytes read + written), "update" (in place: read + written).
void add_bandwidths(BenchTable& table, const kernels::Context& cx, std::int64_t bytes);
// The limit "read": the fastest of several ways to read so many bytes (kernels/machine.h).
void add_reads(BenchTable& table, const kernels::Context& cx, std::int64_t bytes);

}  // namespace hadal::cli
