// Counts in sentences: "1 token", "2 tokens".
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace hadal {

// plural(1, "token") is "1 token", plural(0, "token") "0 tokens", plural(2, "entry", "entries") "2 entries".
inline std::string plural(std::uint64_t count, std::string_view one, std::string_view many = "") {
  if (count == 1) return fmt::format("1 {}", one);
  return many.empty() ? fmt::format("{} {}s", count, one) : fmt::format("{} {}", count, many);
}

}  // namespace hadal
