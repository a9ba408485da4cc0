// Scalar types of narrow width, stored as their bits. Conversions round to nearest even.
#pragma once

#include <bit>
#include <cstdint>

namespace hadal {

struct bf16 {
  std::uint16_t bits = 0;
  bf16() = default;
  explicit bf16(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
      bits = static_cast<std::uint16_t>((u >> 16) | 0x40u);  // keep NaN a quiet NaN
    } else {
      bits = static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
    }
  }
  explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

inline bool operator==(bf16 a, bf16 b) { return a.bits == b.bits; }

// FP8 of 1 + 4 + 3 bits ("e4m3fn"): bias 7, least normal 2^-6, least number 2^-9, no infinity, NaN is 0x7f or 0xff.
// What lies beyond 448, infinity too, becomes 448; NaN stays NaN.
struct e4m3 {
  static constexpr float kMost = 448.0f;
  std::uint8_t bits = 0;
  e4m3() = default;
  explicit e4m3(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t size = u & 0x7fffffffu, sign = (u >> 24) & 0x80u;
    std::uint32_t code = 0;
    if (size > 0x7f800000u) {
      code = 0x7fu;
    } else if (size >= 0x43e00000u) {  // 448
      code = 0x7eu;
    } else if (size < 0x3c800000u) {  // 2^-6: beside 2^14, the last bit of a float is worth 2^-9
      code = std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 16384.0f) & 0xfu;
    } else {
      code = ((size + 0x7ffffu + ((size >> 20) & 1u)) >> 20) - (120u << 3);
    }
    bits = static_cast<std::uint8_t>(sign | code);
  }
  explicit operator float() const {
    const std::uint32_t sign = (bits & 0x80u) << 24, code = bits & 0x7fu;
    if (code == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
    const float size = code < 8 ? static_cast<float>(code) * 0x1p-9f : std::bit_cast<float>((code + (120u << 3)) << 20);
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(size));
  }
};

inline bool operator==(e4m3 a, e4m3 b) { return a.bits == b.bits; }

}  // namespace hadal
