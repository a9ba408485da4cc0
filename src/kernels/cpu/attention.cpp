// Attention forward, as ref/attention.h defines it. A task is a block of rows of one product: query rows of one
// sequence times heads that share a key/value head. It walks the tiles of 64 keys: pack, scores, softmax, P V. For few
// rows and many keys (decode) the chunks of 512 keys are tasks of their own, or the heads are; chunks are merged in the
// same rising order, to the same bits.
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/attention_few.h"
#include "kernels/cpu/attention_product.h"
#include "kernels/cpu/attention_scratch.h"
#include "kernels/declare.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

constexpr i64 kTilesInChunk = kKeyChunk / kKeyTile;
constexpr i64 kStripRows = 48;  // rows whose scores exist at one time: a multiple of the product's row counts
constexpr i64 kAskedRows = 32;  // up to here the next tile is asked for while one is used
constexpr i64 kDirectRows = 8;  // up to here values are multiplied as they lie
constexpr std::size_t kPartialBytes = std::size_t{64} << 20;

struct AttentionTask {
  i64 sequence = 0, kv = 0;
  i64 head = 0, heads = 0;  // query heads
  i64 row = 0, rows = 0;    // query rows, counted from the sequence's row_begin
};

// Running maximum, sum and output of every row of a task.
struct AttentionSums {
  float *m, *l, *acc;
  static AttentionSums carve(Carver& from, i64 rows, i64 width) {
    return {from.take<float>(rows), from.take<float>(rows), from.take<float>(rows * width)};
  }
};

// Sizes that all tasks of one call share.
struct AttentionPlan {
  const Attention& p;
  i64 width = p.d1 + p.d2;
  i64 q_stride, v_stride = padded(p.dv);
  i64 heads, rows;  // largest task
  bool one_row;     // of the only sequence: its tasks are equal
  i64 block() const { return heads * rows; }

  AttentionPlan(const Attention& params, i64 q_words, i64 threads) : p(params), q_stride(padded(q_words)) {
    const i64 fit = std::clamp<i64>((i64{1} << 17) / (q_stride + v_stride), 64, 512) / 64 * 64;
    heads = std::min(p.heads / p.kv_heads, fit);
    // One row a sequence, and too few tasks or chunks of keys for all threads: heads that share keys are taken apart.
    i64 all = 0, chunks = 1;
    for (i64 s = 0; s < p.sequence_count; ++s) {
      const AttentionSequence& q = p.sequences[s];
      all += q.row_end - q.row_begin;
      chunks = std::max(chunks, (q.first_position + q.row_end - q.row_begin - 1) / kKeyChunk + 1);
    }
    const i64 tasks = p.sequence_count * p.kv_heads;
    one_row = all == 1 && p.sequence_count == 1;
    if (all == p.sequence_count && tasks * chunks < 4 * threads && tasks < threads) {
      heads = std::min(heads, std::max<i64>(1, p.heads / p.kv_heads * tasks / threads));
    }
    rows = std::max<i64>(1, fit / heads);
    if (rows > kKeyTile) rows = rows / kKeyTile * kKeyTile;
  }
};

template <class T>
class AttentionBlock {
 public:
  AttentionBlock(const AttentionPlan& plan, Carver& from)
      : plan_(plan),
        p_(plan.p),
        q_(from.take<float>(plan.block() * plan.q_stride)),
        k_(from.take<float>(words<T>(plan.width) * kKeyTile)),
        v_(from.take<float>(words<T>(kKeyTile) * plan.v_stride)),
        s_(from.take<float>(kStripRows * kKeyTile)),
        tile_(from.take<float>(kDirectRows * kPackedRows)),
        r_(from.take<float>(kStripRows)) {}

  // next: the task that this thread takes after it, if that is known.
  void begin(const AttentionTask& task, const AttentionTask* next = nullptr) {
    task_ = task;
    next_ = next;
    seq_ = &p_.sequences[task.sequence];
    position_ = seq_->first_position + task.row;
    pack_left<T>(
        task.rows * task.heads, plan_.width,
        [&](i64 i) {
          return Row<T>{static_cast<const T*>(p_.q) + query(i) * plan_.width, plan_.width};
        },
        q_);
  }

  i64 chunks() const { return (position_ + task_.rows - 1) / kKeyChunk + 1; }

  // The sums of chunk c, for the rows that see it.
  void attend(i64 c, const AttentionSums& sums) {
    const i64 tiles = (position_ + task_.rows - 1) / kKeyTile + 1;
    for (i64 t = c * kTilesInChunk; t < std::min(tiles, (c + 1) * kTilesInChunk); ++t) {
      ask_for_next(t, tiles);
      pack(t);
      for (i64 i = first_row(t * kKeyTile); i < count(); i += kStripRows) {
        strip(t, i, std::min(kStripRows, count() - i), sums);
      }
    }
  }

