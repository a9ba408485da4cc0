// Attention forward, as ref/attention.h defines it. A task is a block of rows of one product: query rows of one
// sequence times heads that share a key/value head. It walks the tiles of 64 keys: pack, scores, softmax, P V. For few
// rows and many keys (decode) the chunks of 512 keys are tasks of their own, or the heads are; chunks are merged in the
// same rising order, to the same bits.
#include <cmath>
#include <limits>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/attention_few.h"
#include "kernels/cpu/attention_plan.h"
#include "kernels/cpu/attention_product.h"
#include "kernels/cpu/attention_scratch.h"
#include "kernels/declare.h"

namespace hadal::kernels::HADAL_ISA_NS {

namespace {

constexpr i64 kTilesInChunk = kKeyChunk / kKeyTile;
constexpr i64 kStripRows = 48;  // rows whose scores exist at one time: a multiple of the product's row counts
constexpr i64 kAskedRows = 32;  // up to here the next tile is asked for while one is used
constexpr std::size_t kPartialBytes = std::size_t{64} << 20;

// Running maximum, sum and output of every row of a task.
struct AttentionSums {
  float *m, *l, *acc;
  static AttentionSums carve(Carver& from, i64 rows, i64 width) {
    return {from.take<float>(rows), from.take<float>(rows), from.take<float>(rows * width)};
  }
};

template <class T>
class AttentionBlock {
 public:
  AttentionBlock(const AttentionPlan& plan, Carver& from, ReadAhead& then)
      : plan_(plan),
        p_(plan.p),
        q_(from.take<float>(plan.block() * plan.q_stride)),
        k_(from.take<float>(words<T>(plan.width) * kKeyTile)),
        v_(from.take<float>(words<T>(kKeyTile) * plan.v_stride)),
        s_(from.take<float>(kStripRows * kKeyTile)),
        r_(from.take<float>(kStripRows)),
        then_(then),
        ahead_(then) {}

