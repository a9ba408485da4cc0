#include "kernels/machine.h"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <latch>
#include <thread>

#include "base/error.h"
#include "base/huge_pages.h"
#include "tensor/tensor.h"

namespace hadal::kernels {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Cpuid {
  unsigned a = 0, b = 0, c = 0, d = 0;
  explicit Cpuid(unsigned leaf, unsigned sub = 0) { __get_cpuid_count(leaf, sub, &a, &b, &c, &d); }
  static bool bit(unsigned word, unsigned at) { return (word >> at & 1U) != 0; }
};

bool has_avx512() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f");
}

// The system gives tiles to a process that asks for them.
bool has_tiles(unsigned kind) {
  const Cpuid seven(7);
  if (!has_avx512() || !Cpuid::bit(seven.d, 24) || !Cpuid::bit(seven.d, kind)) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const bool given = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return given;
}

// `n` times the text, in which registers 0 to 13 are sums and 14 and 15 hold the factors.
#define HADAL_REPEAT(wide, text)                                                                                \
  asm volatile("vbroadcastss %1, %%" wide "14\n vbroadcastss %2, %%" wide                                       \
               "15\n"                                                                                           \
               "1:\n" text "dec %0\n jnz 1b\n vzeroupper\n"                                                     \
               : "+r"(n)                                                                                        \
               : "m"(x), "m"(y)                                                                                 \
               : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                 "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
#define HADAL_ONE(name, wide, sum) name " %%" wide "14, %%" wide "15, %%" wide #sum "\n"
#define HADAL_TWO(name, wide, a, b) HADAL_ONE(name, wide, a) HADAL_ONE(name, wide, b)
#define HADAL_SIX(name, wide, a, b, c, d, e, f) \
  HADAL_TWO(name, wide, a, b) HADAL_TWO(name, wide, c, d) HADAL_TWO(name, wide, e, f)
#define HADAL_ALL(name, wide) \
  HADAL_SIX(name, wide, 0, 1, 2, 3, 4, 5) HADAL_SIX(name, wide, 6, 7, 8, 9, 10, 11) HADAL_TWO(name, wide, 12, 13)
constexpr double kSums = 14;

// Factors of ordinary size: zeros would cost the processor less power.
constexpr std::array<std::uint32_t, 2> kFloats{0x3F8CCCCD, 0xBE99999A}, kHalves{0x3F8D3E9A, 0xBE9A3F8D},
    kBytes{0x11223344, 0x05F60CE1};

#define HADAL_LOOP(function, wide, name, factors) \
  void function(std::int64_t n) {                 \
    const auto& [x, y] = factors;                 \
    HADAL_REPEAT(wide, HADAL_ALL(name, wide));    \
  }
HADAL_LOOP(f32_512, "zmm", "vfmadd231ps", kFloats)
HADAL_LOOP(f32_256, "ymm", "vfmadd231ps", kFloats)
HADAL_LOOP(bf16_512, "zmm", "vdpbf16ps", kHalves)
HADAL_LOOP(int8_512, "zmm", "vpdpbusd", kBytes)
HADAL_LOOP(int8_256, "ymm", "%{vex%} vpdpbusd", kBytes)

// Four tiles of sums, one of each factor, all of 16 rows of 64 bytes.
#define HADAL_TILES(name)                                                                                            \
  asm volatile(                                                                                                      \
      "ldtilecfg %1\n tilezero %%tmm0\n tilezero %%tmm1\n tilezero %%tmm2\n tilezero %%tmm3\n"                       \
      "tilezero %%tmm4\n tilezero %%tmm5\n"                                                                          \
      "1:\n" name " %%tmm5, %%tmm4, %%tmm0\n" name " %%tmm5, %%tmm4, %%tmm1\n" name " %%tmm5, %%tmm4, %%tmm2\n" name \
      " %%tmm5, %%tmm4, %%tmm3\n dec %0\n jnz 1b\n tilerelease\n"                                                    \
      : "+r"(n)                                                                                                      \
      : "m"(shape)                                                                                                   \
      : "cc")
struct TileShapes {
  std::uint8_t palette = 1, start = 0, zero[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileShapes) == 64);
void bf16_tiles(std::int64_t n) {
  const TileShapes shape;
  HADAL_TILES("tdpbf16ps");
}
void int8_tiles(std::int64_t n) {
  const TileShapes shape;
  HADAL_TILES("tdpbusd");
}

struct Loop {
  Instruction instruction;
  std::string_view name;
  bool keeps_contract;
  bool (*have)();
  void (*run)(std::int64_t n);
  double operations;  // of one turn
};

// Of an instruction in two widths the wider one comes first.
constexpr Loop kLoops[] = {
    {Instruction::f32_fma, "VFMADD231PS zmm", true, has_avx512, f32_512, kSums * 32},
    {Instruction::f32_fma, "VFMADD231PS ymm", true, [] { return true; }, f32_256, kSums * 16},
    {Instruction::bf16_dot, "VDPBF16PS zmm", true, [] { return has_avx512() && Cpuid::bit(Cpuid(7, 1).a, 5); },
     bf16_512, kSums * 64},
    {Instruction::int8_dot, "VPDPBUSD zmm", false, [] { return has_avx512() && Cpuid::bit(Cpuid(7).c, 11); }, int8_512,
     kSums * 128},
    {Instruction::int8_dot, "VPDPBUSD ymm", false, [] { return Cpuid::bit(Cpuid(7, 1).a, 4); }, int8_256, kSums * 64},
    {Instruction::bf16_tile, "TDPBF16PS", false, [] { return has_tiles(22); }, bf16_tiles, 4 * 16 * 16 * 32 * 2},
    {Instruction::int8_tile, "TDPBUSD", false, [] { return has_tiles(25); }, int8_tiles, 4 * 16 * 16 * 64 * 2},
};

const Loop* loop_of(Instruction instruction) {
  const auto* const loop = std::find_if(std::begin(kLoops), std::end(kLoops),
                                        [&](const Loop& l) { return l.instruction == instruction && l.have(); });
  return loop == std::end(kLoops) ? nullptr : loop;
}

// Reads [data, data + bytes) in `Streams` stretches side by side, and asks for what is `Ahead` bytes further on.
template <int Streams, int Ahead>
__attribute__((target("avx512f"))) std::uint64_t read_512(const char* data, std::int64_t bytes) {
  const std::int64_t stretch = bytes / Streams / 256 * 256;
  __m512i seen[4] = {};
  for (std::int64_t at = 0; at < stretch; at += 256) {
#pragma GCC unroll 8
    for (int s = 0; s < Streams; ++s) {
      const char* p = data + s * stretch + at;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        if constexpr (Ahead > 0) __builtin_prefetch(p + Ahead + 64 * i, 0, 3);
        seen[i] = _mm512_or_si512(seen[i], _mm512_load_si512(p + 64 * i));
      }
    }
  }
  for (int i = 1; i < 4; ++i) seen[0] = _mm512_or_si512(seen[0], seen[i]);
  alignas(64) std::array<std::uint64_t, 8> words{};
  _mm512_store_si512(words.data(), seen[0]);
  return words[0] | words[3] | words[7];
}

