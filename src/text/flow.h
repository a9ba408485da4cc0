// Text that comes in pieces, each piece in chunks: what the stages of a tokenizer hand to each other when a document is
// too long to be held.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace hadal::text {

class Flow {
 public:
  virtual ~Flow() = default;
  // The next bytes of the piece; `last` ends it. A piece without any bytes is none. Bytes are valid during the call.
  virtual void push(std::string_view bytes, bool last) = 0;
};

struct FlowSettings {
  const bool& prefix;  // whether a prefix space belongs before the piece that begins
  std::size_t window;  // bytes that a stage gathers before it looks at them
};

// Bytes whose meaning depends on what follows: they wait until more is there or the piece ends.
class Held {
 public:
  // `window`: bytes worth looking at.
  explicit Held(std::size_t window) : window_(window), due_(window) {}

  // Longest stretch that may wait: a single pre-token of this size would take some 100 bytes of memory for each byte.
  static constexpr std::size_t kMax = std::size_t{16} << 20;

  std::string_view text() const { return text_; }
  bool empty() const { return text_.empty(); }

  void append(std::string_view bytes) {
    text_ += bytes;
    if (text_.size() > kMax) {
      fail(
          "the tokenizer's pre-tokenizer finds no place to cut in {} MiB of text (it begins with \"{}\"): break up "
          "such "
          "runs before tokenizing",
          kMax >> 20, shown());
    }
  }
  // Whether it is time to look at what is held: there is much more of it than at the last look.
  bool is_due() const { return text_.size() >= due_; }
  // The first bytes have done their service.
  void drop(std::size_t count) {
    text_.erase(0, count);
    due_ = text_.size() * 2 + window_;
  }
  void clear() {
    text_.clear();
    due_ = window_;
  }

 private:
  std::string shown() const;

  std::string text_;
  std::size_t window_, due_;
};

}  // namespace hadal::text
