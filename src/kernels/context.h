// What every kernel gets first: threads, scratch memory, and the table of kernels for one ISA. No globals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/threads.h"

namespace hadal::kernels {

struct Table;
class Profile;

enum class Isa : std::uint8_t { ref, avx2, avx512, avx512bf16 };

std::string_view name_of(Isa isa);
// What this machine computes with, and why. Every ISA gives the same bits, so the fastest is taken: the widest, but
// avx512bf16 only where VDPBF16PS is faster than two fused multiply-adds of widened elements, which is measured.
// HADAL_ISA (ref, avx2, avx512, avx512bf16) forces one. Throws Error if that name is unknown or the machine lacks it.
struct IsaChoice {
  Isa isa;
  std::string why;
};
IsaChoice choose_isa();
inline Isa default_isa() { return choose_isa().isa; }
bool supported(Isa isa);
const Table& table_of(Isa isa);

// Growing scratch buffers: one for each worker, and some shared by all workers of a region.
class Scratch {
 public:
  explicit Scratch(int workers);
  ~Scratch();
  // 64-byte aligned; valid until the next call with the same worker.
  void* worker(int worker, std::size_t bytes);
  // Shared buffer number `slot` (0..7): call outside parallel regions; valid until the next call with the same slot.
  void* shared(int slot, std::size_t bytes);
  std::size_t bytes() const;  // of all buffers

 private:
  struct Buffer;
  std::vector<Buffer> workers_, shared_;
};

class Context {
 public:
  Context(ThreadPool& pool, Isa isa);
  // The kernels of `table`, which must outlive the context, in place of the ISA's own.
  Context(ThreadPool& pool, Isa isa, const Table& table);
  const Table& table() const { return *table_; }
  ThreadPool& pool() const { return *pool_; }
  Scratch& scratch() const { return *scratch_; }
  Isa isa() const { return isa_; }
  // Where kernels::run notes its times; with null (the default) it notes none.
  Profile* profile() const { return profile_; }
  void set_profile(Profile* profile) { profile_ = profile; }

 private:
  ThreadPool* pool_;
  Profile* profile_ = nullptr;
  const Table* table_;
  std::unique_ptr<Scratch> scratch_;
  Isa isa_;
};

}  // namespace hadal::kernels