  // Adds chunk c to the total.
  void merge(i64 c, const AttentionSums& chunk, const AttentionSums& total) const {
    for (i64 i = first_row(c * kKeyChunk); i < count(); ++i) {
      const float before = c == 0 ? -std::numeric_limits<float>::infinity() : total.m[i];
      const float top = before > chunk.m[i] ? before : chunk.m[i];
      const F32x16 a = exp(set1(before - top)), b = exp(set1(chunk.m[i] - top));
      float ab[2][kLanes];
      store(ab[0], a);
      store(ab[1], b);
      total.m[i] = top;
      total.l[i] = c == 0 ? chunk.l[i] * ab[1][0] : std::fma(total.l[i], ab[0][0], chunk.l[i] * ab[1][0]);
      float* sum = total.acc + i * plan_.v_stride;
      const float* add = chunk.acc + i * plan_.v_stride;
      for (i64 n = 0; n < plan_.v_stride; n += kLanes) {
        const F32x16 x = load(add + n) * b;
        store(sum + n, c == 0 ? x : fma(load(sum + n), a, x));
      }
    }
  }

  void finish(const AttentionSums& total) const {
    for (i64 i = 0; i < count(); ++i) {
      const float* sum = total.acc + i * plan_.v_stride;
      T* out = static_cast<T*>(p_.out) + query(i) * p_.dv;
      const F32x16 l = set1(total.l[i]);
      for (i64 n = 0; n < p_.dv; n += kLanes) {
        store_n(out + n, load(sum + n) / l + zero(), static_cast<int>(std::min<i64>(kLanes, p_.dv - n)));
      }
      if (p_.lse != nullptr) p_.lse[query(i)] = total.m[i] + std::log(total.l[i]);
    }
  }

 private:
  i64 count() const { return task_.rows * task_.heads; }
  // Row i of the task as an index of (T, heads).
  i64 query(i64 i) const {
    return (seq_->row_begin + task_.row + i / task_.heads) * p_.heads + task_.head + i % task_.heads;
  }
  // The first row that sees the key at this position.
  i64 first_row(i64 key) const { return std::max<i64>(0, key - position_) * task_.heads; }
  // How many keys of tile t row i sees: at most 64.
  i64 visible(i64 t, i64 i) const { return std::min(kKeyTile, position_ + i / task_.heads + 1 - t * kKeyTile); }

  // What follows tile t, for few rows: the next tile, or the first one of the next task.
  void ask_for_next(i64 t, i64 tiles) {
    next_key_ = next_value_ = {};
    if (count() > kAskedRows) return;
    const bool last = t + 1 == tiles;
    if (last && next_ == nullptr) return;
    const i64 kv = last ? next_->kv : task_.kv, size = sizeof(T);
    const KeyTile& tile = last ? p_.sequences[next_->sequence].tiles[0] : seq_->tiles[t + 1];
    const i64 rows = last ? kKeyTile : visible(t + 1, count() - 1);  // of a shorter first tile a little too much
    const T* key = static_cast<const T*>(tile.k1) + kv * p_.k1_head;
    const T* value = static_cast<const T*>(tile.v) + kv * p_.v_head;
    next_key_ = RowsAhead(key, rows, p_.k1_row * size, p_.d1 * size);
    if (value != key) next_value_ = RowsAhead(value, rows, p_.v_row * size, p_.dv * size);
  }

  // Keys after the last row's are not read: they may not have been written yet.
  void pack(i64 t) {
    const KeyTile& tile = seq_->tiles[t];
    const i64 keys = visible(t, count() - 1);
    const T* k1 = static_cast<const T*>(tile.k1) + task_.kv * p_.k1_head;
    const T* k2 = static_cast<const T*>(tile.k2);
    const T* v = static_cast<const T*>(tile.v) + task_.kv * p_.v_head;
    direct_ = count() <= kDirectRows;
    values_ = v;
    const KeyRows<T> rows{k1, k2, p_.k1_row, p_.k2_row, p_.d1, p_.d2};
    if (direct_ && keys == kKeyTile && rows.whole()) {
      pack_whole_keys<T>(rows, k_, next_key_);
      return;
    }
    pack_transposed<T>(
        keys, kKeyTile, plan_.width,
        [&](i64 j) {
          next_key_.step();
          if (!direct_) next_value_.step();
          return Row<T>{k1 + j * p_.k1_row, p_.d1, p_.d2 > 0 ? k2 + j * p_.k2_row : nullptr, p_.d2};
        },
        k_);
    if (direct_) return;
    pack_straight<T>(
        keys, kKeyTile, p_.dv,
        [&](i64 j) {
          return Row<T>{v + j * p_.v_row, p_.dv};
        },
        v_);
  }

