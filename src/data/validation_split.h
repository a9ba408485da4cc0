// Which documents, or parts of long ones, are kept for validation.
//
// A document of up to 256 KiB goes to one side as a whole; which one depends on (seed, its text) alone: not on the
// other documents nor on the order, and equal documents go to the same side. A longer one is cut at line ends into
// blocks of up to 8 KiB, of which every 1/share have one at a random place that is for validation, keyed by (seed, its
// first 256 KiB); blocks of one side that follow each other become one document.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hadal::data {

class ValidationSplit {
 public:
  // part 0: training, 1: validation.
  using Sink = std::function<void(std::string_view piece, bool last, int part)>;

  // share: in [0, 1); 0 passes all on to training.
  ValidationSplit(double share, std::uint64_t seed, Sink sink);
  void add(std::string_view piece, bool last);

 private:
  static constexpr std::size_t kLong = std::size_t{1} << 18, kBlock = std::size_t{1} << 13;

  void block(std::string_view text);
  void cut_blocks(bool last);

  double share_;
  std::uint64_t seed_;
  Sink sink_;
  std::string held_;
  bool long_ = false;
  std::uint64_t key_ = 0;                // of the long document
  std::uint64_t block_ = 0, group_ = 0;  // blocks so far, groups of 1/share blocks so far
  std::uint64_t chosen_ = 0;             // the block of the present group that is for validation
  int part_ = -1;                        // of the document that is being given out, -1 for none
};

}  // namespace hadal::data
