// A document of any length to ids in bounded memory: it is cut only where the tokenizer always cuts, so the ids are
// those of the whole document at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::text {

enum class ControlTokens : std::uint8_t { as_text, as_tokens };  // Tokenizer::encode_as_text, Tokenizer::encode

// One document after another, each in chunks of any size, cut anywhere (in the middle of a character too). Of a
// document it holds what cannot be decided yet: some 64 KiB, more only inside of one pre-token or one run of white
// space. Throws Error where such a run is longer than 16 MiB.
class PiecewiseEncoder {
 public:
  static constexpr std::size_t kWindow = std::size_t{1} << 16;

  // `window`: bytes that are gathered before they are looked at; the ids are the same with any.
  PiecewiseEncoder(const Tokenizer& tokenizer, ControlTokens control, std::size_t window = kWindow);
  ~PiecewiseEncoder();
  PiecewiseEncoder(PiecewiseEncoder&&) noexcept;
  PiecewiseEncoder& operator=(PiecewiseEncoder&&) noexcept;

  // Appends the ids that are certain by now to `ids`.
  void push(std::string_view bytes, std::vector<std::int32_t>& ids);
  // The document ends: appends the rest.
  void finish(std::vector<std::int32_t>& ids);

 private:
  class Chain;
  std::unique_ptr<Chain> chain_;
};

}  // namespace hadal::text
