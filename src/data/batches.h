// Documents that come in pieces, put together for work on several threads: short ones whole, many at a time; long ones
// piece by piece.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hadal::data {

struct WholeDocument {
  std::string text;
  int part = 0;  // which output it belongs to
};

class DocumentBatches {
 public:
  // Short documents, in order. They are given out before the long document that follows them.
  using OnBatch = std::function<void(std::span<const WholeDocument>)>;
  // Pieces of at most kPiece bytes, cut anywhere; `last` with the last one, which may be empty.
  using OnPiece = std::function<void(std::string_view piece, bool last, int part)>;

  DocumentBatches(OnBatch on_batch, OnPiece on_piece)
      : on_batch_(std::move(on_batch)), on_piece_(std::move(on_piece)) {}
  // The next piece of the present document, all of whose pieces have the same part.
  void add(std::string_view piece, bool last, int part);
  void finish();  // gives out what is left; the last document must have ended

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 18;
  static constexpr std::size_t kLong = std::size_t{1} << 20;   // a document of more bytes is long
  static constexpr std::size_t kBatch = std::size_t{1} << 23;  // bytes
  static constexpr std::size_t kBatchDocuments = std::size_t{1} << 15;

  WholeDocument& present();
  void give(std::string_view text, bool last, int part);

  OnBatch on_batch_;
  OnPiece on_piece_;
  std::vector<WholeDocument> documents_;  // their memory is used again
  std::size_t whole_ = 0, bytes_ = 0;     // documents that are whole, and their bytes
  bool begun_ = false, long_ = false;     // documents_[whole_] has begun; a long document has
};

}  // namespace hadal::data
