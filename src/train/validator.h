// The validations of a run: which rows of the text that is not trained on are read, under which name, and what they
// cost the model. Figures of different rows never have the same name.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "train/evaluate.h"
#include "train/metrics.h"
#include "train/recipe.h"

namespace hadal::train {

// The text: rows of T + 1 tokens, and what it is called. Without validation.full only the first rows are needed, one
// more than validation.rows, by which it is known whether there are more.
struct ValidationText {
  std::string name = "text";
  std::vector<std::vector<std::int32_t>> rows;
};

// How many rows of the text a recipe can need; 0: all.
std::int64_t most_validation_rows(const Recipe& recipe);

class Validator {
 public:
  // text outlives the object.
  Validator(const Recipe& recipe, const ValidationText& text);

  // Whether a step that ends with `last` is followed by a validation.
  bool after(std::int64_t step, bool last) const;
  bool empty() const { return text_.rows.empty(); }
  // Of the rows that every validation reads: "first 64 rows of heldout [3f2a91bc]". Empty without a text.
  const std::string& name() const { return name_; }
  // Whether the first and the last validation read more than that (validation.full).
  bool reads_whole() const { return !whole_name_.empty(); }

  struct Result {
    Evaluation evaluation;            // of the most rows that were read
    std::vector<Validation> figures;  // of the first rows; then of the whole text, if that is more and was read
  };
  struct Hooks {
    std::function<std::int64_t(std::int32_t)> bytes_of;                // UTF-8 bytes of a token
    const std::atomic<bool>* stop = nullptr;                           // looked at after every pass
    std::function<void(std::int64_t rows, std::int64_t all)> on_rows;  // progress
  };
  // at_end: the first or the last one of the run. Nothing if it was stopped.
  std::optional<Result> run(const kernels::Context& cx, const model::CausalLm& model, bool at_end,
                            const Hooks& hooks) const;

 private:
  const ValidationText& text_;
  std::int64_t every_;
  std::size_t first_rows_;
  std::string name_, whole_name_;
};

}  // namespace hadal::train
