#include "cli/bench_table.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "base/report/table.h"
#include "base/rng.h"
#include "base/words.h"
#include "cli/json_out.h"
#include "cli/print_table.h"
#include "kernels/machine.h"

namespace hadal::cli {

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

std::string peak_name(DType dtype) { return fmt::format("{} peak", name_of(dtype)); }

void add_squares(BenchTable& table, const kernels::Context& cx, const BenchOptions& options, DType dtype) {
  const bool small = options.quick || cx.isa() == kernels::Isa::ref;
  for (const std::int64_t n :
       small ? std::vector<std::int64_t>{64, 128} : std::vector<std::int64_t>{1024, 2048, 4096}) {
    const Tensor a = random_tensor({n, n}, dtype), b = random_tensor({n, n}, dtype), c = Tensor::empty({n, n}, dtype);
    const auto call = [&cx, n, a, b, c, dtype] {
      kernels::run(cx, kernels::Matmul{.m = n,
                                       .n = n,
                                       .k = n,
                                       .a = a.raw(),
                                       .lda = n,
                                       .b = b.raw(),
                                       .ldb = n,
                                       .c = c.raw(),
                                       .ldc = n,
                                       .ab = dtype,
                                       .c_dtype = dtype});
    };
    table.add({.name = "square",
               .shape = fmt::format("{0} x {0} x {0}", n),
               .dtype = std::string(name_of(dtype)),
               .limit = peak_name(dtype),
               .work = 2 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n),
               .call = call,
               .sets_limit = true});
  }
}

namespace {

// Fixed trip counts, so that compilers make vectors of these loops for any machine.
constexpr std::int64_t kPiece = 1024;

void increment(std::uint32_t* x) {
  for (std::int64_t i = 0; i < kPiece; ++i) x[i] += 1;
}

}  // namespace

void add_bandwidths(BenchTable& table, const kernels::Context& cx, std::int64_t bytes) {
  constexpr std::int64_t kBlock = 1 << 20, kWords = kBlock / 4;
  const std::int64_t blocks = std::max<std::int64_t>(2, bytes / kBlock), half = blocks / 2;
  const Tensor memory = Tensor::zeros({blocks * kWords}, DType::i32);
  auto* words = static_cast<std::uint32_t*>(memory.raw());
  const auto add = [&](const std::string& limit, std::int64_t passed, const std::function<void()>& call) {
    table.add({.name = "plain " + limit,
               .shape = fmt::format("{} MiB", limit == "copy" ? half : blocks),
               .dtype = "i32",
               .limit = limit,
               .work = static_cast<double>(passed * kBlock),
               .call = call,
               .sets_limit = true});
  };
  add("copy", 2 * half, [&cx, half, words, memory] {
    cx.pool().run(half,
                  [&](std::int64_t i, int) { std::memcpy(words + (half + i) * kWords, words + i * kWords, kBlock); });
  });
  add("update", 2 * blocks, [&cx, blocks, words, memory] {
    cx.pool().run(blocks, [&](std::int64_t i, int) {
      for (std::int64_t w = 0; w < kWords; w += kPiece) increment(words + i * kWords + w);
    });
  });
}

void add_reads(BenchTable& table, const kernels::Context& cx, std::int64_t bytes) {
  const auto reader = std::make_shared<kernels::Reader>(cx.pool(), bytes);
  const kernels::ReadRate rate = reader->choose(2);
  table.add({.name = "read",
             .shape = fmt::format("{} MiB, {}", reader->bytes() >> 20, rate.way),
             .dtype = "u8",
             .limit = "read",
             .work = static_cast<double>(reader->bytes()),
             .call = [reader] { reader->read(); },
             .sets_limit = true});
}

BenchTable::BenchTable(std::string name, std::string unit, const kernels::Context& cx)
    : name_(std::move(name)), unit_(std::move(unit)), isa_(kernels::name_of(cx.isa())), threads_(cx.pool().size()) {}

