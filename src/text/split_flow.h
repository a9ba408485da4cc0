// The steps of a pre-tokenizer on pieces that come in chunks: the same pieces as PreTokenizer::run gives.
#pragma once

#include <optional>

#include "text/flow.h"
#include "text/pattern.h"
#include "text/pretokenizer.h"

namespace hadal::text {

class SplitFlow final : public Flow {
 public:
  SplitFlow(const Pattern& pattern, SplitBehavior behavior, bool invert, std::size_t window, Flow& next)
      : pattern_(pattern), behavior_(behavior), invert_(invert), next_(next), held_(window) {}
  void push(std::string_view bytes, bool last) override;

 private:
  void search(std::string_view text, bool last);
  void gap_up_to(std::string_view text, std::size_t end, bool whole);
  void begin_range(bool match);
  void give(std::string_view bytes, bool whole);

  const Pattern& pattern_;
  SplitBehavior behavior_;
  bool invert_;
  Flow& next_;
  Held held_;
  Cursor cursor_;                 // in what is held
  std::size_t given_ = 0;         // bytes of what is held that are given out
  bool in_gap_ = false;           // what was given last may go on
  std::optional<bool> previous_;  // whether the range before counts as a match
  bool open_ = false;             // the piece given last may go on
};

class DigitsFlow final : public Flow {
 public:
  DigitsFlow(bool individual, Flow& next) : individual_(individual), next_(next) {}
  void push(std::string_view bytes, bool last) override;

 private:
  bool individual_;
  Flow& next_;
  std::string half_;  // a character that is not complete yet
  std::optional<bool> digits_;
};

// A space before each piece that does not start with one, while `prefix` is true.
class PrefixFlow final : public Flow {
 public:
  PrefixFlow(const bool& prefix, Flow& next) : prefix_(prefix), next_(next) {}
  void push(std::string_view bytes, bool last) override;

 private:
  const bool& prefix_;
  Flow& next_;
  bool begun_ = false;
};

}  // namespace hadal::text