  void strip(i64 t, i64 row, i64 rows, const AttentionSums& sums) {
    const i64 keys = visible(t, row + rows - 1);
    product_contract<T>(0, rows, padded(keys), plan_.width, {q_ + row * plan_.q_stride, plan_.q_stride, 1},
                        {k_, words<T>(plan_.width), kKeyTile}, {s_, kKeyTile});
    softmax(t, row, rows, sums);
    const bool first = t % kTilesInChunk == 0;
    if (direct_) {
      add_values<T>(s_, rows, keys, values_, p_.v_row, p_.dv, first ? nullptr : r_, sums.acc + row * plan_.v_stride,
                    plan_.v_stride, tile_, next_value_);
      return;
    }
    const Left prob{s_, kKeyTile, 1};
    const Right value{v_, words<T>(kKeyTile), plan_.v_stride};
    const Target to{sums.acc + row * plan_.v_stride, plan_.v_stride, r_};
    if (first) {
      product<pair_words<T>, Into::store>(0, rows, plan_.v_stride, 0, words<T>(keys), prob, value, to);
    } else {
      product<pair_words<T>, Into::rescale>(0, rows, plan_.v_stride, 0, words<T>(keys), prob, value, to);
    }
  }

  // Scores of the strip to P (as words, in place); updates the rows' maxima and sums; r_ is what acc is to be rescaled
  // by.
  void softmax(i64 t, i64 row, i64 rows, const AttentionSums& sums) {
    const bool first = t % kTilesInChunk == 0;
    const F32x16 scale = set1(p_.scale), masked = set1(-std::numeric_limits<float>::infinity());
    float* m = sums.m + row;
    const bool whole = visible(t, row) == kKeyTile;
    for (i64 i = 0; i < rows; ++i) {
      F32x16 x[4];
      for (int v = 0; v < 4; ++v) x[v] = load(s_ + i * kKeyTile + v * kLanes) * scale;
      if (!whole) {
        const F32x16 keys = set1(static_cast<float>(visible(t, row + i)));
        for (int v = 0; v < 4; ++v) x[v] = select_less(lane_numbers(v * kLanes), keys, x[v], masked);
      }
      for (int v = 0; v < 4; ++v) store(s_ + i * kKeyTile + v * kLanes, x[v]);
      const float top = max_lane(max(max(x[0], x[1]), max(x[2], x[3])));
      const float before = first ? -std::numeric_limits<float>::infinity() : m[i];
      m[i] = top > before ? top : before;
      r_[i] = before - m[i];
    }
    for (i64 i = 0; i < rows; i += kLanes) store(r_ + i, exp(load(r_ + i)));
    float* l = sums.l + row;
    for (i64 i = 0; i < rows; ++i) {
      const F32x16 top = set1(m[i]);
      F32x16 x[4];
      for (int v = 0; v < 4; ++v) x[v] = exp(load(s_ + i * kKeyTile + v * kLanes) - top);
      const float s = sum(((x[0] + x[1]) + x[2]) + x[3]);
      l[i] = first ? s : std::fma(l[i], r_[i], s);
      store_row_words<T>(s_ + i * kKeyTile, x);
    }
  }

  const AttentionPlan& plan_;
  const Attention& p_;
  AttentionTask task_;
  const AttentionTask* next_ = nullptr;
  RowsAhead next_key_, next_value_;
  const AttentionSequence* seq_ = nullptr;
  i64 position_ = 0;         // of the task's first query row
  float *q_, *k_, *v_, *s_;  // packed queries, keys, values; scores or P of a strip
  float *tile_, *r_;         // P V of a strip where it is direct; rescaling factors
  bool direct_ = false;
  const T* values_ = nullptr;  // of the tile, where it is direct
};

std::vector<AttentionTask> attention_tasks(const AttentionPlan& plan) {
  const Attention& p = plan.p;
  std::vector<AttentionTask> tasks;
  const i64 group = p.heads / p.kv_heads;
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const AttentionSequence& seq = p.sequences[s];
    const i64 rows = seq.row_end - seq.row_begin;
    for (i64 row = 0; row < rows;) {
      const i64 end = std::min(rows, ((seq.first_position + row) / plan.rows + 1) * plan.rows - seq.first_position);
      for (i64 h = 0; h < p.heads;) {
        const i64 in_group = std::min({plan.heads, group - h % group, p.heads - h});
        tasks.push_back({s, h / group, h, in_group, row, end - row});
        h += in_group;
      }
      row = end;
    }
  }
  // The longest first, so that no thread is left alone with one at the end.
  const auto cost = [&](const AttentionTask& t) {
    return t.rows * t.heads * (p.sequences[t.sequence].first_position + t.row + t.rows);
  };
  std::stable_sort(tasks.begin(), tasks.end(), [&](const auto& a, const auto& b) { return cost(a) > cost(b); });
  return tasks;
}

