// How benchmarks measure and what they print: each row a share of a limit that was measured in the same run.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/bench.h"
#include "kernels/kernels.h"
#include "tensor/tensor.h"

namespace hadal::cli {

struct Timing {
  double best = 0, median = 0;  // seconds of one call
};

// A call to warm up, then calls for about `seconds` (three at least). quick: one call.
Timing time_calls(const BenchOptions& options, const std::function<void()>& f, double seconds = 0.5);

// Uniform in [-1, 1), keyed by the shape: zeros would cost the processor less power, and so less time.
Tensor random_tensor(const Shape& shape, DType dtype);

// Best rate of square matmuls, FLOP/s.
struct Square {
  std::int64_t n = 0;
  Timing time;
  double rate() const {
    return 2.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n) / time.best;
  }
};
// 1024, 2048, 4096; 64 and 128 if quick, or where only the reference kernels run.
std::vector<Square> measure_squares(const kernels::Context& cx, const BenchOptions& options, DType dtype);
double gemm_peak(const std::vector<Square>& squares);

// Bytes a second of the memory: read (a scan that finds nothing) and copied (read + written), over `bytes` of memory.
struct Bandwidth {
  double read = 0, copy = 0;
};
Bandwidth measure_bandwidth(const kernels::Context& cx, const BenchOptions& options, std::int64_t bytes);

struct BenchRow {
  std::string name, shape, dtype, limit;  // limit: the name of what `share` is a share of
  double work = 0;                        // FLOPs or bytes of a call
  Timing time;
  double rate() const { return work / time.best; }
};

class BenchTable {
 public:
  // name: the sub-command's. unit: "FLOP/s" or "B/s".
  BenchTable(std::string name, std::string unit, const kernels::Context& cx);
  void limit(const std::string& name, double rate);
  void row(BenchRow row);
  // A figure that says what was measured.
  void note(const std::string& name, double value);
  // A figure over some rows: work and best times added up.
  void total(const std::string& name, const std::string& limit, const std::vector<BenchRow>& rows);
  void print(bool json) const;

 private:
  struct Total {
    std::string name, limit;
    double work = 0, seconds = 0;
    double rate() const { return work / seconds; }
  };
  void print_json() const;
  void print_text() const;
  double limit_of(const std::string& name) const;
  std::string name_, unit_, isa_;
  int threads_;
  std::vector<std::pair<std::string, double>> limits_, notes_;
  std::vector<BenchRow> rows_;
  std::vector<Total> totals_;
};

}  // namespace hadal::cli
