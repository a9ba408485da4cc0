// Where training rows come from. data::Loader is behind it; tests give their own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hadal::train {

struct SourceRow {
  std::vector<std::int32_t> tokens;     // T + 1
  std::vector<std::int32_t> documents;  // starts of documents inside the row, first 0
  std::vector<std::int32_t> contexts;   // places of tokens that are context alone: never a target
};

class RowSource {
 public:
  virtual ~RowSource() = default;
  virtual SourceRow next() = 0;
  // The position, such that restore() on a fresh source continues with the very next row.
  virtual std::string state() const = 0;
  virtual void restore(const std::string& state) = 0;
};

}  // namespace hadal::train
