// hadal study balance | mtp: trains the models of a study, or goes on where it stopped, and says what came of it.
#include <memory>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/progress.h"
#include "base/words.h"
#include "cli/failure.h"
#include "cli/json_out.h"
#include "cli/options.h"
#include "cli/print_table.h"
#include "cli/runtime.h"
#include "cli/signals.h"
#include "cli/verbs.h"
#include "eval/balance.h"
#include "eval/mtp.h"
#include "train/setup.h"

namespace hadal::cli {

namespace {

constexpr std::int64_t kQuickSteps = 12, kQuickRows = 4, kFewTokens = 100000;

struct Arguments {
  RecipeOptions recipe;
  std::string out, source;
  std::vector<std::string> heldout;
  std::vector<std::int64_t> seeds = {1, 2, 3};
  std::vector<double> gammas = {1e-3, 2e-2}, alphas = {1e-3, 1e-1};
  std::int64_t modules = 2;
  bool quick = false, as_json = false;
};

// What both studies open before they make a plan.
struct Opened {
  explicit Opened(const Arguments& a) : recipe(load(a)), tokenizer(text::Tokenizer::load(recipe.data.tokenizer)) {
    config = train::config_of(recipe, tokenizer);
    study.folder = a.out;
    study.tokenizer = &tokenizer;
    for (const std::string& text : a.heldout) study.heldout.push_back(kind_of(text, a.quick));
    std::set<std::string> names;
    std::int64_t tokens = 0;
    for (const eval::Kind& kind : study.heldout) {
      if (!names.insert(kind.name).second) fail("--heldout: the kind '{}' is given twice", kind.name);
      tokens += eval::predicted_tokens(kind);
    }
    if (tokens < kFewTokens)
      quietly([&] {
        fmt::print(stderr, "note: {}: MaxVio of few tokens is largely chance\n",
                   plural(static_cast<std::uint64_t>(tokens), "held-out token"));
      });
    ignore_broken_pipes();
    study.stop = &stop_flag();
    fs::create_directories(a.out);
  }

  train::Recipe recipe;
  text::Tokenizer tokenizer;
  model::Config config;
  eval::Study study;

