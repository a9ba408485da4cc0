#include "kernels/context.h"

#include <cpuid.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "kernels/kernels.h"
#include "kernels/machine.h"
#include "tensor/tensor.h"

namespace hadal::kernels {

namespace {
constexpr std::string_view kNames[] = {"ref", "avx2", "avx512", "avx512bf16"};

// Two features whose names clang-16 does not know, read from cpuid: leaf 1, ECX bit 29, and leaf 7.1, EAX bit 5.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & (1U << 29)) != 0;
}
bool has_avx512bf16() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1U << 5)) != 0;
}
}  // namespace

std::string_view name_of(Isa isa) { return kNames[static_cast<int>(isa)]; }

bool supported(Isa isa) {
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c() && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  switch (isa) {
    case Isa::ref:
      return true;
    case Isa::avx2:
      return avx2;
    case Isa::avx512:
      return avx512;
    case Isa::avx512bf16:
      return avx512 && has_avx512bf16();
  }
  return false;
}

IsaChoice choose_isa() {
  if (const char* forced = std::getenv("HADAL_ISA"); forced != nullptr && *forced != '\0') {
    for (int i = 0; i < 4; ++i) {
      if (kNames[i] != forced) continue;
      if (!supported(static_cast<Isa>(i))) fail("HADAL_ISA={}: this machine does not have it", forced);
      return {static_cast<Isa>(i), "forced by HADAL_ISA"};
    }
    fail("HADAL_ISA={}: it must be one of ref, avx2, avx512, avx512bf16", forced);
  }
  if (!supported(Isa::avx512))
    return supported(Isa::avx2) ? IsaChoice{Isa::avx2, "the widest that this processor has"}
                                : IsaChoice{Isa::ref, "this processor has no AVX2"};
  if (!supported(Isa::avx512bf16)) return {Isa::avx512, "the widest that this processor has"};
  const double advantage = bf16_dot_advantage();
  return {advantage > 1 ? Isa::avx512bf16 : Isa::avx512,
          fmt::format("for bf16 VDPBF16PS does {:.2f} x the operations of VFMADD231PS", advantage)};
}

struct Scratch::Buffer {
  std::unique_ptr<Storage> storage;
  void* grow(std::size_t wanted) {
    if (storage == nullptr || wanted > storage->bytes()) {
      storage.reset();  // before the new one: they need not exist together
      storage = std::make_unique<Storage>((wanted + 4095) / 4096 * 4096);
    }
    return storage->data();
  }
};

Scratch::Scratch(int workers) : workers_(static_cast<std::size_t>(workers)), shared_(8) {}
Scratch::~Scratch() = default;
std::size_t Scratch::bytes() const {
  std::size_t all = 0;
  for (const auto* buffers : {&workers_, &shared_}) {
    for (const Buffer& b : *buffers) all += b.storage != nullptr ? storage_bytes(b.storage->bytes()) : 0;
  }
  return all;
}
void* Scratch::worker(int worker, std::size_t bytes) { return workers_[static_cast<std::size_t>(worker)].grow(bytes); }
void* Scratch::shared(int slot, std::size_t bytes) { return shared_[static_cast<std::size_t>(slot)].grow(bytes); }

Context::Context(ThreadPool& pool, Isa isa) : Context(pool, isa, table_of(isa)) {}
Context::Context(ThreadPool& pool, Isa isa, const Table& table)
    : pool_(&pool), table_(&table), scratch_(std::make_unique<Scratch>(pool.size())), isa_(isa) {}

}  // namespace hadal::kernels
