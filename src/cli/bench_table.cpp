#include "cli/bench_table.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"

namespace hadal::cli {

Timing time_calls(const BenchOptions& options, const std::function<void()>& f, double seconds) {
  using Clock = std::chrono::steady_clock;
  if (!options.quick) f();
  std::vector<double> times;
  double spent = 0;
  do {
    const auto start = Clock::now();
    f();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    spent += times.back();
  } while (!options.quick && (times.size() < 3 || (spent < seconds && times.size() < 1000)));
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2]};
}

Tensor random_tensor(const Shape& shape, DType dtype) {
  Tensor t = Tensor::empty(shape, dtype);
  Rng rng(0, "bench " + to_string(shape));
  const auto fill = [&](auto* x) {
    for (std::int64_t i = 0; i < t.numel(); ++i)
      x[i] = std::decay_t<decltype(*x)>(static_cast<float>(rng.uniform()) * 2 - 1);
  };
  dtype == DType::bf16 ? fill(t.data<bf16>()) : fill(t.data<float>());
  return t;
}

std::vector<Square> measure_squares(const kernels::Context& cx, const BenchOptions& options, DType dtype) {
  const bool small = options.quick || cx.isa() == kernels::Isa::ref;
  std::vector<Square> all;
  for (const std::int64_t n :
       small ? std::vector<std::int64_t>{64, 128} : std::vector<std::int64_t>{1024, 2048, 4096}) {
    const Tensor a = random_tensor({n, n}, dtype), b = random_tensor({n, n}, dtype), c = Tensor::empty({n, n}, dtype);
    const kernels::Matmul p{.m = n,
                            .n = n,
                            .k = n,
                            .a = a.raw(),
                            .lda = n,
                            .b = b.raw(),
                            .ldb = n,
                            .c = c.raw(),
                            .ldc = n,
                            .ab = dtype,
                            .c_dtype = dtype};
    all.push_back({n, time_calls(options, [&] { kernels::run(cx, p); })});
  }
  return all;
}

double gemm_peak(const std::vector<Square>& squares) {
  double best = 0;
  for (const Square& s : squares) best = std::max(best, s.rate());
  return best;
}

Bandwidth measure_bandwidth(const kernels::Context& cx, const BenchOptions& options, std::int64_t bytes) {
  constexpr std::int64_t kBlock = 1 << 20;
  const std::int64_t blocks = std::max<std::int64_t>(1, bytes / 2 / kBlock), size = blocks * kBlock;
  const Tensor from = Tensor::zeros({size / 4}, DType::f32), to = Tensor::zeros({size / 4}, DType::f32);
  const auto* source = static_cast<const char*>(from.raw());
  auto* target = static_cast<char*>(to.raw());
  const Timing copy = time_calls(options, [&] {
    cx.pool().run(blocks, [&](std::int64_t i, int) { std::memcpy(target + i * kBlock, source + i * kBlock, kBlock); });
  });
  std::vector<std::int64_t> found(static_cast<std::size_t>(blocks));
  const Timing read = time_calls(options, [&] {
    cx.pool().run(blocks, [&](std::int64_t i, int) {
      found[static_cast<std::size_t>(i)] += std::memchr(source + i * kBlock, 1, kBlock) != nullptr ? 1 : 0;
    });
  });
  for (const std::int64_t n : found) HADAL_ASSERT(n == 0);
  return {static_cast<double>(size) / read.best, 2 * static_cast<double>(size) / copy.best};
}

BenchTable::BenchTable(std::string name, std::string unit, const kernels::Context& cx)
    : name_(std::move(name)), unit_(std::move(unit)), isa_(kernels::name_of(cx.isa())), threads_(cx.pool().size()) {}

void BenchTable::limit(const std::string& name, double rate) { limits_.emplace_back(name, rate); }
void BenchTable::note(const std::string& name, double value) { notes_.emplace_back(name, value); }
void BenchTable::row(BenchRow row) { rows_.push_back(std::move(row)); }

void BenchTable::total(const std::string& name, const std::string& limit, const std::vector<BenchRow>& rows) {
  Total t{name, limit};
  for (const BenchRow& r : rows) {
    t.work += r.work;
    t.seconds += r.time.best;
  }
  totals_.push_back(t);
}

double BenchTable::limit_of(const std::string& name) const {
  const auto found = std::find_if(limits_.begin(), limits_.end(), [&](const auto& l) { return l.first == name; });
  HADAL_ASSERT(found != limits_.end());
  return found->second;
}

void BenchTable::print(bool as_json) const {
  if (as_json) {
    print_json();
  } else {
    print_text();
  }
}

void BenchTable::print_json() const {
  json limits = json::object(), notes = json::object(), rows = json::array(), totals = json::array();
  for (const auto& [name, rate] : limits_) limits[name] = rate;
  for (const auto& [name, value] : notes_) notes[name] = value;
  for (const BenchRow& r : rows_) {
    rows.push_back({{"name", r.name},
                    {"shape", r.shape},
                    {"dtype", r.dtype},
                    {"limit", r.limit},
                    {"share", r.rate() / limit_of(r.limit)},
                    {"rate", r.rate()},
                    {"seconds", r.time.best},
                    {"seconds_median", r.time.median}});
  }
  for (const Total& t : totals_) {
    totals.push_back({{"name", t.name},
                      {"limit", t.limit},
                      {"share", t.rate() / limit_of(t.limit)},
                      {"rate", t.rate()},
                      {"seconds", t.seconds}});
  }
  const json all = {{"bench", name_},   {"isa", isa_},    {"threads", threads_}, {"unit", unit_},
                    {"limits", limits}, {"notes", notes}, {"rows", rows},        {"totals", totals}};
  fmt::print("{}\n", all.dump(1));
}

void BenchTable::print_text() const {
  fmt::print("{}: {}, {} threads\n", name_, isa_, threads_);
  for (const auto& [name, rate] : limits_) fmt::print("100 % of {:<12} {:>8.1f} G{}\n", name, rate / 1e9, unit_);
  for (const auto& [name, value] : notes_) fmt::print("{:<21} {:>8.2f}\n", name, value);
  std::size_t name = 4, shape = 5, dtype = 5;
  for (const BenchRow& r : rows_) {
    name = std::max(name, r.name.size());
    shape = std::max(shape, r.shape.size());
    dtype = std::max(dtype, r.dtype.size());
  }
  for (const Total& t : totals_) name = std::max(name, t.name.size());
  fmt::print("\n  share  of         {:<{}}  {:<{}}  {:<{}} {:>10} {:>10} {:>10}\n", "what", name, "shape", shape,
             "dtype", dtype, "G" + unit_, "best ms", "median ms");
  for (const BenchRow& r : rows_) {
    fmt::print("{:>5.1f} %  {:<9}  {:<{}}  {:<{}}  {:<{}} {:>10.1f} {:>10.3f} {:>10.3f}\n",
               100 * r.rate() / limit_of(r.limit), r.limit, r.name, name, r.shape, shape, r.dtype, dtype,
               r.rate() / 1e9, 1e3 * r.time.best, 1e3 * r.time.median);
  }
  for (const Total& t : totals_) {
    fmt::print("{:>5.1f} %  {:<9}  {:<{}}  {:<{}}  {:<{}} {:>10.1f} {:>10.3f}\n", 100 * t.rate() / limit_of(t.limit),
               t.limit, t.name, name, "", shape, "", dtype, t.rate() / 1e9, 1e3 * t.seconds);
  }
}

}  // namespace hadal::cli
