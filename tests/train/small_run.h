// A small training run in the test's own process: model, rows and folders from a seed, no tokenizer, no shards.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "support/random_model.h"
#include "support/temp_folder.h"
#include "train/trainer.h"

namespace hadal::train {

constexpr std::int64_t kRowTokens = 24;

// Rows keyed by their number: the position is that number.
class NumberedRows : public RowSource {
 public:
  explicit NumberedRows(std::int64_t vocab) : vocab_(vocab) {}
  SourceRow next() override {
    test::Random random(static_cast<std::uint64_t>(1000 + row_++));
    return {test::random_tokens(random, kRowTokens + 1, vocab_), {0}};
  }
  std::string state() const override { return std::to_string(row_); }
  void restore(const std::string& state) override { row_ = std::stoll(state); }

 private:
  std::int64_t vocab_, row_ = 0;
};

inline model::Config small_config() {
  test::Random random(5);
  model::Config c = test::small_v3(random);
  c.n_shared_experts = 1;
  return c;
}

struct SmallRun {
  explicit SmallRun(const std::vector<std::string>& overrides, int threads = 2)
      : pool(std::make_unique<ThreadPool>(threads)) {
    std::vector<std::string> all = {"model.init_std=0.1", "model.dtype=f32",         "train.rows=4",
                                    "lr.peak=0.01",       "lr.warmup_share=0",       "checkpoint.every=0",
                                    "validation.every=0", "data.sequence_length=24", "checkpoint.keep=99"};
    all.insert(all.end(), overrides.begin(), overrides.end());
    recipe = load_recipe({}, all);
  }

  // Trains in `folder` on the ISA of the machine; every line for the user and every step is kept.
  TrainerOutcome train_in(const std::filesystem::path& folder) {
    const kernels::Context cx(*pool, kernels::default_isa());
    NumberedRows rows(config.vocab_size);
    TrainerInput in;
    in.recipe = recipe;
    in.run_dir = folder;
    in.config = config;
    in.rows = source != nullptr ? source : &rows;
    in.heldout = heldout;
    in.bytes_of = [](std::int32_t) { return 1; };
    in.peak_flops = 1e9;
    in.stop = stop;
    in.on_step = [&](const StepMetrics& m) {
      steps.push_back(m);
      if (on_step) on_step(m);
    };
    in.on_validation = [&](std::int64_t done, std::int64_t all) {
      if (on_validation) on_validation(done, all);
    };
    in.on_message = [&](const std::string& line) { lines.push_back(line); };
    return train(cx, in);
  }

  bool said(const std::string& part) const {
    for (const std::string& line : lines) {
      if (line.find(part) != std::string::npos) return true;
    }
    return false;
  }

  std::unique_ptr<ThreadPool> pool;
  Recipe recipe;
  model::Config config = small_config();
  RowSource* source = nullptr;
  ValidationText heldout;
  const std::atomic<bool>* stop = nullptr;
  std::function<void(const StepMetrics&)> on_step;
  std::function<void(std::int64_t, std::int64_t)> on_validation;
  std::vector<StepMetrics> steps;
  std::vector<std::string> lines;
};

inline void expect_same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  EXPECT_EQ(read_file(a), read_file(b)) << a << " and " << b << " differ";
}

// The tensors of two checkpoints are the same files.
inline void expect_same_tensors(const std::filesystem::path& a, const std::filesystem::path& b) {
  for (const char* name : {"model.safetensors", "trainer/moments.safetensors"}) expect_same_file(a / name, b / name);
  EXPECT_EQ(fs::exists(a / "trainer/ema.safetensors"), fs::exists(b / "trainer/ema.safetensors"));
  if (fs::exists(a / "trainer/ema.safetensors")) {
    expect_same_file(a / "trainer/ema.safetensors", b / "trainer/ema.safetensors");
  }
}

}  // namespace hadal::train
