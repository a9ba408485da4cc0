#include "nn/read_next.h"

#include "kernels/packed.h"

namespace hadal::nn {

ReadNext& ReadNext::experts(const Tensor& w, const Tensor& offsets) {
  const std::int64_t n = w.size(1), k = w.size(2), size = static_cast<std::int64_t>(size_of(w.dtype()));
  const std::int64_t expert = size * (w.packed() ? kernels::packed_elements(n, k, w.dtype()) : n * k);
  const auto begin = offsets.span<std::int32_t>();
  for (std::size_t e = 0; e + 1 < begin.size(); ++e) {
    if (begin[e] == begin[e + 1]) continue;
    range(static_cast<const std::byte*>(w.raw()) + static_cast<std::int64_t>(e) * expert, expert);
  }
  return *this;
}

}  // namespace hadal::nn