  // next: the task that this thread takes after it, if that is known.
  void begin(const AttentionTask& task, const AttentionTask* next = nullptr) {
    task_ = task;
    self_ = &task;
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
    const i64 tiles = (position_ + task_.rows - 1) / kKeyTile + 1, end = std::min(tiles, (c + 1) * kTilesInChunk);
    for (i64 t = c * kTilesInChunk; t < end; ++t) {
      if (count() <= kAskedRows) ask_for_next(t, tiles);
      if (!few()) pack(t);
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
  bool few() const { return count() <= kFewRows; }
  // Row i of the task as an index of (T, heads).
  i64 query(i64 i) const {
    return (seq_->row_begin + task_.row + i / task_.heads) * p_.heads + task_.head + i % task_.heads;
  }
  // The first row that sees the key at this position.
  i64 first_row(i64 key) const { return std::max<i64>(0, key - position_) * task_.heads; }
  // How many keys of tile t row i sees: at most 64.
  i64 visible(i64 t, i64 i) const { return std::min(kKeyTile, position_ + i / task_.heads + 1 - t * kKeyTile); }

  const KeyTile& tile_of(const AttentionTask& task, i64 t) const { return p_.sequences[task.sequence].tiles[t]; }
  KeyRows<T> keys(const AttentionTask& task, i64 t) const {
    const KeyTile& tile = tile_of(task, t);
    return {static_cast<const T*>(tile.k1) + task.kv * p_.k1_head,
            static_cast<const T*>(tile.k2),
            p_.k1_row,
            p_.k2_row,
            p_.d1,
            p_.d2};
  }
  const T* values(const AttentionTask& task, i64 t) const {
    return static_cast<const T*>(tile_of(task, t).v) + task.kv * p_.v_head;
  }

  // What follows tile t, for not too many rows: the next tile, or the first one of the next task.
  void ask_for_next(i64 t, i64 tiles) {
    const auto add = [&](const AttentionTask* task, i64 tile, i64 rows) {
      ahead_.add(keys(*task, tile), values(*task, tile), p_.v_row, p_.dv, rows, p_.kv_heads == 1 && p_.d2 > 0);
      asked_task_ = task;
      asked_tile_ = tile;
    };
    if (asked_tile_ != t || asked_task_ != self_) {
      // Nothing has asked for this one: its first keys at once.
      ahead_ = TilesAhead(then_);
      add(self_, t, visible(t, count() - 1));
      const i64 size = sizeof(T);
      ahead_.lines(blocks_of(kLanes * p_.d1 * size + kKeyTile * p_.d2 * size, 64));
    }
    if (t + 1 < tiles) {
      add(self_, t + 1, visible(t + 1, count() - 1));
    } else if (next_ != nullptr) {
      add(next_, 0, kKeyTile);  // of a shorter one a little too much
    }
  }

  // Keys after the last row's are not read: they may not have been written yet.
  void pack(i64 t) {
    const i64 count = visible(t, this->count() - 1);
    const KeyRows<T> rows = keys(task_, t);
    const T* v = values(task_, t);
    const i64 lines = blocks_of(p_.dv * static_cast<i64>(sizeof(T)), 64);
    pack_transposed<T>(
        count, kKeyTile, plan_.width,
        [&](i64 j) {
          ahead_.lines(1);
          return rows.row(j);
        },
        k_);
    pack_straight<T>(
        count, kKeyTile, p_.dv,
        [&](i64 j) {
          ahead_.lines(lines);
          return Row<T>{v + j * p_.v_row, p_.dv};
        },
        v_);
  }

  void strip(i64 t, i64 row, i64 rows, const AttentionSums& sums) {
    const i64 keys = visible(t, row + rows - 1);
    const float* q = q_ + row * plan_.q_stride;
    float* acc = sums.acc + row * plan_.v_stride;
    const bool first = t % kTilesInChunk == 0;
    if (few()) {
      few_scores<T>(this->keys(task_, t), keys, q, plan_.q_stride, rows, s_, ahead_);
      softmax(t, row, rows, sums);
      few_values<T>({s_, values(task_, t), keys, p_.v_row, p_.dv, acc, plan_.v_stride, first ? nullptr : r_}, rows,
                    ahead_);
      return;
    }
    product_contract<T>(0, rows, padded(keys), plan_.width, {q, plan_.q_stride, 1},
                        {k_, words<T>(plan_.width), kKeyTile}, {s_, kKeyTile});
    softmax(t, row, rows, sums);
    const Left prob{s_, kKeyTile, 1};
    const Right value{v_, words<T>(kKeyTile), plan_.v_stride};
    const Target to{acc, plan_.v_stride, r_};
    if (first) {
      product_of<T, Into::store>(0, rows, plan_.v_stride, 0, words<T>(keys), prob, value, to);
    } else {
      product_of<T, Into::rescale>(0, rows, plan_.v_stride, 0, words<T>(keys), prob, value, to);
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
  const AttentionTask *self_ = nullptr, *next_ = nullptr;
  const AttentionSequence* seq_ = nullptr;
  i64 position_ = 0;         // of the task's first query row
  float *q_, *k_, *v_, *s_;  // packed queries, keys, values; scores or P of a strip
  float* r_;                 // rescaling factors
  ReadAhead& then_;          // what is read after attention
  TilesAhead ahead_;         // what follows; the last tile in it
  const AttentionTask* asked_task_ = nullptr;
  i64 asked_tile_ = -1;
};

template <class T>
struct AttentionRun {
  const Context& cx;
  const AttentionPlan& plan;
  const std::vector<AttentionTask>& tasks;

  template <class F>
  void with_block(int worker, i64 sums, F&& f) const {
    const auto carve = [&](void* base) {
      Carver from(base);
      AttentionBlock<T> block(plan, from, cx.pool().read_ahead(worker));
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
  if (chunks > 1 && plan.split(static_cast<i64>(tasks.size()))) {
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
