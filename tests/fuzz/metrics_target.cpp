// A run's metrics.jsonl, as report and watch read it.
#include "base/error.h"
#include "fuzz/targets.h"
#include "train/metrics.h"
#include "train/report.h"
#include "train/watch.h"

namespace hadal::fuzz {

namespace {

// Two MoE layers, one of them an MTP module's.
model::Config small() {
  model::Config c;
  c.family = model::Family::deepseek_v3;
  c.vocab_size = 16;
  c.hidden_size = c.intermediate_size = c.moe_intermediate_size = 8;
  c.num_hidden_layers = 2;
  c.first_k_dense_replace = 1;
  c.num_attention_heads = c.num_key_value_heads = 1;
  c.kv_lora_rank = c.qk_nope_head_dim = c.qk_rope_head_dim = c.v_head_dim = 2;
  c.n_routed_experts = 2;
  c.num_experts_per_tok = 1;
  c.num_nextn_predict_layers = 1;
  return c;
}

}  // namespace

void metrics(std::string_view input) {
  const auto path = write("run/metrics.jsonl", input);
  const model::Config c = small();
  expect_error_names("metrics.jsonl", [&] {
#ifdef HADAL_PLANTED_BUG
    const std::vector<int> names(2);
    for (const train::StepMetrics& m : train::read_metrics(path)) {
      for (std::size_t g = 0; g < m.loads_LE.size(); ++g) require(names.data()[g] != 1, "a gate called 1");
    }
#endif
    train::write_report(folder() / "run", c);
  });
  expect_error_names("metrics.jsonl", [&] {
    train::MetricsFollower follower(folder() / "run");
    follower.poll();
    for (const std::size_t width : {40, 200}) {
      train::View view{.title = "run", .gates = {}, .width = width, .height = 24};
      for (const std::string& line : train::draw_frame(follower.steps(), view, 1)) {
        require(escaped(line) == line, "a line of the view that moves the cursor");
      }
    }
    train::draw_line(follower.steps());
  });
}

}  // namespace hadal::fuzz
