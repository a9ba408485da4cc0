// The list of products is cut into one share a thread, equal in bytes of B. A share is walked in pieces of columns
// (granules); what the next pieces read is asked for while this one is used, across the ends of operands. A thread
// that is done helps the others.
#include "kernels/cpu/few_rows.h"

#include <array>
#include <optional>

#include "base/error.h"
#include "kernels/cpu/shares.h"
#include "kernels/cpu/strands.h"
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

// Rows that are words as they lie need no packing.
bool is_words(const Matmul& p) {
  if (p.a_transposed) return false;
  if (p.ab == DType::f32) return true;
  return kNativeBf16 && p.k % 2 == 0 && p.lda % 2 == 0 && reinterpret_cast<std::uintptr_t>(p.a) % alignof(float) == 0;
}
Left as_it_lies(const Matmul& p) { return {static_cast<const float*>(p.a), p.ab == DType::f32 ? p.lda : p.lda / 2, 1}; }

bool same_rows(const Matmul& a, const Matmul& b) {
  return a.a == b.a && a.m == b.m && a.k == b.k && a.lda == b.lda && a.ab == b.ab && a.a_transposed == b.a_transposed;
}

// A place in the list: granules are numbered through all items, rising.
class Place {
 public:
  Place(std::span<const Item> items, i64 granule) : items_(items), granule_(granule) { enter(); }
  bool valid() const { return at_ < items_.size(); }
  const Item& item() const { return items_[at_]; }
  i64 column() const { return granule_ * item().granule; }
  i64 columns() const { return std::min(item().granule, item().p->n - column()); }
  void advance() {
    ++granule_;
    enter();
  }

 private:
  void enter() {
    for (; at_ < items_.size() && granule_ >= items_[at_].granules; ++at_) granule_ -= items_[at_].granules;
  }
  std::span<const Item> items_;
  std::size_t at_ = 0;
  i64 granule_;  // of item at_
};

// The first granule whose place in the sum of costs is at least `cost`.
i64 granule_at(std::span<const Item> items, i64 cost) {
  i64 granule = 0;
  for (const Item& x : items) {
    if (cost <= x.granules * x.cost()) return granule + blocks_of(cost, x.cost());
    cost -= x.granules * x.cost();
    granule += x.granules;
  }
  return granule;
}

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

// Asks for the lines of `granules` from a place on, in the order of addresses within each.
class LinesAhead {
 public:
  LinesAhead(const Place& from, i64 granules) : place_(from), granules_(granules) { enter(); }
  // To be called for as many lines of 64 bytes as are used.
  void lines(i64 count) {
    for (; count > 0 && rows_ > 0; --count) {
      _mm_prefetch(line_, _MM_HINT_T0);
      line_ += 64;
      if (line_ < end_) continue;
      line_ += skip_;
      end_ += stride_;
      if (--rows_ > 0) continue;
      place_.advance();
      --granules_;
      enter();
    }
  }

 private:
  void enter() {
    if (granules_ <= 0 || !place_.valid()) return;
    PieceMemory m = memory_of(place_.item(), place_.column(), place_.columns());
    if (m.bytes == m.stride) m = {m.first, 1, m.rows * m.bytes, 0};
    line_ = m.first;
    end_ = m.first + m.bytes;
    stride_ = m.stride;
    skip_ = m.stride - blocks_of(m.bytes, 64) * 64;
    rows_ = m.bytes > 0 ? m.rows : 0;
  }
  Place place_;
  i64 granules_;
  const char *line_ = nullptr, *end_ = nullptr;
  i64 rows_ = 0, stride_ = 0, skip_ = 0;
};

template <class T>
PanelOperand<T> operand(const Matmul& p) {
  return {static_cast<const T*>(p.b), p.n, p.k, p.ldb, p.b_transposed, p.b_packed};
}