template <class T>
struct AttentionRun {
  const Context& cx;
  const AttentionPlan& plan;
  const std::vector<AttentionTask>& tasks;

  template <class F>
  void with_block(int worker, i64 sums, F&& f) const {
    const auto carve = [&](void* base) {
      Carver from(base);
      AttentionBlock<T> block(plan, from);
      AttentionSums chunk{}, total{};
      if (sums > 0) chunk = AttentionSums::carve(from, plan.block(), plan.v_stride);
      if (sums > 0) total = AttentionSums::carve(from, plan.block(), plan.v_stride);
      if (base != nullptr) f(block, chunk, total);
      return from.used();
    };
    carve(cx.scratch().worker(worker, carve(nullptr)));
  }

  void whole() const {
    // Equal ones are dealt out in stretches, so that each can ask for what the next one begins with.
    const auto count = static_cast<i64>(tasks.size());
    const i64 stretches =
        plan.one_row && count < 64 * cx.pool().size() ? std::min<i64>(count, cx.pool().size()) : count;
    cx.pool().run(stretches, [&](i64 stretch, int worker) {
      with_block(worker, 1, [&](AttentionBlock<T>& block, const AttentionSums& chunk, const AttentionSums& total) {
        const i64 end = count * (stretch + 1) / stretches;
        for (i64 i = count * stretch / stretches; i < end; ++i) {
          const AttentionTask* task = &tasks[static_cast<std::size_t>(i)];
          block.begin(*task, i + 1 < end ? task + 1 : nullptr);
          for (i64 c = 0; c < block.chunks(); ++c) {
            block.attend(c, chunk);
            block.merge(c, chunk, total);
          }
          block.finish(total);
        }
      });
    });
  }

  // Chunks side by side, in waves that fit the memory set aside; then a task's chunks are merged in rising order.
  void split(i64 chunks) const {
    const i64 count = static_cast<i64>(tasks.size());
    Carver one(nullptr);
    AttentionSums::carve(one, plan.block(), plan.v_stride);
    const i64 wave = std::clamp<i64>(static_cast<i64>(kPartialBytes / (one.used() * tasks.size())), 1, chunks);
    void* shared = cx.scratch().shared(0, one.used() * tasks.size() * static_cast<std::size_t>(wave + 1));
    const auto sums = [&](i64 task, i64 slot) {
      Carver from(static_cast<std::byte*>(shared) + static_cast<std::size_t>(task * (wave + 1) + slot) * one.used());
      return AttentionSums::carve(from, plan.block(), plan.v_stride);
    };
    for (i64 first = 0; first < chunks; first += wave) {
      const i64 size = std::min(wave, chunks - first);
      cx.pool().run(count * size, [&](i64 i, int worker) {
        with_block(worker, 0, [&](AttentionBlock<T>& block, const AttentionSums&, const AttentionSums&) {
          block.begin(tasks[static_cast<std::size_t>(i / size)]);
          if (first + i % size < block.chunks()) block.attend(first + i % size, sums(i / size, 1 + i % size));
        });
      });
      cx.pool().run(count, [&](i64 i, int worker) {
        with_block(worker, 0, [&](AttentionBlock<T>& block, const AttentionSums&, const AttentionSums&) {
          block.begin(tasks[static_cast<std::size_t>(i)]);
          for (i64 c = first; c < std::min(first + size, block.chunks()); ++c) {
            block.merge(c, sums(i, 1 + c - first), sums(i, 0));
          }
          if (first + size >= chunks) block.finish(sums(i, 0));
        });
      });
    }
  }
};

template <class T>
void run_attention(const Context& cx, const Attention& p) {
  const AttentionPlan plan(p, words<T>(p.d1 + p.d2), cx.pool().size());
  const std::vector<AttentionTask> tasks = attention_tasks(plan);
  i64 chunks = 0;
  for (const AttentionTask& t : tasks) {
    chunks = std::max(chunks, (p.sequences[t.sequence].first_position + t.row + t.rows - 1) / kKeyChunk + 1);
  }
  const AttentionRun<T> run{cx, plan, tasks};
  const i64 count = static_cast<i64>(tasks.size()), threads = cx.pool().size();
  const bool few = count < 2 * threads && count % threads != 0;
  if (cx.pool().size() > 1 && few && chunks > 1) {
    run.split(chunks);
  } else {
    run.whole();
  }
}

}  // namespace

void attention(const Context& cx, const Attention& p) {
  HADAL_ASSERT(p.act == DType::f32 || p.act == DType::bf16);
  HADAL_ASSERT(p.heads % p.kv_heads == 0);
  if (p.act == DType::f32) {
    run_attention<float>(cx, p);
  } else {
    run_attention<bf16>(cx, p);
  }
}

}  // namespace hadal::kernels::HADAL_ISA_NS