 private:
  static train::Recipe load(const Arguments& a) {
    train::Recipe r = train::load_recipe(a.recipe.recipe, a.recipe.overrides());
    if (r.data.tokenizer.empty())
      fail("{}: key 'data.tokenizer' is needed: a folder with tokenizer.json", a.recipe.recipe);
    if (a.quick) r.train.tokens = kQuickSteps * r.train.rows * r.data.sequence_length;
    if (r.train.tokens == 0)
      fail("{}: key 'train.tokens' is needed: how many tokens each run trains on", a.recipe.recipe);
    r.data.heldout.clear();  // measured here, by kinds
    return r;
  }
  eval::Kind kind_of(const std::string& text, bool quick) const {
    const auto equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) fail("--heldout {}: must be NAME=FOLDER", text);
    return eval::read_kind(text.substr(0, equals), text.substr(equals + 1), recipe, tokenizer, quick ? kQuickRows : 0);
  }
};

std::vector<eval::RunResult> run_all(Opened& opened) {
  eval::Study& study = opened.study;
  Runtime runtime(static_cast<int>(opened.recipe.train.threads));
  quietly([&] {
    fmt::print(stderr, "{}, {} tokens in all, {}, {}\n", plural(study.plans.size(), "run"),
               short_number(static_cast<double>(study.total_tokens())),
               plural(static_cast<std::uint64_t>(runtime.threads()), "thread"),
               kernels::name_of(runtime.context().isa()));
  });
  Progress progress("study", study.total_tokens(), "tokens");
  study.on_progress = [&, begins = true /* a run, where an earlier one may have left off */](
                          std::size_t run, std::int64_t tokens, const train::StepMetrics* m) mutable {
    if (begins || m == nullptr) progress.skip_to(tokens);
    begins = m == nullptr;
    std::string note = fmt::format("run {} of {}, {}", run + 1, study.plans.size(), study.plans[run].name);
    if (m != nullptr) note += fmt::format(", lm loss {:.3f}", m->lm_loss);
    quietly([&] { progress.update(tokens, note); });
  };
  study.on_message = [&](const std::string& line) { quietly([&] { progress.message(line); }); };
  auto results = eval::run_study(runtime.context(), study);
  if (!results) {
    quietly([&] { progress.message("stopped; the same command goes on from here"); });
    end_with(130);
  }
  quietly([&] {
    progress.skip_to(study.total_tokens());  // runs that were finished before are done, too
    progress.finish();
  });
  return std::move(*results);
}

std::string source_of(const Arguments& a) {
  return a.quick ? a.source + (a.source.empty() ? "" : "; ") + "QUICK: a few steps, the figures mean nothing"
                 : a.source;
}

// The figures as a file and on standard output, as tables or as JSON.
void tell(const Arguments& a, const std::string& figures, const std::vector<report::Table>& tables) {
  const fs::path file = fs::path(a.out) / "study.json", page = fs::path(a.out) / "report.html";
  write_file_atomically(file, figures);
  if (a.as_json) {
    json j = parse_json(figures, file.string());
    j["figures"] = file.string();
    j["report"] = page.string();
    print_json(j);
    return;
  }
  if (const std::string source = source_of(a); !source.empty()) fmt::print("\n{}\n", source);
  for (const report::Table& table : tables) {
    fmt::print("\n");
    print_table(table);
  }
  fmt::print("\nreport:  {}\nfigures: {}\n", page.string(), file.string());
}

void run_balance(const Arguments& a) {
  Opened opened(a);
  eval::BalanceSettings s{a.seeds, a.gammas, a.alphas};
  if (a.quick) {
    s.seeds.resize(1);
    s.gammas.resize(std::min<std::size_t>(1, s.gammas.size()));
    s.alphas.resize(std::min<std::size_t>(1, s.alphas.size()));
  }
  opened.study.plans = eval::plan_balance(opened.recipe, opened.config, s);
  const std::vector<eval::RunResult> runs = run_all(opened);
  const std::string source = source_of(a);
  eval::write_balance_report(fs::path(a.out) / "report.html", runs, opened.config, source);
  tell(a, eval::balance_json(runs, source),
       {eval::balance_table(runs), eval::verdict_table(eval::judge_balance(runs))});
}

void run_mtp(const Arguments& a) {
  Opened opened(a);
  std::vector<std::int64_t> seeds = a.seeds;
  if (a.quick) seeds.resize(1);
  opened.study.plans = eval::plan_mtp(opened.recipe, opened.config, a.modules, seeds, a.out);
  const std::vector<eval::RunResult> runs = run_all(opened);
  const std::string source = source_of(a);
  model::Config with = opened.config;
  with.num_nextn_predict_layers = a.modules;
  eval::write_mtp_report(fs::path(a.out) / "report.html", runs, with, source);
  tell(a, eval::mtp_json(runs, source),
       {eval::mtp_table(runs), eval::mtp_verdict_table(eval::judge_mtp(runs)), eval::position_table(runs)});
}

// CLI11 hands a repeated seed on; its runs would share a folder.
std::string distinct(const std::vector<std::int64_t>& seeds) {
  return std::set<std::int64_t>(seeds.begin(), seeds.end()).size() == seeds.size() ? "" : "--seeds: one is given twice";
}

void add_common(Command verb, const std::shared_ptr<Arguments>& a) {
  add_recipe_options(verb, a->recipe);
  verb.add_option("--out", a->out, "folder of the study: its runs, report.html, study.json").required();
  verb.add_option("--heldout", a->heldout, "NAME=FOLDER: a kind of held-out text and its token shards; again for more")
      .required()
      .one_value_each();
  verb.add_option("--seeds", a->seeds, "of weights and data order, as 1,2,3")
      .separated_by(',')
      .shows_default()
      .one_value_each()
      .rule(whole(0, 999999));
  verb.add_option("--source", a->source, "where the text is from, for the report");
  add_json(verb, a->as_json);
  verb.add_flag("--quick", a->quick, "one seed, a few steps, a few held-out rows: to see that it works");
}

}  // namespace

void add_study(Command app) {
  auto a = std::make_shared<Arguments>();
  Command verb = app.add_verb("study", "train models that differ in one thing, and compare them");
  verb.needs_verb();
  Command balance = verb.add_verb("balance", "experts balanced by bias, by auxiliary loss, by neither");
  add_common(balance, a);
  balance.add_option("--gammas", a->gammas, "further values of balance.gamma, first seed")
      .separated_by(',')
      .shows_default()
      .one_value_each()
      .rule(real_f32(0, 10));
  balance.add_option("--alphas", a->alphas, "further values of balance.alpha, first seed")
      .separated_by(',')
      .shows_default()
      .one_value_each()
      .rule(real_f32(0, 10));
  Command mtp = verb.add_verb("mtp", "with and without multi-token prediction, at the same data and compute");
  add_common(mtp, a);
  mtp.add_option("--modules", a->modules, "MTP modules, one for each depth").shows_default().rule(whole(1, 8));
  const auto checked = [a](void (*study)(const Arguments&)) {
    if (const std::string problem = distinct(a->seeds); !problem.empty()) fail("{}", problem);
    study(*a);
  };
  balance.callback([checked] { checked(run_balance); });
  mtp.callback([checked] { checked(run_mtp); });
}

}  // namespace hadal::cli
