// The rows of the op table. Sizes are random, with 1 and primes among them.
#include <numeric>

#include "op_table.h"
#include "ops/absorb.h"
#include "ops/add.h"
#include "ops/attention.h"
#include "ops/columns.h"
#include "ops/dispatch.h"
#include "ops/embedding.h"
#include "ops/fp8_linear.h"
#include "ops/gate.h"
#include "ops/linear.h"
#include "ops/lm_loss.h"
#include "ops/products.h"
#include "ops/rms_norm.h"
#include "ops/rope.h"
#include "ops/swiglu.h"

namespace hadal::test {

namespace {

std::int64_t size(Random& random, std::int64_t most = 40) {
  constexpr std::int64_t kOdd[] = {1, 2, 3, 7, 13, 17, 31, 37};
  return between(random, 0, 1) == 0 ? std::min<std::int64_t>(most, kOdd[between(random, 0, 7)])
                                    : between(random, 1, most);
}

Tensor indices(Random& random, std::int64_t n, std::int64_t below) {
  Tensor t = Tensor::empty({n}, DType::i32);
  for (auto& v : t.span<std::int32_t>()) v = static_cast<std::int32_t>(between(random, 0, below - 1));
  return t;
}

// (rows, k) distinct ascending expert numbers.
Tensor choice(Random& random, std::int64_t rows, std::int64_t experts, std::int64_t k) {
  Tensor t = Tensor::empty({rows, k}, DType::i32);
  std::vector<std::int32_t> all(static_cast<std::size_t>(experts));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
  for (std::int64_t r = 0; r < rows; ++r) {
    std::shuffle(all.begin(), all.end(), random);
    std::copy_n(all.begin(), k, t.data<std::int32_t>() + r * k);
    std::sort(t.data<std::int32_t>() + r * k, t.data<std::int32_t>() + (r + 1) * k);
  }
  return t;
}

using Context = kernels::Context;
using Operands = std::vector<Operand>;

OP_ROW(linear, [](Random& random, DType act) {
  const std::int64_t t = size(random), k = size(random, 70), n = size(random);
  return OpCase{{{"x", random_tensor({t, k}, act, random)},
                 {"w", random_tensor({n, k}, act, random), true},
                 {"b", random_tensor({n}, DType::f32, random), true}},
                [act](const Context& cx, Operands& o) {
                  return std::vector{ops::linear(cx, o[0].value, o[1].value, act, o[2].value)};
                },
                true};
});

OP_ROW(grouped_linear, [](Random& random, DType act) {
  const std::int64_t experts = 5, k = size(random), n = size(random), rows = size(random), top = 2;
  const ops::Route route = ops::route(choice(random, rows, experts, top), experts);
  return OpCase{
      {{"x", random_tensor({rows * top, k}, act, random)}, {"w", random_tensor({experts, n, k}, act, random), true}},
      [route](const Context& cx, Operands& o) {
        return std::vector{ops::grouped_linear(cx, o[0].value, o[1].value, route.offsets_E1)};
      },
      true};
});

OP_ROW(fp8_linear, [](Random& random, DType act) {
  const std::int64_t t = size(random, 150), k = size(random, 150), n = size(random);
  const auto input = static_cast<ops::Fp8Input>(between(random, 0, 2));
  return OpCase{{{"x", random_tensor({t, k}, act, random)},
                 {"w", random_tensor({n, k}, DType::f32, random), true},
                 {"b", random_tensor({n}, DType::f32, random), true}},
                [act, input](const Context& cx, Operands& o) {
                  return std::vector{ops::fp8_linear(cx, o[0].value, o[1].value, act, o[2].value, input)};
                },
                true,
                true};
});

// Up, gate and down of experts, dense at times.
OP_ROW(fp8_experts, [](Random& random, DType act) {
  const std::int64_t experts = 4, d = size(random, 150), f = size(random), rows = size(random, 80), top = 2;
  const Tensor ids = choice(random, rows, experts, top);
  const Tensor offsets = between(random, 0, 2) > 0 ? ops::route(ids, experts).offsets_E1 : Tensor();
  const auto weight = [&](std::int64_t n, std::int64_t k) {
    return random_tensor(offsets.defined() ? Shape{experts, n, k} : Shape{n, k}, act, random);
  };
  return OpCase{{{"x", random_tensor({rows * top, d}, act, random)},
                 {"w1", weight(f, d), true},
                 {"w3", weight(f, d), true},
                 {"w2", weight(d, f), true}},
                [act, offsets](const Context& cx, Operands& o) {
                  const auto up = [&](const Tensor& w) {
                    return offsets.defined() ? ops::fp8_grouped_linear(cx, o[0].value, w, offsets)
                                             : ops::fp8_linear(cx, o[0].value, w, act);
                  };
                  const Tensor g = up(o[1].value), u = up(o[2].value);
                  return std::vector{ops::fp8_swiglu_linear(cx, g, u, o[3].value, offsets)};
                },
                true,
                true};
});

// A dense and a grouped product; on a tape each is made at once, else both in one region.
OP_ROW(products, [](Random& random, DType act) {
  const std::int64_t experts = 3, k = size(random, 70), n = size(random), rows = size(random), top = 1;
  const ops::Route route = ops::route(choice(random, rows, experts, top), experts);
  return OpCase{{{"x", random_tensor({rows, k}, act, random)},
                 {"w", random_tensor({n, k}, act, random), true},
                 {"b", random_tensor({n}, DType::f32, random), true},
                 {"stack", random_tensor({experts, n, k}, act, random), true}},
                [act, route](const Context& cx, Operands& o) {
                  ops::Products both(cx);
                  const Tensor y = both.linear(o[0].value, o[1].value, act, o[2].value),
                               z = both.grouped(o[0].value, o[3].value, route.offsets_E1);
                  both.run();
                  return std::vector{y, z};
                },
                true};
});

OP_ROW(rms_norm, [](Random& random, DType act) {
  const std::int64_t t = size(random), d = size(random, 80);
  return OpCase{{{"x", random_tensor({t, d}, DType::f32, random)}, {"w", random_tensor({d}, DType::f32, random), true}},
                [act](const Context& cx, Operands& o) {
                  return std::vector{ops::rms_norm(cx, o[0].value, o[1].value, 1e-5f, act)};
                }};
});

OP_ROW(rope, [](Random& random, DType act) {
  const std::int64_t t = size(random), heads = size(random, 4), half = size(random, 9),
                     width = 2 * half + between(random, 0, 5);
  ops::RopeTable table{random_tensor({50, half}, DType::f32, random), random_tensor({50, half}, DType::f32, random),
                       between(random, 0, 1) == 0};
  const Tensor positions = indices(random, t, 50);
  return OpCase{{{"x", random_tensor({t, heads * width}, act, random)}}, [=](const Context& cx, Operands& o) {
                  // The op works in place: give it a copy whose gradient reaches the operand.
                  const std::vector<std::int32_t> rows = [&] {
                    std::vector<std::int32_t> r(static_cast<std::size_t>(t));
                    std::iota(r.begin(), r.end(), 0);
                    return r;
                  }();
                  return std::vector{ops::rope(cx, ops::select_rows(cx, o[0].value, rows), heads, table, positions)};
                }};
});

OP_ROW(swiglu, [](Random& random, DType act) {
  const std::int64_t t = size(random), d = size(random);
  return OpCase{{{"g", random_tensor({t, d}, act, random, 2)}, {"u", random_tensor({t, d}, act, random)}},
                [](const Context& cx, Operands& o) { return std::vector{ops::swiglu(cx, o[0].value, o[1].value)}; }};
});

OP_ROW(add, [](Random& random, DType act) {
  const std::int64_t t = size(random), d = size(random);
  return OpCase{{{"h", random_tensor({t, d}, DType::f32, random)}, {"y", random_tensor({t, d}, act, random)}},
                [](const Context& cx, Operands& o) { return std::vector{ops::add(cx, o[0].value, o[1].value)}; },
                true};
});

OP_ROW(columns, [](Random& random, DType act) {
  const std::int64_t t = size(random), a = size(random), b = size(random);
  std::vector<std::int32_t> rows;
  for (std::int32_t i = 0; i < t; i += 2) rows.push_back(i);
  return OpCase{{{"x", random_tensor({t, a + b}, act, random)}, {"y", random_tensor({t, a}, act, random)}},
                [a, rows](const Context& cx, Operands& o) {
                  auto [first, second] = ops::split_columns(cx, o[0].value, a);
                  return std::vector{ops::concat_columns(cx, first, o[1].value), ops::select_rows(cx, second, rows)};
                },
                true};
});

OP_ROW(embedding, [](Random& random, DType act) {
  const std::int64_t t = size(random), v = size(random), d = size(random);
  const Tensor ids = indices(random, t, v);
  return OpCase{{{"table", random_tensor({v, d}, act, random), true}},
                [ids](const Context& cx, Operands& o) { return std::vector{ops::embedding(cx, o[0].value, ids)}; },
                true};
});

OP_ROW(gate, [](Random& random, DType) {
  const std::int64_t t = size(random, 20), groups = 4, experts = groups * between(random, 2, 5),
                     k = between(random, 1, 4);
  ops::GateSettings s;
  s.score = between(random, 0, 1) == 0 ? kernels::GateScore::sigmoid : kernels::GateScore::softmax;
  s.top_k = k;
  s.group_score = static_cast<kernels::GroupScore>(between(random, 0, 2));
  s.groups = s.group_score == kernels::GroupScore::none ? 1 : groups;
  s.top_groups = s.group_score == kernels::GroupScore::none ? 1 : 2;
  s.normalise = between(random, 0, 1) == 0;
  s.scale = 2.5f;
  // The choice is forced: differences must not step over the edge between two choices.
  const Tensor forced = choice(random, t, experts, k);
  const ops::Balance balance{{0, t}, 0.0f};
  return OpCase{{{"logits", random_tensor({t, experts}, DType::f32, random)}}, [=](const Context& cx, Operands& o) {
                  return std::vector{ops::gate(cx, o[0].value, {}, s, forced, balance).weights_TK};
                }};
});

OP_ROW(dispatch, [](Random& random, DType act) {
  const std::int64_t t = size(random), experts = 6, k = between(random, 1, 3), d = size(random);
  const ops::Route route = ops::route(choice(random, t, experts, k), experts);
  return OpCase{
      {{"x", random_tensor({t, d}, act, random)},
       {"weights", random_tensor({t, k}, DType::f32, random)},
       {"shared", random_tensor({t, d}, act, random)}},
      [route](const Context& cx, Operands& o) {
        return std::vector{ops::combine(cx, ops::dispatch(cx, o[0].value, route), o[1].value, o[2].value, route)};
      }};
});

OP_ROW(attention, [](Random& random, DType act) {
  const std::int64_t kv_heads = size(random, 3), heads = kv_heads * between(random, 1, 3), d1 = size(random, 20),
                     dv = size(random, 20);
  const std::int64_t d2 = between(random, 0, 1) * 2 * size(random, 5), first = size(random, 90),
                     second = size(random, 20);
  const std::vector<std::int64_t> starts = {0, first, first + second};
  const std::int64_t t = first + second, head = d1 + dv;
  const ops::AttentionShape shape{heads, kv_heads, d1, d2, dv, 1.0f / std::sqrt(static_cast<float>(d1 + d2))};
  const ops::KvLayout layout{kv_heads * head, 0, d1, head, head};
  OpCase c{{{"q", random_tensor({t, heads * (d1 + d2)}, act, random)},
            {"kv", random_tensor({t, kv_heads * head}, act, random)}},
           [=](const Context& cx, Operands& o) {
             return std::vector{
                 ops::attention(cx, o[0].value, o[1].value, d2 > 0 ? o[2].value : Tensor(), shape, layout, starts)};
           }};
  if (d2 > 0) c.operands.push_back({"k_pe", random_tensor({t, d2}, act, random)});
  c.epsilon_scale = 4;
  return c;
});

OP_ROW(lm_loss, [](Random& random, DType act) {
  const std::int64_t t = size(random), d = size(random), v = 1 + size(random, 60);
  const Tensor targets = indices(random, t, v);
  targets.data<std::int32_t>()[0] = t > 1 ? -1 : 0;
  const Tensor coefficient = random_tensor({t}, DType::f32, random);
  for (float& c : coefficient.span<float>()) c = std::abs(c);  // terms that cancel would hide the gradient in rounding
  return OpCase{
      {{"hidden", random_tensor({t, d}, act, random, 0.3)}, {"w", random_tensor({v, d}, act, random, 0.3), true}},
      [=](const Context& cx, Operands& o) {
        return std::vector{ops::lm_loss(cx, o[0].value, o[1].value, targets, coefficient).loss};
      },
      false,
      false,
      4};
});

OP_ROW(absorb, [](Random& random, DType act) {
  const ops::AbsorbShape s{size(random, 4), size(random, 9), 2 * size(random, 4), size(random, 9), size(random)};
  const std::int64_t t = size(random);
  OpCase c{{{"q", random_tensor({t, s.heads * (s.nope + s.rope)}, act, random), false, false},
            {"o_lat", random_tensor({t, s.heads * s.c}, act, random), false, false},
            {"wkv_b", random_tensor({s.heads * (s.nope + s.v), s.c}, act, random), false, false}},
           [s](const Context& cx, Operands& o) {
             return std::vector{ops::absorb_queries(cx, o[0].value, o[2].value, s),
                                ops::absorb_values(cx, o[1].value, o[2].value, s)};
           },
           true};
  return c;
});

OP_ROW(cache_view, [](Random& random, DType act) {
  const std::int64_t t = between(random, 1, 150), heads = between(random, 1, 3), width = heads * size(random),
                     column = heads > 1 ? 0 : between(random, 0, 3);
  return OpCase{{{"x", random_tensor({t, width}, act, random), false, false}},
                [=](const Context&, Operands& o) {
                  Tensor memory = Tensor::zeros({4, 64, width + column}, act);
                  const ops::CacheLayer layer{act,     width + column, 0, static_cast<std::byte*>(memory.raw()),
                                              nullptr, heads};
                  const std::vector<std::int32_t> blocks = {2, 0, 3};
                  const ops::CacheSequence sequence{0, t, 0, blocks};
                  ops::write_cache(o[0].value, layer, {&sequence, 1}, 1, column);
                  return std::vector{ops::read_cache(layer, sequence, t, 1)};
                },
                true};
});

}  // namespace

std::vector<OpRow>& op_rows() {
  static std::vector<OpRow> rows;
  return rows;
}

}  // namespace hadal::test
