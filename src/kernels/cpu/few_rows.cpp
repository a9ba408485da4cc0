// The list of products is cut into one stretch a thread, equal in bytes of B. A stretch is walked in pieces of columns;
// what the next pieces read is asked for while this one is used, across the ends of operands.
#include "kernels/cpu/few_rows.h"

#include "base/error.h"
#include "kernels/cpu/stream.h"
#include "kernels/cpu/thin.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

constexpr i64 kTaskWords = 8192;    // words of B that make a thread's start worth while
constexpr i64 kAheadBytes = 16384;  // of B, asked for before they are used

enum class Kind : std::uint8_t {
  packed,    // a packed weight
  along,     // rows along k, few enough for thin.h
  straight,  // rows across k
  general    // whatever is left: a panel is packed and used at once
};

struct Item {
  const Matmul* p;
  Kind kind;
  Left left;
  i64 granule, granules;  // columns that are not divided, and how many of them
  i64 words;              // of k, as memory has them
  i64 cost() const { return granule * words; }
};

Kind kind_of(const Matmul& p) {
  if (p.b_packed) return Kind::packed;
  if (p.a_transposed || p.m > kThinRows) return Kind::general;
  return p.b_transposed ? Kind::along : Kind::straight;
}

template <class T>
Left pack_rows(const Matmul& p, float* to) {
  const T* a = static_cast<const T*>(p.a);
  if (!p.a_transposed) return RowOperand<T>{a, p.k, p.lda}.pack(0, p.m, to);
  PanelOperand<T>{a, p.m, p.k, p.lda, false}.pack_panel(0, to);
  return {to, 1, padded(p.m)};
}

i64 left_words(const Matmul& p) { return (p.a_transposed ? padded(p.m) * (p.k + 1) : p.m * padded(p.k + 1)) + kLanes; }

bool same_rows(const Matmul& a, const Matmul& b) {
  return a.a == b.a && a.m == b.m && a.k == b.k && a.lda == b.lda && a.ab == b.ab && a.a_transposed == b.a_transposed;
}

// The pieces of one stretch: granules of the items whose place in the sum of costs lies in [begin, end).
class Stretch {
 public:
  Stretch(std::span<const Item> items, i64 begin, i64 end) : items_(items), begin_(begin), end_(end) { enter(); }
  bool done() const { return at_ == items_.size(); }
  const Item& item() const { return items_[at_]; }
  i64 column() const { return granule_ * item().granule; }
  i64 columns() const { return std::min(item().granule, item().p->n - column()); }
  void advance() {
    if (++granule_ < last_) return;
    start_ += item().granules * item().cost();
    ++at_;
    enter();
  }

 private:
  void enter() {
    for (; at_ < items_.size(); ++at_) {
      const Item& x = items_[at_];
      const auto place = [&](i64 cost) { return std::clamp<i64>(blocks_of(cost - start_, x.cost()), 0, x.granules); };
      granule_ = begin_ > start_ ? place(begin_) : 0;
      last_ = end_ > start_ ? place(end_) : 0;
      if (granule_ < last_) return;
      start_ += x.granules * x.cost();
    }
  }
  std::span<const Item> items_;
  i64 begin_, end_, start_ = 0;
  std::size_t at_ = 0;
  i64 granule_ = 0, last_ = 0;
};

const char* packed_lines(const Item& x, i64 column) {
  return static_cast<const char*>(x.p->b) + 4 * packed_place(x.p->n, x.words, column, 0);
}
i64 packed_line(const Item& x, i64 column) {
  return 4 * (packed_place(x.p->n, 2, column, 1) - packed_place(x.p->n, 2, column, 0));
}

// What a piece reads: rows of bytes at a stride.
struct PieceMemory {
  const char* first;
  i64 rows, bytes, stride;
};
PieceMemory memory_of(const Item& x, i64 column, i64 columns) {
  const Matmul& p = *x.p;
  const auto size = static_cast<i64>(size_of(p.ab));
  const char* b = static_cast<const char*>(p.b);
  if (x.kind == Kind::packed) return {packed_lines(x, column), x.words, 4 * padded(columns), packed_line(x, column)};
  if (p.b_transposed) return {b + column * p.ldb * size, columns, p.k * size, p.ldb * size};
  return {b + column * size, p.k, columns * size, p.ldb * size};
}

// Asks for the lines of a stretch in the order of its pieces, and in that of addresses within a piece.
class StretchAhead {
 public:
  explicit StretchAhead(const Stretch& from) : from_(from) { enter(); }
  // To be called for as many lines of 64 bytes as are used.
  void lines(i64 count) {
    for (; count > 0 && rows_ > 0; --count) {
      _mm_prefetch(line_, _MM_HINT_T0);
      line_ += 64;
      if (line_ < end_) continue;
      line_ += skip_;
      end_ += stride_;
      if (--rows_ > 0) continue;
      from_.advance();
      enter();
    }
  }

