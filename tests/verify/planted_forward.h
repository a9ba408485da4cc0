// Kernels with one well-known bug each, in the forward. They call the ISA's own kernel with what the wrong code would
// give it, or put the wrong result in its place. All are for f32.
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/kernels.h"

namespace hadal::planted {

using namespace kernels;

inline const Table& real(const Context& cx) { return table_of(cx.isa()); }

// ---- RoPE

inline void rope_other_pairs(const Context& cx, const Rope& p) {
  Rope q = p;
  q.interleaved = !p.interleaved;
  real(cx).rope(cx, q);
}

// Rotation knows differences of positions only, so a shift shows where one side has it: here queries (several heads).
inline void rope_queries_one_ahead(const Context& cx, const Rope& p) {
  Rope q = p;
  std::vector<i32> positions(p.positions, p.positions + p.rows);
  for (i32& t : positions) ++t;
  if (p.heads > 1) q.positions = positions.data();
  real(cx).rope(cx, q);
}

// A step of decoding counts from 0 where the prompt counted from 0 too.
inline void rope_decode_one_behind(const Context& cx, const Rope& p) {
  Rope q = p;
  const i32 before = p.positions[0] - 1;
  if (p.rows == 1 && before >= 0) q.positions = &before;
  real(cx).rope(cx, q);
}

// ---- attention

// Every row but the last of a sequence sees the key after its own.
inline void attention_sees_next_key(const Context& cx, const Attention& p) {
  std::vector<AttentionSequence> parts;
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const AttentionSequence& q = p.sequences[s];
    if (q.row_end - q.row_begin > 1) parts.push_back({q.row_begin, q.row_end - 1, q.first_position + 1, q.tiles});
    parts.push_back({q.row_end - 1, q.row_end, q.first_position + q.row_end - 1 - q.row_begin, q.tiles});
  }
  Attention q = p;
  q.sequences = parts.data();
  q.sequence_count = static_cast<i64>(parts.size());
  real(cx).attention(cx, q);
}

// Rows of 40 tokens (the fixtures') are one sequence each: starts of documents inside of them are ignored.
inline void attention_ignores_documents(const Context& cx, const Attention& p) {
  constexpr i64 kRow = 40;
  std::vector<AttentionSequence> rows;
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const AttentionSequence& q = p.sequences[s];
    if (q.row_begin % kRow == 0 || rows.empty()) {
      rows.push_back(q);
    } else {
      rows.back().row_end = q.row_end;  // keys of the row lie in its first tile
    }
  }
  Attention q = p;
  q.sequences = rows.data();
  q.sequence_count = static_cast<i64>(rows.size());
  real(cx).attention(cx, q);
}

// A step of decoding attends to the cache before its own key is there.
inline void attention_decode_misses_own_key(const Context& cx, const Attention& p) {
  std::vector<AttentionSequence> sequences(p.sequences, p.sequences + p.sequence_count);
  for (AttentionSequence& s : sequences) s.first_position = std::max<i64>(0, s.first_position - 1);
  Attention q = p;
  q.sequences = sequences.data();
  real(cx).attention(cx, q);
}

// Chunks of 512 keys are not merged: a row has its own chunk only.
inline void attention_own_chunk_only(const Context& cx, const Attention& p) {
  std::vector<AttentionSequence> parts;
  for (i64 s = 0; s < p.sequence_count; ++s) {
    const AttentionSequence& q = p.sequences[s];
    if (q.first_position > 0) {
      parts.push_back(q);
      continue;
    }
    for (i64 r = q.row_begin; r < q.row_end; r += kKeyChunk) {
      parts.push_back({r, std::min(q.row_end, r + kKeyChunk), 0, q.tiles + (r - q.row_begin) / kKeyTile});
    }
  }
  Attention q = p;
  q.sequences = parts.data();
  q.sequence_count = static_cast<i64>(parts.size());
  real(cx).attention(cx, q);
}

// ---- norms and feed-forward

inline void rms_norm_other_eps(const Context& cx, const RmsNorm& p) {
  RmsNorm q = p;
  q.eps = p.eps == 1e-5f ? 1e-6f : 1e-5f;
  real(cx).rms_norm(cx, q);
}

inline void rms_norm_one_plus_gain(const Context& cx, const RmsNorm& p) {
  std::vector<float> gain(p.w, p.w + p.d);
  for (float& w : gain) w += 1;
  RmsNorm q = p;
  q.w = gain.data();
  real(cx).rms_norm(cx, q);
}

// The compressed keys and values (32 wide in every fixture, as nothing else is) go on unnormalised.
inline void rms_norm_not_of_kv(const Context& cx, const RmsNorm& p) {
  real(cx).rms_norm(cx, p);
  if (p.d != 32) return;
  for (i64 r = 0; r < p.rows; ++r) {
    std::copy_n(static_cast<const float*>(p.x) + r * p.ldx, p.d, static_cast<float*>(p.y) + r * p.d);
  }
}

inline void swiglu_swapped(const Context& cx, const Swiglu& p) {
  Swiglu q = p;
  std::swap(q.g, q.u);
  real(cx).swiglu(cx, q);
}

// Only the sum of experts has weights; the gather of gradients has none.
inline void combine_without_shared(const Context& cx, const GatherSum& p) {
  GatherSum q = p;
  if (p.weights != nullptr) q.shared = nullptr;
  real(cx).gather_sum(cx, q);
}
inline void combine_without_weights(const Context& cx, const GatherSum& p) {
  GatherSum q = p;
  q.weights = nullptr;
  real(cx).gather_sum(cx, q);
}

}  // namespace hadal::planted
