// Rows out of spans: spans too short for a row of their own wait here until together they fill one.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "data/spans.h"

namespace hadal::data {

struct Row {
  std::vector<std::int32_t> tokens;     // T + 1
  std::vector<std::int32_t> documents;  // where documents start inside the row; the first is always 0
  std::vector<std::int32_t> contexts;   // tokens that are context alone and no targets, the first token aside
};

// What is left of a span: span number `place` of its epoch's order, of which tokens[at] is the next row's context.
struct Piece {
  std::uint64_t epoch = 0, place = 0;
  std::size_t at = 0;
  std::shared_ptr<const Span> span;
  std::size_t left() const { return span->tokens.size() - 1 - at; }  // to be predicted
};

class RowPacker {
 public:
  void add(Piece piece);
  // How many targets of rows the pieces fill, contexts between them included.
  std::size_t positions() const { return positions_; }
  const std::deque<Piece>& pieces() const { return pieces_; }
  // A row of positions() >= length targets; what it leaves of a piece stays.
  Row take(std::size_t length);

 private:
  std::deque<Piece> pieces_;
  std::size_t positions_ = 0;
};

}  // namespace hadal::data
