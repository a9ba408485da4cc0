// hadal bench machine: the limits that every other figure is a share of, measured by code that no kernel shares.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/words.h"
#include "cli/bench.h"
#include "cli/json_out.h"
#include "cli/runtime.h"
#include "kernels/context.h"
#include "kernels/machine.h"

namespace hadal::cli {

namespace {

// What multiplies numbers of a type here.
struct Kernels {
  std::string dtype, isa, instruction, why;
};

std::vector<Kernels> kernels_here() {
  using kernels::Isa;
  const kernels::IsaChoice choice = kernels::choose_isa();
  const std::string isa(kernels::name_of(choice.isa)), fma = choice.isa == Isa::ref    ? "VFMADD231SS"
                                                             : choice.isa == Isa::avx2 ? "VFMADD231PS ymm"
                                                                                       : "VFMADD231PS zmm";
  const bool pairs = choice.isa == Isa::avx512bf16;
  return {{"f32", isa, fma, "the order of docs/numerics.md is that of this instruction"},
          {"bf16", isa, pairs ? "VDPBF16PS zmm" : fma, choice.why}};
}

// Rates on one thread, and on all.
struct Row {
  std::string name, how;
  bool keeps_contract = false;
  const char* unit = "";
  double one = 0, all = 0;
};

bool is_integer(kernels::Instruction i) {
  return i == kernels::Instruction::int8_dot || i == kernels::Instruction::int8_tile;
}

std::string size_of(std::int64_t bytes) {
  return bytes < 1 << 20 ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
}

class Bench {
 public:
  explicit Bench(const BenchOptions& options) : options_(options), one_(1), all_(threads_or_all(options.threads)) {}

  void measure() {
    const int rounds = options_.quick ? 1 : 30;
    for (const kernels::InstructionInfo& i : kernels::machine_instructions()) {
      rates_.push_back({std::string(i.name), i.keeps_contract ? "" : "not in the order of docs/numerics.md",
                        i.keeps_contract, is_integer(i.instruction) ? "GOP/s" : "GF/s",
                        kernels::instruction_rate(1, i.instruction, rounds),
                        kernels::instruction_rate(all_.size(), i.instruction, rounds)});
    }
    const std::vector<std::int64_t> caches = kernels::cache_sizes();
    // Half of a cache, so that nothing else pushes it out; the last one is shared by the threads.
    for (std::size_t level = 0; level < caches.size(); ++level) {
      const bool shared = level == 2;
      read(fmt::format("L{} cache", level + 1), caches[level] / 2, shared ? 1 : all_.size(), options_.quick ? 1 : 20);
    }
    read("memory", options_.quick ? 16 << 20 : kernels::memory_not_cache(), 1, options_.quick ? 1 : 3);
  }

  void print() const {
    fmt::print("{:<18}{:>14}{:>14}\n", "instruction", "1 thread", plural(threads(), "thread"));
    for (const Row& r : rates_)
      fmt::print("{:<18}{:>8.1f} {:<5}{:>8.1f} {:<5}  {}\n", r.name, r.one / 1e9, r.unit, r.all / 1e9, r.unit, r.how);
    fmt::print("\n{:<18}{:>14}{:>14}\n", "reads", "1 thread", plural(threads(), "thread"));
    for (const Row& r : reads_)
      fmt::print("{:<18}{:>8.1f} {:<5}{:>8.1f} {:<5}  {}\n", r.name, r.one / 1e9, r.unit, r.all / 1e9, r.unit, r.how);
    fmt::print("\n{:<18}{}\n", "kernels", "instruction");
    for (const Kernels& k : kernels_) fmt::print("{:<5} {:<11} {:<18} {}\n", k.dtype, k.isa, k.instruction, k.why);
  }

  json to_json() const {
    json instructions = json::array(), reads = json::array(), all = json::array();
    for (const Kernels& k : kernels_)
      all.push_back({{"dtype", k.dtype}, {"isa", k.isa}, {"instruction", k.instruction}, {"why", k.why}});
    for (const Row& r : rates_) {
      instructions.push_back({{"name", r.name},
                              {"keeps_contract", r.keeps_contract},
                              {"one_thread_per_s", r.one},
                              {"all_threads_per_s", r.all}});
    }
    for (const Row& r : reads_)
      reads.push_back(
          {{"name", r.name}, {"way", r.how}, {"one_thread_bytes_per_s", r.one}, {"all_threads_bytes_per_s", r.all}});
    return {{"bench", "machine"},           {"isa", kernels_[0].isa}, {"threads", threads()},
            {"instructions", instructions}, {"reads", reads},         {"kernels", all}};
  }

 private:
  std::uint64_t threads() const { return static_cast<std::uint64_t>(all_.size()); }

  void read(const std::string& what, std::int64_t bytes, int times, int rounds) {
    const kernels::ReadRate one = kernels::read_rate(one_, bytes, rounds),
                            all = kernels::read_rate(all_, bytes * times, rounds);
    reads_.push_back({fmt::format("{} ({})", what, size_of(bytes)), all.way, false, "GB/s", one.bytes_per_second,
                      all.bytes_per_second});
  }

  BenchOptions options_;
  ThreadPool one_, all_;
  std::vector<Row> rates_, reads_;
  std::vector<Kernels> kernels_ = kernels_here();
};

}  // namespace

void add_bench_machine(Command bench) {
  Command verb = bench.add_verb("machine", "what this machine can do at most: arithmetic and reads");
  auto a = std::make_shared<BenchOptions>();
  add_bench_options(verb, *a);
  verb.callback([a] {
    Bench b(*a);
    b.measure();
    if (a->json) {
      print_json(b.to_json());
    } else {
      b.print();
    }
  });
}

}  // namespace hadal::cli
