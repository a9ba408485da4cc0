// Dispatch to experts and back, embedding: against plain loops, gradients, every ISA.
#include "kernels/ref/rows.h"

#include <numeric>

#include "checks.h"

namespace hadal::test {
namespace {

std::vector<i32> shuffled(i64 n, std::uint64_t seed) {
  std::vector<i32> v(static_cast<std::size_t>(n));
  std::iota(v.begin(), v.end(), 0);
  std::shuffle(v.begin(), v.end(), std::mt19937_64(seed));
  return v;
}

struct Shape {
  i64 rows, top_k, d;
};
const std::vector<Shape> kShapes = {{1, 1, 1},  {3, 2, 7},  {5, 1, 15},   {4, 3, 16},   {7, 8, 17},
                                    {2, 6, 33}, {3, 2, 61}, {130, 6, 67}, {50, 3, 1031}};

TEST(GatherRows, CopiesRows) {
  for (const DType act : kActs) {
    for (const Shape& s : kShapes) {
      const Buffer x = Buffer::random(s.rows * s.d, act, 1);
      std::vector<i32> rows_of;
      for (i64 i = 0; i < s.rows * s.top_k; ++i) rows_of.push_back(static_cast<i32>(i * 7 % s.rows));
      const i64 n = static_cast<i64>(rows_of.size());
      const Outputs out = expect_rows_equal("gather rows", n, [&](const Context& cx, i64 first, i64 count) {
        Outputs o{Buffer(count * s.d, act)};
        run(cx,
            kernels::GatherRows{
                .n = count, .d = s.d, .x = x.raw(), .rows_of = rows_of.data() + first, .y = o[0].raw(), .act = act});
        return o;
      });
      for (i64 i = 0; i < n * s.d; ++i)
        EXPECT_EQ(out[0].get(i), x.get(rows_of[static_cast<std::size_t>(i / s.d)] * s.d + i % s.d));
    }
  }
}

TEST(GatherSum, SumsTheSlots) {
  for (const DType act : kActs) {
    for (const Shape& s : kShapes) {
      for (const bool weighted : {false, true}) {
        for (const bool with_shared : {false, true}) {
          const Buffer y = Buffer::random(s.rows * s.top_k * s.d, act, 1),
                       w = Buffer::random(s.rows * s.top_k, DType::f32, 2);
          const Buffer shared = Buffer::random(s.rows * s.d, act, 3);
          const std::vector<i32> slot = shuffled(s.rows * s.top_k, 4);
          const Outputs out = expect_rows_equal("gather sum", s.rows, [&](const Context& cx, i64 first, i64 n) {
            Outputs o{Buffer(n * s.d, act)};
            run(cx, kernels::GatherSum{.rows = n,
                                       .top_k = s.top_k,
                                       .d = s.d,
                                       .y = y.raw(),
                                       .slot_row = slot.data() + first * s.top_k,
                                       .weights = weighted ? w.data() + first * s.top_k : nullptr,
                                       .shared = with_shared ? shared.at(first * s.d) : nullptr,
                                       .out = o[0].raw(),
                                       .act = act});
            return o;
          });
          for (i64 i = 0; i < s.rows * s.d; ++i) {
            double sum = 0, size = 0;
            const auto term = [&](double v) {
              sum += v;
              size += std::abs(v);
            };
            for (i64 j = i / s.d * s.top_k; j < (i / s.d + 1) * s.top_k; ++j) {
              term((weighted ? w.get(j) : 1.0) * y.get(slot[static_cast<std::size_t>(j)] * s.d + i % s.d));
            }
            if (with_shared) term(shared.get(i));
            const double rounding = act == DType::bf16 ? 0x1p-8 * std::abs(sum) + 1e-40 : 0;
            EXPECT_NEAR(out[0].get(i), sum, static_cast<double>(s.top_k + 1) * 6e-8 * size + rounding);
          }
        }
      }
    }
  }
}

TEST(CombineBackward, EqualEverywhere) {
  for (const DType act : kActs) {
    for (const Shape& s : kShapes) {
      const i64 slots = s.rows * s.top_k;
      const Buffer y = Buffer::random(slots * s.d, act, 1), w = Buffer::random(slots, DType::f32, 2);
      const Buffer d_out = Buffer::random(s.rows * s.d, act, 3);
      const std::vector<i32> slot = shuffled(slots, 4);
      // dy comes back in the order of the slots, so that a token's part is a row of the outputs.
      expect_rows_equal("combine backward", s.rows, [&](const Context& cx, i64 first, i64 n) {
        Outputs o{Buffer(n * s.top_k * s.d, act), Buffer(n * s.top_k)};
        Buffer dy(slots * s.d, act);
        run(cx, kernels::CombineBackward{.rows = n,
                                         .top_k = s.top_k,
                                         .d = s.d,
                                         .y = y.raw(),
                                         .slot_row = slot.data() + first * s.top_k,
                                         .weights = w.data() + first * s.top_k,
                                         .d_out = d_out.at(first * s.d),
                                         .dy = dy.raw(),
                                         .d_weights = o[1].data(),
                                         .act = act});
        EXPECT_TRUE(dy.intact());
        for (i64 i = 0; i < n * s.top_k * s.d; ++i) {
          o[0].set(i, dy.get(slot[static_cast<std::size_t>(first * s.top_k + i / s.d)] * s.d + i % s.d));
        }
        return o;
      });
    }
  }
}

TEST(CombineBackward, IsTheGradientOfGatherSum) {
  constexpr i64 k = 3, d = 19;
  const Doubles y = random_doubles(k * d, 1), w = random_doubles(k, 2), d_out = random_doubles(d, 3);
  const auto loss = [&](const Doubles& ys, const Doubles& ws) {
    std::vector<Doubles> rows;
    for (i64 j = 0; j < k; ++j) rows.emplace_back(ys.begin() + j * d, ys.begin() + (j + 1) * d);
    Doubles out(d);
    kernels::ref::gather_sum_row<double>(d, rows, ws.data(), nullptr, out.data());
    return dot(out, d_out);
  };
  Doubles dy(k * d), dw;
  for (i64 j = 0; j < k; ++j) {
    dw.push_back(kernels::ref::combine_backward_row(d, y.data() + j * d, w[static_cast<std::size_t>(j)], d_out.data(),
                                                    dy.data() + j * d));
  }
  expect_gradient([&](const Doubles& at) { return loss(at, w); }, y, dy);
  expect_gradient([&](const Doubles& at) { return loss(y, at); }, w, dw);
}

// Many rows share few ids, one of them much more than the others: runs longer than a task's share, across its borders.
std::vector<i32> crowded_ids(i64 rows, i64 vocab) {
  std::vector<i32> ids;
  std::mt19937_64 engine(5);
  for (i64 r = 0; r < rows; ++r)
    ids.push_back(engine() % 2 == 0 ? static_cast<i32>(vocab / 2)
                                    : static_cast<i32>(engine() % static_cast<std::uint64_t>(vocab)));
  return ids;
}

TEST(Embedding, EqualEverywhere) {
  for (const DType table_type : kActs) {
    for (const DType y_type : kActs) {
      for (const auto& [rows, d] : {std::pair<i64, i64>{1, 1}, {3, 7}, {5, 16}, {9, 33}, {150, 131}}) {
        constexpr i64 vocab = 11;
        const Buffer table = Buffer::random(vocab * d, table_type, 1);
        const std::vector<i32> ids = crowded_ids(rows, vocab);
        const Outputs out = expect_rows_equal("embedding", rows, [&, d = d](const Context& cx, i64 first, i64 n) {
          Outputs o{Buffer(n * d, y_type)};
          run(cx, kernels::Embedding{.rows = n,
                                     .d = d,
                                     .ids = ids.data() + first,
                                     .table = table.raw(),
                                     .table_dtype = table_type,
                                     .y = o[0].raw(),
                                     .y_dtype = y_type});
          return o;
        });
        for (i64 i = 0; i < rows * d; ++i) {
          const double v = table.get(ids[static_cast<std::size_t>(i / d)] * d + i % d);
          EXPECT_EQ(out[0].get(i), y_type == DType::bf16 ? static_cast<float>(bf16(static_cast<float>(v))) : v);
        }
      }
    }
  }
}

TEST(Embedding, BackwardAddsRowsInRisingOrder) {
  for (const DType act : kActs) {
    for (const auto& [rows, d, vocab] :
         {Shape{0, 5, 3}, {1, 1, 1}, {7, 5, 3}, {64, 16, 64}, {65, 17, 2}, {500, 33, 1}, {300, 1100, 40}}) {
      const std::vector<i32> ids = crowded_ids(rows, vocab);
      std::vector<i32> order(ids.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](i32 a, i32 b) {
        return ids[static_cast<std::size_t>(a)] < ids[static_cast<std::size_t>(b)];
      });
      const Buffer dy = Buffer::random(rows * d, act, 1), start = Buffer::random(vocab * d, DType::f32, 2);
      const Outputs out = expect_equal_everywhere("embedding backward", [&, rows = rows, d = d](const Context& cx) {
        Outputs o{start};
        run(cx, kernels::EmbeddingBackward{.rows = rows,
                                           .d = d,
                                           .order = order.data(),
                                           .ids = ids.data(),
                                           .dy = dy.raw(),
                                           .dy_dtype = act,
                                           .d_table = o[0].data()});
        return o;
      });
      std::vector<float> expected(start.data(), start.data() + start.size());
      for (i64 i = 0; i < rows * d; ++i) {
        expected[static_cast<std::size_t>(ids[static_cast<std::size_t>(i / d)] * d + i % d)] +=
            static_cast<float>(dy.get(i));
      }
      for (i64 i = 0; i < out[0].size(); ++i) EXPECT_EQ(out[0].get(i), expected[static_cast<std::size_t>(i)]);
    }
  }
}

}  // namespace
}  // namespace hadal::test
