#include "text/pretokenizer.h"

#include <string>
#include <utility>

#include "text/scan.h"
#include "text/split_flow.h"

namespace hadal::text {

bool joined(SplitBehavior behavior, bool match, bool next_match) {
  switch (behavior) {
    case SplitBehavior::merged_with_previous:
      return next_match && !match;
    case SplitBehavior::merged_with_next:
      return match && !next_match;
    case SplitBehavior::contiguous:
      return match == next_match;
    default:
      return false;
  }
}

// The reference's step asks another library than its patterns do, one that knows the digits of Unicode 17.
bool is_digit(const Scanned& c) {
  const char32_t code = c.code_point;
  return c.kind == CharClass::number || (code >= 0x11DE0 && code <= 0x11DE9) || (code >= 0x16FF4 && code <= 0x16FF6);
}

namespace {

// Isolated, the behaviour of every tokenizer we know: no list of pieces is kept.
void split_isolated(const Pattern& pattern, std::string_view piece, PieceSink sink) {
  std::size_t gap = 0;
  pattern.find_all(piece, [&](std::size_t begin, std::size_t end) {
    if (begin > gap) sink(piece.substr(gap, begin - gap));
    sink(piece.substr(begin, end - begin));
    gap = end;
  });
  if (gap < piece.size()) sink(piece.substr(gap));
}

struct Range {
  std::size_t begin, end;
  bool match;
};

std::vector<Range> ranges_of(const Pattern& pattern, std::string_view piece, bool invert) {
  std::vector<Range> ranges;
  std::size_t gap = 0;
  pattern.find_all(piece, [&](std::size_t begin, std::size_t end) {
    if (begin > gap) ranges.push_back({gap, begin, invert});
    ranges.push_back({begin, end, !invert});  // an empty one, too, keeps its neighbours apart
    gap = end;
  });
  if (gap < piece.size()) ranges.push_back({gap, piece.size(), invert});
  return ranges;
}

class SplitStep final : public PreTokenizer::Step {
 public:
  SplitStep(std::unique_ptr<Pattern> pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void split(std::string_view piece, bool /*prefix*/, PieceSink sink) const override {
    if (behavior_ == SplitBehavior::isolated) return split_isolated(*pattern_, piece, sink);
    const std::vector<Range> ranges = ranges_of(*pattern_, piece, invert_);
    for (std::size_t i = 0; i < ranges.size();) {
      std::size_t last = i;
      while (last + 1 < ranges.size() && joined(behavior_, ranges[last].match, ranges[last + 1].match)) ++last;
      if (behavior_ != SplitBehavior::removed || !ranges[i].match) {
        sink(piece.substr(ranges[i].begin, ranges[last].end - ranges[i].begin));
      }
      i = last + 1;
    }
  }

  void add_flows(const FlowSettings& settings, Flow& next, std::vector<std::unique_ptr<Flow>>& flows) const override {
    flows.push_back(std::make_unique<SplitFlow>(*pattern_, behavior_, invert_, settings.window, next));
  }

 private:
  std::unique_ptr<Pattern> pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class DigitsStep final : public PreTokenizer::Step {
 public:
  explicit DigitsStep(bool individual) : individual_(individual) {}

  void split(std::string_view piece, bool /*prefix*/, PieceSink sink) const override {
    const char* const end = piece.data() + piece.size();
    const char* start = piece.data();
    bool digits = false;  // whether [start, p) is made of digits
    for (const char* p = start; p < end;) {
      const Scanned c = scan(p, end);
      const bool digit = is_digit(c);
      if (p > start && (digit != digits || (digit && individual_))) {
        sink({start, static_cast<std::size_t>(p - start)});
        start = p;
      }
      digits = digit;
      p += c.size;
    }
    if (start < end) sink({start, static_cast<std::size_t>(end - start)});
  }

  void add_flows(const FlowSettings& /*settings*/, Flow& next,
                 std::vector<std::unique_ptr<Flow>>& flows) const override {
    flows.push_back(std::make_unique<DigitsFlow>(individual_, next));
  }

 private:
  bool individual_;
};

class ByteLevelStep final : public PreTokenizer::Step {
 public:
  ByteLevelStep(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), pattern_(use_regex ? gpt2_pattern() : nullptr) {}

  void split(std::string_view piece, bool prefix, PieceSink sink) const override {
    std::string prefixed;
    if (add_prefix_space_ && prefix && !piece.starts_with(' ')) {
      prefixed.reserve(piece.size() + 1);
      prefixed += ' ';
      prefixed += piece;
      piece = prefixed;
    }
    if (pattern_) {
      split_isolated(*pattern_, piece, sink);
    } else {
      sink(piece);
    }
  }

  void add_flows(const FlowSettings& settings, Flow& next, std::vector<std::unique_ptr<Flow>>& flows) const override {
    Flow* after = &next;
    if (pattern_) {
      flows.push_back(std::make_unique<SplitFlow>(*pattern_, SplitBehavior::isolated, false, settings.window, next));
      after = flows.back().get();
    }
    if (add_prefix_space_) flows.push_back(std::make_unique<PrefixFlow>(settings.prefix, *after));
  }

 private:
  bool add_prefix_space_;
  std::unique_ptr<Pattern> pattern_;
};

}  // namespace

void PreTokenizer::add_split(std::unique_ptr<Pattern> pattern, SplitBehavior behavior, bool invert) {
  steps_.push_back(std::make_unique<SplitStep>(std::move(pattern), behavior, invert));
}

void PreTokenizer::add_digits(bool individual) { steps_.push_back(std::make_unique<DigitsStep>(individual)); }

void PreTokenizer::add_byte_level(bool add_prefix_space, bool use_regex) {
  if (!add_prefix_space && !use_regex) return;  // the step would pass every piece on as it is
  steps_.push_back(std::make_unique<ByteLevelStep>(add_prefix_space, use_regex));
}

void PreTokenizer::run_from(std::size_t step, std::string_view piece, bool prefix, PieceSink sink) const {
  if (piece.empty()) return;
  if (step == steps_.size()) return sink(piece);
  steps_[step]->split(piece, prefix, [&](std::string_view part) { run_from(step + 1, part, prefix, sink); });
}

std::vector<std::unique_ptr<Flow>> PreTokenizer::flows(const FlowSettings& settings, Flow& next) const {
  std::vector<std::unique_ptr<Flow>> flows;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    (*step)->add_flows(settings, flows.empty() ? next : *flows.back(), flows);
  }
  return flows;
}

}  // namespace hadal::text