template <int Streams, int Ahead>
__attribute__((target("avx2"))) std::uint64_t read_256(const char* data, std::int64_t bytes) {
  const std::int64_t stretch = bytes / Streams / 256 * 256;
  __m256i seen[8] = {};
  for (std::int64_t at = 0; at < stretch; at += 256) {
#pragma GCC unroll 8
    for (int s = 0; s < Streams; ++s) {
      const char* p = data + s * stretch + at;
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        if constexpr (Ahead > 0) {
          if (i % 2 == 0) __builtin_prefetch(p + Ahead + 32 * i, 0, 3);
        }
        seen[i] = _mm256_or_si256(seen[i], _mm256_load_si256(reinterpret_cast<const __m256i*>(p + 32 * i)));
      }
    }
  }
  for (int i = 1; i < 8; ++i) seen[0] = _mm256_or_si256(seen[0], seen[i]);
  alignas(32) std::array<std::uint64_t, 4> words{};
  _mm256_store_si256(reinterpret_cast<__m256i*>(words.data()), seen[0]);
  return words[0] | words[1] | words[3];
}

struct Way {
  int streams, ahead;
  std::uint64_t (*read_512)(const char*, std::int64_t);
  std::uint64_t (*read_256)(const char*, std::int64_t);
};
template <int Streams, int Ahead>
constexpr Way way() {
  return {Streams, Ahead, read_512<Streams, Ahead>, read_256<Streams, Ahead>};
}
constexpr Way kWays[] = {way<1, 0>(),    way<2, 0>(),    way<4, 0>(),    way<8, 0>(),
                         way<1, 1024>(), way<2, 1024>(), way<4, 1024>(), way<8, 1024>(),
                         way<1, 4096>(), way<2, 4096>(), way<4, 4096>(), way<8, 4096>()};

}  // namespace

std::vector<InstructionInfo> machine_instructions() {
  std::vector<InstructionInfo> all;
  for (const Loop& l : kLoops) {
    if (loop_of(l.instruction) == &l) all.push_back({l.instruction, l.name, l.keeps_contract});
  }
  return all;
}

