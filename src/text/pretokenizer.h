// The pre-tokenizer: steps in order, each on the pieces of the one before. Matches and gaps both become pieces.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/pattern.h"
#include "text/sink.h"

namespace hadal::text {

enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

class PreTokenizer {
 public:
  class Step {
   public:
    virtual ~Step() = default;
    virtual void split(std::string_view piece, PieceSink sink) const = 0;
  };

  // `invert`: gaps count as the matches.
  void add_split(std::unique_ptr<Pattern> pattern, SplitBehavior behavior, bool invert);
  // \p{N} characters one by one, or their runs.
  void add_digits(bool individual);
  // A space before each piece that does not start with one; then, with use_regex, GPT-2's pattern.
  void add_byte_level(bool add_prefix_space, bool use_regex);

  // The pieces of `text` in order, as byte strings; none is empty. A piece is valid only during the call of sink.
  void run(std::string_view text, PieceSink sink) const { run_from(0, text, sink); }

 private:
  void run_from(std::size_t step, std::string_view piece, PieceSink sink) const;

  std::vector<std::unique_ptr<const Step>> steps_;
};

}  // namespace hadal::text
