// The machine's own limits: how fast it multiplies and adds out of registers, how fast it reads memory and its caches.
// From code that no kernel shares, so that a kernel cannot hide behind a limit that has its own faults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/threads.h"
#include "tensor/tensor.h"

namespace hadal::kernels {

enum class Instruction : std::uint8_t { f32_fma, bf16_dot, int8_dot, bf16_tile, int8_tile };

struct InstructionInfo {
  Instruction instruction;
  std::string_view name;  // of the widest form that this machine has, as manuals spell it
  // Multiplications and additions in the order of docs/numerics.md. AMX adds even and odd elements apart, and integer
  // products are another arithmetic.
  bool keeps_contract;
};

// What this machine has, f32_fma first.
std::vector<InstructionInfo> machine_instructions();

// Operations (a multiplication and an addition are two) in a second of so many threads together: of each the best of
// `rounds` of about a millisecond, while all of them run.
double instruction_rate(int threads, Instruction instruction, int rounds = 20);

// The best of the instructions that keep the contract and that kernels of this type can be made of (bf16: f32_fma on
// widened elements, too): what the share that is called MFU is a share of. Operations in a second.
double float_rate(int threads, DType act);

// VDPBF16PS against VFMADD231PS on bf16, on one thread: how many times as many operations a second, measured once in
// half a millisecond. 0 where there is no VDPBF16PS.
double bf16_dot_advantage();

// Bytes of the caches of a core, of all levels up to the last one; empty if the system does not tell.
std::vector<std::int64_t> cache_sizes();

struct ReadRate {
  double bytes_per_second = 0;
  std::string way;  // that was the fastest: streams of a thread, and how far ahead it asks for memory
};

// Reads its own memory from end to end, a stretch for each thread, in one of several ways: streams side by side,
// prefetches so or so far ahead.
class Reader {
 public:
  // About `bytes`, a multiple of 4 KiB for each thread. The pool must outlive it.
  Reader(ThreadPool& pool, std::int64_t bytes);
  // Tries every way `rounds` times, and keeps to the fastest.
  ReadRate choose(int rounds);
  void read() { read(1); }
  std::int64_t bytes() const { return stretch_ * pool_->size(); }

 private:
  void read(std::int64_t passes);  // in one parallel region
  double rate(std::size_t way);    // of one pass; what fits into a cache is read for half a millisecond at least
  ThreadPool* pool_;
  std::int64_t stretch_;  // of a thread
  Tensor memory_;
  char* data_;
  std::vector<std::uint64_t> seen_;  // the results, so that the reads are not left out
  std::size_t way_ = 0;
};

// The best of several ways.
ReadRate read_rate(ThreadPool& pool, std::int64_t bytes, int rounds);
// At least 1 GiB and four times the last cache, if that is half of the free memory at most.
std::int64_t memory_not_cache();

}  // namespace hadal::kernels