double instruction_rate(int threads, Instruction instruction, int rounds) {
  const Loop* loop = loop_of(instruction);
  if (loop == nullptr) fail("this machine does not have the instruction that is to be measured");
  std::int64_t turns = 1000;
  for (;; turns *= 2) {  // about a millisecond
    const auto start = Clock::now();
    loop->run(turns);
    if (seconds_since(start) > 5e-4) break;
  }
  // Each thread's best round while all of them run: a neighbour on a core takes some rounds, not all.
  std::vector<double> seconds(static_cast<std::size_t>(threads), 1e30);
  std::latch all(threads);
  const auto measure = [&](int thread) {
    all.arrive_and_wait();
    double& best = seconds[static_cast<std::size_t>(thread)];
    for (int round = 0; round < rounds; ++round) {
      const auto start = Clock::now();
      loop->run(turns);
      best = std::min(best, seconds_since(start));
    }
  };
  {
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(measure, i);
    measure(0);
  }
  double rate = 0;
  for (const double best : seconds) rate += loop->operations * static_cast<double>(turns) / best;
  return rate;
}

double float_rate(int threads, DType act) {
  double best = 0;
  for (const InstructionInfo& i : machine_instructions()) {
    if (i.keeps_contract && (act == DType::bf16 || i.instruction == Instruction::f32_fma))
      best = std::max(best, instruction_rate(threads, i.instruction));
  }
  return best;
}

double bf16_dot_advantage() {
  static const double advantage = [] {
    const Loop *dot = loop_of(Instruction::bf16_dot), *fma = loop_of(Instruction::f32_fma);
    if (dot == nullptr) return 0.0;
    constexpr std::int64_t kTurns = 1000;
    double of_dot = 1, of_fma = 1;
    // By turns, so that a processor that changes its clock meanwhile does so for both.
    for (int round = 0; round < 12; ++round) {
      auto start = Clock::now();
      dot->run(kTurns);
      of_dot = std::min(of_dot, seconds_since(start));
      start = Clock::now();
      fma->run(kTurns);
      of_fma = std::min(of_fma, seconds_since(start));
    }
    return dot->operations / of_dot / (fma->operations / of_fma);
  }();
  return advantage;
}

std::vector<std::int64_t> cache_sizes() {
  std::vector<std::int64_t> sizes;
  for (const int name : {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE}) {
    const long bytes = sysconf(name);
    if (bytes > 0) sizes.push_back(bytes);
  }
  return sizes;
}

Reader::Reader(ThreadPool& pool, std::int64_t bytes) : pool_(&pool) {
  constexpr std::int64_t kLeast = 4096;
  stretch_ = std::max(kLeast, bytes / pool.size() / kLeast * kLeast);
  memory_ = Tensor::empty({this->bytes() + kLeast}, DType::u8);
  data_ = static_cast<char*>(memory_.raw());
  data_ += -reinterpret_cast<std::intptr_t>(data_) & 63;
  ask_for_huge_pages(data_, static_cast<std::size_t>(this->bytes()));
  pool.run(pool.size(),
           [&](std::int64_t i, int) { std::memset(data_ + i * stretch_, 1, static_cast<std::size_t>(stretch_)); });
  seen_.resize(static_cast<std::size_t>(pool.size()));
}

void Reader::read(std::int64_t passes) {
  const Way& way = kWays[way_];
  const auto read = has_avx512() ? way.read_512 : way.read_256;
  pool_->run(pool_->size(), [&](std::int64_t i, int) {
    for (std::int64_t p = 0; p < passes; ++p)
      seen_[static_cast<std::size_t>(i)] |= read(data_ + i * stretch_, stretch_);
  });
}

double Reader::rate(std::size_t way) {
  way_ = way;
  const std::int64_t passes = std::max<std::int64_t>(1, (8 << 20) / stretch_);
  const auto start = Clock::now();
  read(passes);
  return static_cast<double>(bytes()) * static_cast<double>(passes) / seconds_since(start);
}

ReadRate Reader::choose(int rounds) {
  double best = 0;
  std::size_t fastest = 0;
  for (std::size_t way = 0; way < std::size(kWays); ++way) {
    for (int round = 0; round < rounds; ++round) {
      const double r = rate(way);
      if (r > best) fastest = way;
      best = std::max(best, r);
    }
  }
  if (seen_[0] == 0) fail("the memory that was read does not hold what was written");
  way_ = fastest;
  const Way& w = kWays[fastest];
  return {best, fmt::format("{} a thread, {}", w.streams == 1 ? "1 stream" : fmt::format("{} streams", w.streams),
                            w.ahead == 0 ? "no prefetch" : fmt::format("prefetch {} bytes ahead", w.ahead))};
}

ReadRate read_rate(ThreadPool& pool, std::int64_t bytes, int rounds) { return Reader(pool, bytes).choose(rounds); }

std::int64_t memory_not_cache() {
  const std::vector<std::int64_t> caches = cache_sizes();
  const std::int64_t free = std::int64_t{sysconf(_SC_AVPHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  return std::min(std::max<std::int64_t>(1 << 30, caches.empty() ? 0 : 4 * caches.back()), free / 2);
}

}  // namespace hadal::kernels