void BenchTable::measure(const BenchOptions& options) {
  using Clock = std::chrono::steady_clock;
  constexpr double kTurn = 0.01;  // seconds that a row has the machine for, one call at least
  constexpr int kRounds = 3;      // at least
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto start = Clock::now();
  for (int round = 0; round == 0 || (!options.quick && (round < kRounds || since(start) < options.seconds)); ++round) {
    for (BenchRow& row : rows_) {
      if (!row.call) continue;
      const auto turn = Clock::now();
      do {
        const auto call = Clock::now();
        row.call();
        row.seconds.push_back(since(call));
      } while (!options.quick && since(turn) < kTurn);
    }
  }
  for (BenchRow& row : rows_) {
    if (!row.call) continue;
    std::sort(row.seconds.begin(), row.seconds.end());
    row.best = row.seconds.front();
    row.median = row.seconds[row.seconds.size() / 2];
  }
}

double BenchTable::limit_of(const std::string& name) const {
  double best = 0;
  for (const BenchRow& r : rows_) {
    if (r.sets_limit && r.limit == name) best = std::max(best, r.rate());
  }
  HADAL_ASSERT(best > 0);
  return best;
}

std::vector<std::string> BenchTable::limits() const {
  std::vector<std::string> names;
  for (const BenchRow& r : rows_) {
    if (r.sets_limit && std::find(names.begin(), names.end(), r.limit) == names.end()) names.push_back(r.limit);
  }
  return names;
}

std::vector<BenchTable::Total> BenchTable::totals() const {
  std::vector<Total> all;
  for (const BenchRow& r : rows_) {
    if (r.total.empty()) continue;
    auto t =
        std::find_if(all.begin(), all.end(), [&](const Total& x) { return x.name == r.total && x.limit == r.limit; });
    if (t == all.end()) t = all.insert(t, {r.total, r.limit});
    t->work += r.work;
    t->seconds += r.best;
  }
  return all;
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
  for (const std::string& name : this->limits()) limits[name] = limit_of(name);
  for (const auto& [name, value] : notes_) notes[name] = value;
  for (const BenchRow& r : rows_) {
    rows.push_back({{"name", r.name},
                    {"shape", r.shape},
                    {"dtype", r.dtype},
                    {"limit", r.limit},
                    {"share", r.rate() / limit_of(r.limit)},
                    {"rate", r.rate()},
                    {"seconds", r.best},
                    {"seconds_median", r.median}});
  }
  for (const Total& t : this->totals()) {
    totals.push_back({{"name", t.name},
                      {"limit", t.limit},
                      {"share", t.rate() / limit_of(t.limit)},
                      {"rate", t.rate()},
                      {"seconds", t.seconds}});
  }
  const json all = {{"bench", name_},   {"isa", isa_},    {"threads", threads_}, {"unit", unit_},
                    {"limits", limits}, {"notes", notes}, {"rows", rows},        {"totals", totals}};
  cli::print_json(all);
}

void BenchTable::print_text() const {
  fmt::print("{}: {}, {}\n", name_, isa_, plural(static_cast<std::uint64_t>(threads_), "thread"));
  for (const std::string& limit : limits())
    fmt::print("100 % of {:<12} {:>8.1f} G{}\n", limit, limit_of(limit) / 1e9, unit_);
  std::size_t longest = 21;
  for (const auto& [name, value] : notes_) longest = std::max(longest, name.size());
  for (const auto& [name, value] : notes_) fmt::print("{:<{}} {:>8.2f}\n", name, longest, value);
  report::Table table = {{"share", "of", "what", "shape", "dtype", "G" + unit_, "best ms", "median ms"}};
  const auto share = [](double of_limit) { return fmt::format("{:.1f} %", 100 * of_limit); };
  for (const BenchRow& r : rows_) {
    table.push_back({share(r.rate() / limit_of(r.limit)), r.limit, r.name, r.shape, r.dtype,
                     fmt::format("{:.1f}", r.rate() / 1e9), fmt::format("{:.3f}", 1e3 * r.best),
                     fmt::format("{:.3f}", 1e3 * r.median)});
  }
  for (const Total& t : totals()) {
    table.push_back({share(t.rate() / limit_of(t.limit)), t.limit, t.name, "", "",
                     fmt::format("{:.1f}", t.rate() / 1e9), fmt::format("{:.3f}", 1e3 * t.seconds), ""});
  }
  fmt::print("\n");
  for (const std::string& line : report::text_table(table, output_width())) fmt::print("{}\n", line);
}

}  // namespace hadal::cli
