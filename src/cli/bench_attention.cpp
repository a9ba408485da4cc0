// hadal bench attention: forward and backward of expanded MLA, as shares of the best dense square. Only useful work
// counts: pairs that the causal mask lets through, and no recomputed score.
#include <cmath>
#include <memory>

#include "base/error.h"
#include "cli/bench_table.h"
#include "cli/options.h"
#include "cli/runtime.h"

namespace hadal::cli {

namespace {

struct Arguments {
  BenchOptions common;
  std::string dtype = "bf16";
  std::vector<std::int64_t> lengths = {1024, 4096};
  std::int64_t tokens = 4096;
};

struct Heads {
  std::int64_t heads, d1, d2, dv;
};

// Whole sequences of one length, keys and values side by side in one row as nn/mla.cpp makes them.
class Problem {
 public:
  Problem(const Heads& h, std::int64_t length, std::int64_t sequences, DType act)
      : h_(h),
        act_(act),
        rows_(length * sequences),
        q_(random_tensor({rows_, h.heads * (h.d1 + h.d2)}, act)),
        kv_(random_tensor({rows_, h.heads * (h.d1 + h.dv)}, act)),
        k_pe_(random_tensor({rows_, h.d2}, act)),
        d_out_(random_tensor({rows_, h.heads * h.dv}, act)),
        out_(Tensor::empty(d_out_.shape(), act)),
        lse_(Tensor::empty({rows_, h.heads}, DType::f32)),
        dq_(Tensor::empty(q_.shape(), act)),
        dkv_(Tensor::empty(kv_.shape(), act)),
        dk_pe_(Tensor::empty(k_pe_.shape(), act)) {
    for (std::int64_t r = 0; r < rows_; r += kernels::kKeyTile) {
      const std::int64_t width = kv_.size(1);
      tiles_.push_back({at(kv_, r * width), at(k_pe_, r * h.d2), at(kv_, r * width + h.d1)});
    }
    for (std::int64_t s = 0; s <= sequences; ++s) starts_.push_back(s * length);
    for (std::int64_t s = 0; s < sequences; ++s) {
      sequences_.push_back({s * length, (s + 1) * length, 0, tiles_.data() + s * length / kernels::kKeyTile});
    }
  }

  kernels::Attention forward() const {
    kernels::Attention p;
    set_shape(p);
    p.q = q_.raw();
    p.out = out_.raw();
    p.lse = lse_.data<float>();
    p.sequences = sequences_.data();
    p.sequence_count = static_cast<std::int64_t>(sequences_.size());
    return p;
  }

  kernels::AttentionBackward backward() const {
    kernels::AttentionBackward p;
    set_shape(p);
    p.rows = rows_;
    p.q = q_.raw();
    p.k1 = kv_.raw();
    p.k2 = k_pe_.raw();
    p.v = at(kv_, h_.d1);
    p.out = out_.raw();
    p.lse = lse_.data<float>();
    p.d_out = d_out_.raw();
    p.dq = dq_.raw();
    p.dk1 = dkv_.raw();
    p.dk2 = dk_pe_.raw();
    p.dv_out = at(dkv_, h_.d1);
    p.sequence_starts = starts_.data();
    p.sequence_count = static_cast<std::int64_t>(sequences_.size());
    return p;
  }

 private:
  static std::byte* at(const Tensor& t, std::int64_t element) {
    return static_cast<std::byte*>(t.raw()) + element * static_cast<std::int64_t>(size_of(t.dtype()));
  }
  template <class P>
  void set_shape(P& p) const {
    p.heads = p.kv_heads = h_.heads;
    p.d1 = h_.d1;
    p.d2 = h_.d2;
    p.dv = h_.dv;
    p.k1_row = p.v_row = kv_.size(1);
    p.k1_head = p.v_head = h_.d1 + h_.dv;
    p.k2_row = h_.d2;
    p.scale = 1 / std::sqrt(static_cast<float>(h_.d1 + h_.d2));
    p.act = act_;
  }
  Heads h_;
  DType act_;
  std::int64_t rows_;
  Tensor q_, kv_, k_pe_, d_out_, out_, lse_, dq_, dkv_, dk_pe_;
  std::vector<kernels::KeyTile> tiles_;
  std::vector<std::int64_t> starts_;
  std::vector<kernels::AttentionSequence> sequences_;
};

void run(Arguments a) {
  std::vector<Heads> shapes = {{8, 64, 32, 64}, {16, 128, 64, 128}};
  if (a.common.quick) {
    shapes = {{4, 16, 8, 16}};
    a.lengths = {128};
    a.tokens = 256;
  }
  const DType act = dtype_from_name(a.dtype);
  const Runtime runtime(a.common.threads);
  const kernels::Context& cx = runtime.context();
  BenchTable table("attention", "FLOP/s", cx);
  add_squares(table, cx, a.common, act);
  for (const Heads& h : shapes) {
    for (const std::int64_t length : a.lengths) {
      const std::int64_t sequences = std::max<std::int64_t>(1, a.tokens / length);
      const auto problem = std::make_shared<const Problem>(h, length, sequences, act);
      const std::int64_t causal = length * (length + 1) / 2;  // pairs of query and key of a head
      const auto pairs = static_cast<double>(sequences * causal * h.heads);
      const double flops = 2 * pairs * static_cast<double>(h.d1 + h.d2 + h.dv);
      const std::string shape =
          fmt::format("{} x {} tokens, {} heads {}+{}/{}", sequences, length, h.heads, h.d1, h.d2, h.dv);
      table.add({.name = "forward",
                 .shape = shape,
                 .dtype = a.dtype,
                 .limit = peak_name(act),
                 .work = flops,
                 .call = [&cx, problem] { kernels::run(cx, problem->forward()); }});
      table.add({.name = "backward",
                 .shape = shape,
                 .dtype = a.dtype,
                 .limit = peak_name(act),
                 .work = 2 * flops,
                 .call = [&cx, problem] { kernels::run(cx, problem->backward()); }});
    }
  }
  table.measure(a.common);
  table.print(a.common.json);
}

Rule multiple_of_64() {
  Rule rule = whole(64, 1 << 20);
  rule.problem = [is_whole = rule.problem](std::string& value) {
    std::string problem = is_whole(value);
    if (problem.empty() && std::stoll(value) % 64 != 0) problem = value + " is not a multiple of 64";
    return problem;
  };
  return rule;
}

}  // namespace

void add_bench_attention(Command bench) {
  auto a = std::make_shared<Arguments>();
  Command verb =
      bench.add_verb("attention", "MLA forward and backward, useful causal FLOPs: share of the best dense square");
  add_bench_options(verb, a->common);
  verb.add_option("--dtype", a->dtype, "f32 or bf16").one_of({"f32", "bf16"}).shows_default();
  verb.add_option("--lengths", a->lengths, "tokens of a sequence, multiples of 64")
      .rule(multiple_of_64())
      .shows_default();
  verb.add_option("--tokens", a->tokens, "rows of the batch: as many sequences as fit, one at least")
      .rule(whole(1, 1 << 20))
      .shows_default();
  verb.callback([a] { run(*a); });
}

}  // namespace hadal::cli