// Room of a task: sums of a piece, and a packed panel.
template <class T>
void piece(const Item& x, i64 column, i64 columns, LinesAhead& ahead, const TaskScratch& s) {
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
    run_products<is_bf16<T>>([&] {
      stream_packed<T>(task, reinterpret_cast<const float*>(packed_lines(x, column)), packed_line(x, column) / 4,
                       padded(columns), ahead);
    });
    put(kPackedRows);
  } else if (x.kind == Kind::straight) {
    const StreamTask task{x.left, p.m, p.k, chunk, s.tiles};
    run_products<is_bf16<T>>(
        [&] { stream_straight<T>(task, static_cast<const T*>(p.b) + column, p.ldb, columns, ahead); });
    put(kPackedRows);
  } else if (x.kind == Kind::along) {
    for (i64 c = column; c < column + columns; c += kPanel) {
      thin_product<T>(x.left, p.m, operand<T>(p), c, std::min(kPanel, column + columns - c), chunk, s.tiles, out,
                      ahead);
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

// Does granules one after the other: strands that can be multiplied at one time, or a piece.
class Walk {
 public:
  Walk(std::span<const Item> items, const TaskScratch& scratch) : items_(items), s_(scratch) {}

  // `soon`: up to where this thread is likely to go on.
  void go(Granules g, i64 soon) {
    while (g.begin < g.end) {
      const Set set = strands(g.begin, g.end);
      if (set.count > 0) {
        lines_.reset();
        if (asked_ != g.begin) ask(set);
        const Set next = strands(g.begin + set.count, std::max(soon, g.end));
        asked_ = g.begin + set.count;
        multiply(set, next);
        g.begin += set.count;
        continue;
      }
      const Place place(items_, g.begin);
      if (!lines_ || asked_ != g.begin) {
        lines_.emplace(place, std::max(soon, g.end) - g.begin);
        lines_->lines(kAheadBytes / 64);
      }
      const Item& x = place.item();
      if (x.p->ab == DType::bf16) {
        piece<bf16>(x, place.column(), place.columns(), *lines_, s_);
      } else {
        piece<float>(x, place.column(), place.columns(), *lines_, s_);
      }
      asked_ = ++g.begin;
    }
  }

 private:
  struct Set {
    std::array<Strand, kStrands> strands;
    std::array<const Item*, kStrands> items;
    std::array<i64, kStrands> columns;  // where they begin
    int count = 0;
  };

  // The strands that lie in [begin, end) one behind the other and have one k.
  Set strands(i64 begin, i64 end) const {
    Set set;
    for (Place place(items_, begin); begin < end && place.valid() && set.count < kStrands; ++begin, place.advance()) {
      const Item& x = place.item();
      const bool fits = x.kind == Kind::packed && x.p->m == 1 && padded(place.columns()) == kStrandColumns;
      if (!fits || (set.count > 0 && (x.p->k != set.items[0]->p->k || x.p->ab != set.items[0]->p->ab ||
                                      x.p->chunk != set.items[0]->p->chunk))) {
        break;
      }
      const auto i = static_cast<std::size_t>(set.count++);
      set.items[i] = &x;
      set.columns[i] = place.column();
      set.strands[i] = {x.left.a, reinterpret_cast<const float*>(packed_lines(x, place.column())),
                        packed_line(x, place.column()) / 4};
    }
    return set;
  }

  static void ask(const Set& set) {
    const i64 words = std::min(set.items[0]->words, words_ahead(set.count));
    for (i64 w = 0; w < words; ++w) {
      for (int i = 0; i < set.count; ++i) ask_for_word(set.strands[static_cast<std::size_t>(i)], w);
    }
  }

  void multiply(const Set& set, const Set& next) const {
    const Matmul& p = *set.items[0]->p;
    const std::span strands(set.strands.data(), static_cast<std::size_t>(set.count));
    const std::span after(next.strands.data(), static_cast<std::size_t>(next.count));
    const i64 chunk = p.chunk > 0 ? p.chunk : dot_chunk(p.k);
    if (p.ab == DType::bf16) {
      multiply_strands<bf16>(strands, after, p.k, chunk, s_.tiles);
    } else {
      multiply_strands<float>(strands, after, p.k, chunk, s_.tiles);
    }
    for (std::size_t i = 0; i < strands.size(); ++i) {
      const Matmul& of = *set.items[i]->p;
      const i64 column = set.columns[i], columns = std::min(kStrandColumns, of.n - column);
      const float* tile = s_.tiles + static_cast<i64>(i) * kStrandColumns;
      const Output out{of.c, of.ldc, of.c_dtype, of.bias, of.accumulate};
      if (out.dtype == DType::bf16) {
        store_tile<bf16>(tile, 1, columns, out, 0, column, kStrandColumns);
      } else {
        store_tile<float>(tile, 1, columns, out, 0, column, kStrandColumns);
      }
    }
  }

  std::span<const Item> items_;
  const TaskScratch& s_;
  std::optional<LinesAhead> lines_;
  i64 asked_ = -1;  // the granule whose beginning has been asked for
};

// Packs A and cuts the columns: pieces of 64, or of 32 where there would be too few.
std::vector<Item> prepare(const Context& cx, std::span<const Matmul> list) {
  std::vector<Item> items;
  items.reserve(list.size());
  i64 room = 0, pieces = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (!is_words(list[i]) && (i == 0 || !same_rows(list[i - 1], list[i]))) room += left_words(list[i]);
    pieces += blocks_of(list[i].n, kPackedRows);
  }
  float* to = shared_words(cx, 0, room);
  const bool fine = pieces < 8 * cx.pool().size();
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Matmul& p = list[i];
    if (p.m <= 0 || p.n <= 0) continue;
    const Kind kind = kind_of(p);
    Left left{};
    if (is_words(p)) {
      left = as_it_lies(p);
    } else if (!items.empty() && same_rows(*items.back().p, p)) {
      left = items.back().left;
    } else {
      left = p.ab == DType::bf16 ? pack_rows<bf16>(p, to) : pack_rows<float>(p, to);
      to += left_words(p) / kLanes * kLanes;
    }
    const i64 granule = kind == Kind::straight && p.m == 1                                   ? kStraightColumns
                        : kind == Kind::packed && p.m == 1                                   ? kStrandColumns
                        : fine && (kind == Kind::packed || (kind == Kind::along && p.m > 1)) ? kPackedRows / 2
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
  std::vector<Share> shares(static_cast<std::size_t>(tasks));
  std::vector<i64> begins;
  for (i64 t = 0; t <= tasks; ++t) begins.push_back(granule_at(items, total * t / tasks));
  for (std::size_t t = 0; t < shares.size(); ++t) shares[t].set(begins[t], begins[t + 1]);
  cx.pool().run(tasks, [&](i64 task, int worker) {
    const TaskScratch s(cx, worker, rows, panel_words);
    const auto own = static_cast<std::size_t>(task);
    Walk walk(items, s);
    shares[own].begin();
    for (Granules g = shares[own].take_first(kStrands); g.begin < g.end; g = shares[own].take_first(kStrands)) {
      walk.go(g, shares[own].end());
    }
    for (std::size_t other = (own + 1) % shares.size(); other != own; other = (other + 1) % shares.size()) {
      if (!shares[other].begun()) continue;
      for (Granules g = shares[other].take_last(kStrands); g.begin < g.end; g = shares[other].take_last(kStrands)) {
        walk.go(g, g.end);
      }
    }
  });
}

}  // namespace hadal::kernels::HADAL_ISA_NS
