#include "data/batches.h"

#include <algorithm>

namespace hadal::data {

WholeDocument& DocumentBatches::present() {
  if (documents_.size() == whole_) documents_.emplace_back();
  if (!begun_) documents_[whole_].text.clear();
  begun_ = true;
  return documents_[whole_];
}

void DocumentBatches::add(std::string_view piece, bool last, int part) {
  if (!long_) {
    WholeDocument& document = present();
    document.part = part;
    if (document.text.size() + piece.size() <= kLong) {
      document.text += piece;
      if (!last) return;
      begun_ = false;
      ++whole_;
      bytes_ += document.text.size();
      if (bytes_ >= kBatch || whole_ >= kBatchDocuments) finish();
      return;
    }
    const std::string begin = std::move(document.text);
    document.text = {};
    begun_ = false;
    long_ = true;
    finish();
    give(begin, false, part);
  }
  give(piece, last, part);
  if (last) long_ = false;
}

void DocumentBatches::give(std::string_view text, bool last, int part) {
  do {
    const std::size_t size = std::min(kPiece, text.size());
    on_piece_(text.substr(0, size), last && size == text.size(), part);
    text.remove_prefix(size);
  } while (!text.empty());
}

void DocumentBatches::finish() {
  if (whole_ > 0) on_batch_(std::span(documents_).first(whole_));
  whole_ = bytes_ = 0;
}

}  // namespace hadal::data
