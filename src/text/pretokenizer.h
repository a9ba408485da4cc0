// The pre-tokenizer: steps in order, each on the pieces of the one before. Matches and gaps both become pieces.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "text/pattern.h"
#include "text/sink.h"

namespace hadal::text {

class Flow;
struct FlowSettings;
struct Scanned;

enum class SplitBehavior { isolated, removed, merged_with_previous, merged_with_next, contiguous };

// Whether a range and the one after it are one piece; each is a match or a gap.
bool joined(SplitBehavior behavior, bool match, bool next_match);

// A digit as the Digits step has it.
bool is_digit(const Scanned& c);

class PreTokenizer {
 public:
  class Step {
   public:
    virtual ~Step() = default;
    virtual void split(std::string_view piece, bool prefix, PieceSink sink) const = 0;
    // The same for pieces that come in chunks; two stages where a step has two parts. The last comes first.
    virtual void add_flows(const FlowSettings& settings, Flow& next,
                           std::vector<std::unique_ptr<Flow>>& flows) const = 0;
  };

  // `invert`: gaps count as the matches.
  void add_split(std::unique_ptr<Pattern> pattern, SplitBehavior behavior, bool invert);
  // \p{N} characters one by one, or their runs.
  void add_digits(bool individual);
  // A space before each piece that does not start with one; then, with use_regex, GPT-2's pattern.
  void add_byte_level(bool add_prefix_space, bool use_regex);

  // The pieces of `text` in order, as byte strings; none is empty. A piece is valid only during the call of sink.
  // Without `prefix` no space is put before anything: the text goes on where another ended.
  void run(std::string_view text, PieceSink sink, bool prefix = true) const { run_from(0, text, prefix, sink); }

  // The same for a text that comes in chunks: pieces go to `next`, in chunks too. The first stage is the last of the
  // list, or `next` if that is empty. The settings outlive the list.
  std::vector<std::unique_ptr<Flow>> flows(const FlowSettings& settings, Flow& next) const;

 private:
  void run_from(std::size_t step, std::string_view piece, bool prefix, PieceSink sink) const;

  std::vector<std::unique_ptr<const Step>> steps_;
};

}  // namespace hadal::text
