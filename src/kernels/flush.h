// Products of bf16 take subnormal numbers as zero and make none, as VDPBF16PS does on its own: with the bits FTZ and
// DAZ of MXCSR set, two fused multiply-adds of widened elements, the odd one first, give the bits of that instruction,
// so that bf16 is the same on every ISA (docs/numerics.md). Outside of these products nothing is flushed.
#pragma once

namespace hadal::kernels {

// MXCSR at the start of every program: nothing flushed, rounding to nearest, no traps.
inline constexpr unsigned kDefaultMode = 0x1F80, kFlush = 0x8040;

// Sets MXCSR for its lifetime. A compiler does not know that arithmetic depends on it and may move what is in registers
// across: what is computed must be read from memory and stored to memory in between, in a function of its own (below).
class FloatMode {
 public:
  [[gnu::always_inline]] explicit FloatMode(unsigned mode) {
    asm volatile("stmxcsr %0" : "=m"(before_) : : "memory");
    changed_ = (before_ & kControl) != mode;
    if (changed_) set(mode);
  }
  [[gnu::always_inline]] ~FloatMode() {
    if (changed_) set(before_);
  }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  [[gnu::always_inline]] static void set(const unsigned& mode) { asm volatile("ldmxcsr %0" : : "m"(mode) : "memory"); }
  static constexpr unsigned kControl = 0xFFC0;  // without the flags of what has happened
  unsigned before_;
  bool changed_;
};

template <class F>
[[gnu::noinline]] void flushing(const F& products) {
  const FloatMode flush(kDefaultMode | kFlush);
  products();
}

// Runs products, which read their operands from memory and store their results there.
template <bool kFlushed, class F>
[[gnu::always_inline]] inline void run_products(const F& products) {
  if constexpr (kFlushed) {
    flushing(products);
  } else {
    products();
  }
}

}  // namespace hadal::kernels
