#include "data/row_packer.h"

#include "base/error.h"

namespace hadal::data {

namespace {

// Where a document has ended the next one needs no context of its own: its first token is predicted from that end.
bool needs_context(const Span& before, const Piece& piece) {
  return !(before.ends && piece.at == 0 && piece.span->begins);
}

std::int32_t place_in(const Row& row) { return static_cast<std::int32_t>(row.tokens.size()); }

// Appends predicted tokens of the piece until the row has `size` tokens.
void append(Row& row, Piece& piece, std::size_t size) {
  const Span& s = *piece.span;
  auto start = s.starts.begin();
  while (row.tokens.size() < size && piece.at + 1 < s.tokens.size()) {
    ++piece.at;
    while (start != s.starts.end() && start->at < piece.at) ++start;
    if (start != s.starts.end() && start->at == piece.at) {
      row.documents.push_back(place_in(row));
      if (start->context) row.contexts.push_back(place_in(row));
    }
    row.tokens.push_back(s.tokens[piece.at]);
  }
}

}  // namespace

void RowPacker::add(Piece piece) {
  positions_ += piece.left() + (!pieces_.empty() && needs_context(*pieces_.back().span, piece) ? 1 : 0);
  pieces_.push_back(std::move(piece));
}

Row RowPacker::take(std::size_t length) {
  HADAL_ASSERT(positions_ >= length);
  Row row;
  std::shared_ptr<const Span> before;
  while (row.tokens.size() <= length) {
    Piece& piece = pieces_.front();
    if (before == nullptr || needs_context(*before, piece)) {
      row.documents.push_back(place_in(row));
      if (before != nullptr) row.contexts.push_back(place_in(row));
      row.tokens.push_back(piece.span->tokens[piece.at]);
    }
    append(row, piece, length + 1);
    if (piece.left() > 0) break;
    before = piece.span;
    pieces_.pop_front();
  }
  std::deque<Piece> rest;
  rest.swap(pieces_);
  positions_ = 0;
  for (Piece& piece : rest) add(std::move(piece));
  return row;
}

}  // namespace hadal::data
