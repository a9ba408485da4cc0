#include "verify/replay.h"

#include <algorithm>
#include <cmath>

#include "engine/generate.h"
#include "model/load.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "verify/compare.h"
#include "verify/reference.h"
#include "verify/settings.h"

namespace hadal::verify {

namespace {

using kernels::Context;
using Rows = Inputs::Rows;

Rows without_last(Rows rows) {
  for (auto& row : rows) row.pop_back();
  return rows;
}

struct Replay {
  const Context& cx;
  const std::filesystem::path& model_dir;
  const Options& options;
  const Settings settings;
  Comparison& c;
  model::CausalLm model;
  const Inputs inputs;

  model::CausalLm fresh() const {
    model::CausalLm m = model::load_model(model_dir, options.act, settings.mtp_hidden);
    if (options.tamper) options.tamper(m);
    return m;
  }

  Tensor logits_of(const Rows& rows, const Rows& documents, const std::vector<Tensor>& forced_routing,
                   const nn::Probe* probe) const;
  void forward();
  void mtp(const Rows& tokens);
  void gradients();
  void packed();
  void greedy();
  void long_context();
  void steps();
};

Tensor through_latent_cache(const Replay& r, const Rows& rows, const std::vector<Tensor>& forced_routing) {
  Tensor hidden = Tensor::empty({static_cast<std::int64_t>(rows.size() * rows[0].size()), r.model.config().hidden_size},
                                r.options.act);
  std::int64_t at = 0;
  for (const auto& row : rows) {
    const auto n = static_cast<std::int64_t>(row.size());
    engine::KvCache cache(r.model, nn::MlaForm::latent, n);
    engine::Sequence sequence;
    const engine::StepItem item{&sequence, row};
    std::vector<Tensor> forced;
    forced.reserve(forced_routing.size());
    for (const Tensor& ids : forced_routing) forced.push_back(ids.rows(at, std::min(at + n, ids.size(0))));
    const Tensor h = engine::step(r.cx, r.model, cache, {&item, 1}, n, nullptr, forced).hidden_TD;
    std::copy_n(static_cast<const std::byte*>(h.raw()), h.bytes(),
                static_cast<std::byte*>(hidden.rows(at, at + n).raw()));
    at += n;
  }
  return hidden;
}

Tensor Replay::logits_of(const Rows& rows, const Rows& documents, const std::vector<Tensor>& forced_routing,
                         const nn::Probe* probe) const {
  const bool latent = options.form == nn::MlaForm::latent && model.config().is_mla() && documents.empty();
  if (latent && probe == nullptr) return model.logits(cx, through_latent_cache(*this, rows, forced_routing));
  model::Batch batch = model::batch_of_rows(rows, documents);
  batch.forced_routing = forced_routing;
  model::ForwardOptions forward_options;
  forward_options.probe = probe;
  return model.logits(cx, model.forward(cx, batch, forward_options).hidden_TD);
}

void compare_trace(Comparison& c, std::string_view what, std::int64_t layer, const Tensor& value, std::int64_t rows) {
  const std::string name = fmt::format("trace.layer.{}.{}", layer, what);
  if (!c.has(name)) return;
  const Tensor first = value.rows(0, rows);
  if (what == "experts") {
    const auto ids = first.span<std::int32_t>();
    c.compare_integers(name, std::vector<std::int64_t>(ids.begin(), ids.end()));
  } else {
    c.compare(name, first);
  }
}

void Replay::forward() {
  // In bf16 the choice of experts is the reference's (DESIGN §3): free choices differ for some tokens.
  const Rows tokens = without_last(inputs.tokens);
  c.used("tokens");
  const auto length = static_cast<std::int64_t>(tokens[0].size());
  const nn::Probe probe = [&](std::string_view what, std::int64_t layer, const Tensor& value) {
    compare_trace(c, what, layer, value, length);
  };
  const Tensor logits = logits_of(tokens, {}, inputs.routing, &probe);
  c.compare("logits", options.form == nn::MlaForm::latent ? logits_of(tokens, {}, inputs.routing, nullptr) : logits);
  mtp(tokens);
}

void Replay::mtp(const Rows& tokens) {
  model::Batch batch = model::batch_of_rows(tokens);
  batch.forced_routing = inputs.routing;
  const model::ForwardResult trunk = model.forward(cx, batch, {});
  const std::vector<model::MtpResult> modules = model.mtp(cx, batch, trunk, {});
  std::vector<const ops::GateResult*> gates;
  gates.reserve(trunk.gates.size() + modules.size());
  for (const auto& g : trunk.gates) gates.push_back(&g);
  for (std::size_t k = 0; k < modules.size(); ++k) {
    if (modules[k].gate.ids_TK.defined()) gates.push_back(&modules[k].gate);
    const std::string name = fmt::format("mtp_logits.{}", k + 1);
    if (c.has(name)) c.compare(name, model.logits(cx, modules[k].hidden_TD));
  }
  const std::vector<std::string> names = c.file().routing_names();
  for (std::size_t i = 0; i < names.size() && i < gates.size(); ++i) {
    const auto ids = gates[i]->ids_TK.span<std::int32_t>();
    c.compare_integers(names[i], std::vector<std::int64_t>(ids.begin(), ids.end()));
  }
}

void Replay::gradients() {
  if (!c.has("loss.total") && c.file().names_with("grad.").empty()) return;
  model::CausalLm m = fresh();
  train::Optimizer optimizer(m, {});
  const train::TrainRows rows{inputs.tokens, {}};
  train::ObjectiveSettings s{settings.mtp_lambda, settings.balance_alpha, rows.loss_tokens(),
                             static_cast<std::int64_t>(rows.tokens.size())};
  s.forced_routing = inputs.routing;
  train::ObjectiveResult result;
  {
    autograd::Tape tape(cx);
    const train::Watch watch(tape, optimizer);
    result = train::run_objective(cx, m, rows, s);
  }
  // Whatever this model has must be in the file: c.compare throws for what is missing.
  const auto scalar = [&](const std::string& name, double value) { c.compare(name, std::span(&value, 1)); };
  scalar("loss.main", result.main);
  scalar("loss.total", result.total(s));
  if (!result.mtp.empty()) c.compare("loss.mtp", result.mtp);
  if (moe_layers(model.config()) > 0) {
    scalar("loss.balance", result.balance);
    std::vector<std::int64_t> loads;
    for (const auto& layer : result.loads_LE) loads.insert(loads.end(), layer.begin(), layer.end());
    c.compare_integers("loads", loads);
  }
  for (const train::TrainedParameter& p : optimizer.parameters()) {
    model::each_checkpoint_tensor(
        p.parameter, p.grad, [&](const std::string& name, const Tensor& grad) { c.compare("grad." + name, grad); });
  }
}

void Replay::packed() {
  if (!c.has("packed.logits")) return;
  c.used("packed.document");
  const Rows first = {without_last(inputs.tokens)[0]};
  // Another mask makes other choices: they are free here in f32. In bf16 the file holds none to force.
  c.compare("packed.logits", logits_of(first, {inputs.documents}, {}, nullptr));
}

void Replay::greedy() {
  if (!c.has("greedy.continuation")) return;
  c.used("greedy.prompt");
  engine::GenerateSettings g;
  g.sampling.temperature = 0;
  g.max_tokens = inputs.continuation;
  g.form = options.form;
  g.context = static_cast<std::int64_t>(inputs.prompt.size()) + g.max_tokens;
  g.crossover = options.form == nn::MlaForm::latent ? g.context : 0;
  engine::Generator generator(cx, model, g);
  generator.feed(inputs.prompt);
  const std::vector<std::int32_t> out = generator.generate([](std::int32_t) { return true; }).tokens;
  c.compare_integers("greedy.continuation", std::vector<std::int64_t>(out.begin(), out.end()));
}

void Replay::long_context() {
  if (!c.has("long.tokens")) return;
  c.used("long.tokens");
  const Tensor logits = logits_of(inputs.long_tokens, {}, {}, nullptr);
  c.compare("long.last_logits", logits.rows(logits.size(0) - inputs.long_last, logits.size(0)));
}

void Replay::steps() {
  if (!c.has("steps.tokens")) return;
  c.used("steps.tokens");
  model::CausalLm m = fresh();
  train::Optimizer optimizer(m, settings.adamw);
  const std::vector<Tensor> biases = m.gate_biases();
  std::vector<double> losses, norms;
  for (std::size_t i = 0; i < inputs.steps.size(); ++i) {
    const train::TrainRows rows{inputs.steps[i], {}};
    const train::ObjectiveSettings s{settings.mtp_lambda, settings.balance_alpha, rows.loss_tokens(),
                                     static_cast<std::int64_t>(rows.tokens.size())};
    optimizer.zero_grads();
    train::ObjectiveResult result;
    {
      autograd::Tape tape(cx);
      const train::Watch watch(tape, optimizer);
      result = train::run_objective(cx, m, rows, s);
    }
    losses.push_back(result.total(s));
    norms.push_back(optimizer.grad_norm(cx));
    const double scale = settings.clip > 0 ? std::min(1.0, settings.clip / (norms.back() + 1e-6)) : 1.0;
    optimizer.step(cx, settings.lr, scale, static_cast<std::int64_t>(i) + 1);
    for (std::size_t b = 0; b < biases.size(); ++b)
      train::update_gate_bias(biases[b], result.loads_LE[b], settings.bias_gamma);
  }
  c.compare("steps.losses", losses);
  c.compare("steps.grad_norms", norms);
  const auto final_tensor = [&](const std::string& name, const Tensor& value) {
    if (c.has("steps.final." + name)) c.compare("steps.final." + name, value);
  };
  for (const train::TrainedParameter& p : optimizer.parameters())
    model::each_checkpoint_tensor(p.parameter, p.master, final_tensor);
  m.visit([&](const nn::Parameter& p) {
    if (p.kind == nn::ParameterKind::gate_bias) final_tensor(p.name, *p.value);
  });
}

}  // namespace

Report replay(const Context& cx, const std::filesystem::path& model_dir, const std::filesystem::path& reference,
              const Options& options) {
  const Reference file(reference);
  Comparison comparison(file, options.act, options.keep);
  const Settings settings = read_settings(file.metadata(), reference.string());
  if (!options.bf16_errors.empty()) comparison.read_errors(options.bf16_errors);
  model::CausalLm loaded = model::load_model(model_dir, options.act, settings.mtp_hidden);
  const Inputs inputs(file, loaded.config(), options.act == DType::bf16);
  Replay r{cx, model_dir, options, settings, comparison, std::move(loaded), inputs};
  if (options.tamper) options.tamper(r.model);
  r.forward();
  r.gradients();
  // What routes freely, or runs for ten steps, can be held to no bound in bf16: those tensors stay f32's business.
  if (options.act == DType::f32) {
    r.packed();
    r.greedy();
    r.long_context();
    r.steps();
  } else {
    for (const char* prefix : {"packed.", "greedy.", "long.", "steps."}) {
      for (const std::string& name : file.names_with(prefix)) comparison.left_out(name);
    }
  }
  for (const std::string& name : file.names_with("bf16_error.")) comparison.used(name);
  return comparison.finish(r.model.config().num_hidden_layers);
}

}  // namespace hadal::verify