 private:
  void enter() {
    if (from_.done()) return;
    PieceMemory m = memory_of(from_.item(), from_.column(), from_.columns());
    if (m.bytes == m.stride) m = {m.first, 1, m.rows * m.bytes, 0};
    line_ = m.first;
    end_ = m.first + m.bytes;
    stride_ = m.stride;
    skip_ = m.stride - blocks_of(m.bytes, 64) * 64;
    rows_ = m.bytes > 0 ? m.rows : 0;
  }
  Stretch from_;
  const char *line_ = nullptr, *end_ = nullptr;
  i64 rows_ = 0, stride_ = 0, skip_ = 0;
};

template <class T>
PanelOperand<T> operand(const Matmul& p) {
  return {static_cast<const T*>(p.b), p.n, p.k, p.ldb, p.b_transposed, p.b_packed};
}

// Room of a task: sums of a piece, and a packed panel.
template <class T>
void piece(const Item& x, i64 column, i64 columns, StretchAhead& ahead, const TaskScratch& s) {
  const Matmul& p = *x.p;
  const Output out{p.c, p.ldc, p.c_dtype, p.bias, p.accumulate};
  const i64 chunk = p.chunk > 0 ? p.chunk : dot_chunk(p.k);
  const auto put = [&](i64 stride) {
    if (out.dtype == DType::bf16) {
      store_tile<bf16>(s.tiles, p.m, columns, out, 0, column, stride);
    } else {
      store_tile<float>(s.tiles, p.m, columns, out, 0, column, stride);
    }
  };
  if (x.kind == Kind::packed) {
    const StreamTask task{x.left, p.m, p.k, chunk, s.tiles};
    stream_packed<T>(task, reinterpret_cast<const float*>(packed_lines(x, column)), packed_line(x, column) / 4,
                     padded(columns), ahead);
    put(kPackedRows);
  } else if (x.kind == Kind::straight) {
    const StreamTask task{x.left, p.m, p.k, chunk, s.tiles};
    stream_straight<T>(task, static_cast<const T*>(p.b) + column, p.ldb, columns, ahead);
    put(kPackedRows);
  } else if (x.kind == Kind::along) {
    for (i64 c = column; c < column + columns; c += kThinColumns) {
      thin_product<T>(x.left, p.m, operand<T>(p), c, chunk, s.tiles, out, ahead);
    }
  } else {
    const PanelOperand<T> b = operand<T>(p);
    for (i64 panel = column / kPanel; panel * kPanel < column + columns; ++panel) {
      b.pack_panel(panel, s.packed);
      product_of_panels<T>(x.left, p.m, p.k, chunk,
                           {s.packed - panel * b.panel_words(), p.n, b.panel_words(), panel, panel + 1}, s.tiles, out,
                           0);
    }
  }
}

// Packs A and cuts the columns: pieces of 64, or of 32 where there would be too few.
std::vector<Item> prepare(const Context& cx, std::span<const Matmul> list) {
  std::vector<Item> items;
  i64 room = 0, pieces = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i == 0 || !same_rows(list[i - 1], list[i])) room += left_words(list[i]);
    pieces += blocks_of(list[i].n, kPackedRows);
  }
  float* to = shared_words(cx, 0, room);
  const bool fine = pieces < 8 * cx.pool().size();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Matmul& p = list[i];
    if (p.m <= 0 || p.n <= 0) continue;
    const Kind kind = kind_of(p);
    Left left{};
    if (!items.empty() && same_rows(*items.back().p, p)) {
      left = items.back().left;
    } else {
      left = p.ab == DType::bf16 ? pack_rows<bf16>(p, to) : pack_rows<float>(p, to);
      to += left_words(p) / kLanes * kLanes;
    }
    const i64 granule = kind == Kind::straight && p.m == 1                      ? kStraightColumns
                        : fine && (kind == Kind::packed || kind == Kind::along) ? kPackedRows / 2
                                                                                : kPackedRows;
    items.push_back({&p, kind, left, granule, blocks_of(p.n, granule), std::max<i64>(1, packed_words(p.k, p.ab))});
  }
  return items;
}

}  // namespace

void few_rows(const Context& cx, std::span<const Matmul> list) {
  const std::vector<Item> items = prepare(cx, list);
  i64 total = 0, panel_words = 0, rows = 1;
  for (const Item& x : items) {
    HADAL_ASSERT(x.p->m <= kFewRows && (x.kind != Kind::packed || x.left.word == 1));
    total += x.granules * x.cost();
    rows = std::max(rows, x.p->m);
    if (x.kind == Kind::general) panel_words = std::max(panel_words, kPanel * padded(x.p->k + 1));
  }
  const i64 tasks = std::clamp<i64>(total / kTaskWords, 1, cx.pool().size());
  cx.pool().run(tasks, [&](i64 task, int worker) {
    const TaskScratch s(cx, worker, rows, panel_words);
    Stretch stretch(items, total * task / tasks, total * (task + 1) / tasks);
    StretchAhead ahead(stretch);
    ahead.lines(kAheadBytes / 64);
    for (; !stretch.done(); stretch.advance()) {
      const Item& x = stretch.item();
      if (x.p->ab == DType::bf16) {
        piece<bf16>(x, stretch.column(), stretch.columns(), ahead, s);
      } else {
        piece<float>(x, stretch.column(), stretch.columns(), ahead, s);
      }
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
