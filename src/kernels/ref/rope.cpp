#include "kernels/ref/rope.h"

namespace hadal::kernels::ref {

void rope(const Context&, const Rope& p) {
  for (i64 r = 0; r < p.rows; ++r) {
    const i64 entry = p.positions[r] * (p.rot / 2);
    for (i64 h = 0; h < p.heads; ++h) {
      std::vector<float> row = read_row(p.x, r * p.x_row + h * p.x_head, p.rot, p.act);
      rope_row(p.rot, p.interleaved, p.inverse, row.data(), p.cos + entry, p.sin + entry, row.data());
      write_row(p.y, r * p.y_row + h * p.y_head, row, p.act);
    }
  }
}

}  // namespace hadal::kernels::ref
