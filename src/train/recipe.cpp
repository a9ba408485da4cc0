#include "train/recipe.h"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace hadal::train {

nn::Recompute recompute_of(const Recipe& r) {
  return r.train.recompute == "blocks"      ? nn::Recompute::blocks
         : r.train.recompute == "selective" ? nn::Recompute::selective
                                            : nn::Recompute::none;
}

DType compute_type(std::string_view name) {
  if (name == "fp8") return DType::f8_e4m3;
  if (name != "f32" && name != "bf16") fail("unknown compute type '{}': it must be one of f32, bf16, fp8", name);
  return dtype_from_name(name);
}

std::int64_t rows_multiple(const Recipe& r) {
  if (r.train.rows_multiple > 0) return r.train.rows_multiple;
  return std::max<std::int64_t>(1, r.train.micro_rows);
}

std::vector<RecipeKey> keys(Recipe& r) {
  return {
      {"model.preset", &r.model.preset, "architecture by name (hadal inspect lists them); model.config overrides it"},
      {"model.config", &r.model.config, "path of a config.json"},
      {"model.init_from", &r.model.init_from, "model folder whose weights are the start (a new run, not a resumption)"},
      {"model.vocab_size", &r.model.vocab_size, "0: the tokenizer's size"},
      {"model.seed", &r.model.seed, "key of the random initial weights"},
      {"model.init_std", &r.model.init_std, "standard deviation of initial weights; 0: the config's initializer_range"},
      {"model.embedding_std", &r.model.embedding_std, "the same for embed_tokens alone; 0: as init_std"},
      {"model.dtype", &r.model.dtype, "f32, bf16 or fp8: compute type; masters are always f32"},
      {"data.tokenizer", &r.data.tokenizer, "folder with tokenizer.json"},
      {"data.train", &r.data.train, "folders of token shards (hadal data prepare)"},
      {"data.weights", &r.data.weights, "mixture weights, one a folder; empty: by size"},
      {"data.epochs", &r.data.epochs, "most epochs of each folder, fractions too; 0 or empty: no bound"},
      {"data.heldout", &r.data.heldout, "folder of token shards for validation; empty: none"},
      {"data.sequence_length", &r.data.sequence_length, "tokens of a training row"},
      {"data.seed", &r.data.seed, "key of the document order"},
      {"data.document_mask", &r.data.document_mask, "attention stays inside documents (V3's pre-training: false)"},
      {"data.fim_rate", &r.data.fim_rate, "share of the documents turned into fill-in-the-middle, PSM (V3: 0.1)"},
      {"data.split_rate", &r.data.split_rate,
       "share of the tokens that join punctuation and line ends to be split (V3 does so, at an undisclosed rate)"},
      {"train.tokens", &r.train.tokens, "tokens to train on"},
      {"train.rows", &r.train.rows, "rows of a step (the global batch)"},
      {"train.rows_start", &r.train.rows_start, "rows of the first step, rising to train.rows; 0: no ramp"},
      {"train.ramp_share", &r.train.ramp_share, "share of the tokens over which the rows rise (V3: 0.0317)"},
      {"train.rows_multiple", &r.train.rows_multiple, "rows of a step are a multiple of this; 0: of micro_rows"},
      {"train.micro_rows", &r.train.micro_rows, "rows of a micro-batch; 0: all of them at once"},
      {"train.threads", &r.train.threads, "0: all CPUs; results do not depend on it", true},
      {"train.recompute", &r.train.recompute,
       "none, selective (norms, MLA up-projections, SwiGLU are made again in the backward) or blocks (everything is): "
       "less "
       "memory, more time, same bits",
       true},
      {"lr.peak", &r.lr.peak, "learning rate after the warm-up"},
      {"lr.final", &r.lr.final, "learning rate after the cosine"},
      {"lr.warmup_share", &r.lr.warmup_share, "share of the tokens with rising rate"},
      {"lr.stable_share", &r.lr.stable_share,
       "share of the tokens at the peak; the cosine takes what is left before the tail"},
      {"lr.tail_from", &r.lr.tail_from, "shares of the tokens at which constant stages begin (V3: two)"},
      {"lr.tail_lr", &r.lr.tail_lr, "their learning rates"},
      {"optimizer.beta1", &r.optimizer.beta1, "AdamW"},
      {"optimizer.beta2", &r.optimizer.beta2, "AdamW"},
      {"optimizer.eps", &r.optimizer.eps, "AdamW"},
      {"optimizer.weight_decay", &r.optimizer.weight_decay, "on tensors of two or more dimensions"},
      {"optimizer.moments", &r.optimizer.moments, "f32 or bf16: type of AdamW's moments; V3: bf16, half the memory"},
      {"optimizer.clip", &r.optimizer.clip, "largest global gradient norm; 0: no clipping"},
      {"optimizer.ema", &r.optimizer.ema, "decay of a moving average of the weights (hadal convert --ema); 0: none"},
      {"guard.z", &r.guard.z,
       "a step is skipped if its loss is so many standard deviations above the last ones; 0: only if it is not finite"},
      {"guard.grad_z", &r.guard.grad_z, "the same for the gradient norm, whose level may drift; 0: not looked at"},
      {"guard.window", &r.guard.window, "applied steps that give mean and deviation; judged from half of them on"},
      {"guard.most_in_row", &r.guard.most_in_row,
       "skipped steps in a row that end the run with a checkpoint; 0: any number", true},
      {"balance.gamma", &r.balance.gamma, "speed of the gate bias (SPEC 2.3)"},
      {"balance.gamma_final", &r.balance.gamma_final, "gamma after gamma_until"},
      {"balance.gamma_until", &r.balance.gamma_until, "share of the tokens"},
      {"balance.alpha", &r.balance.alpha, "weight of the sequence-wise balance loss"},
      {"balance.expert_alpha", &r.balance.expert_alpha,
       "V2's alpha1: the same sum, added to balance.alpha (V2: 0.003)"},
      {"balance.device_alpha", &r.balance.device_alpha, "V2's alpha2: load of the groups of experts (V2: 0.05)"},
      {"balance.communication_alpha", &r.balance.communication_alpha,
       "V2's alpha3: tokens sent to each group of experts (V2: 0.02)"},
      {"mtp.lambda", &r.mtp.lambda, "weight of the MTP loss"},
      {"mtp.lambda_final", &r.mtp.lambda_final, "lambda after lambda_until"},
      {"mtp.lambda_until", &r.mtp.lambda_until, "share of the tokens"},
      {"validation.every", &r.validation.every, "steps between validations; 0: only at the ends"},
      {"validation.rows", &r.validation.rows, "rows that a validation reads, the first ones of data.heldout"},
      {"validation.full", &r.validation.full,
       "the first and the last validation read the whole of data.heldout as well", true},
      {"checkpoint.every", &r.checkpoint.every, "steps between checkpoints; 0: only at the end", true},
      {"checkpoint.keep", &r.checkpoint.keep, "latest checkpoints kept, beside the best", true},
  };
}

namespace {

template <class T>
void append_value(std::string& out, const T& v) {
  if constexpr (std::is_same_v<T, std::string>) {
    out += '"';
    for (const char c : v) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  } else if constexpr (std::is_same_v<T, bool>) {
    out += v ? "true" : "false";
  } else if constexpr (std::is_same_v<T, double>) {
    std::string s = fmt::format("{}", v);
    if (s.find_first_of(".en") == std::string::npos) s += ".0";
    out += s;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    out += fmt::format("{}", v);
  } else {
    out += '[';
    for (std::size_t i = 0; i < v.size(); ++i) {
      if (i > 0) out += ", ";
      append_value(out, v[i]);
    }
    out += ']';
  }
}

std::string value_text(const RecipeKey& key) {
  std::string out;
  std::visit([&](auto* place) { append_value(out, *place); }, key.value);
  return out;
}

[[noreturn]] void wrong_type(const std::string& where, std::string_view name, std::string_view wanted,
                             const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& n) { text << n; });
  fail("{}: key '{}' must be {}, not {}", where, name, wanted, text.str());
}

template <class T>
std::vector<T> read_array(const std::string& where, const RecipeKey& key, const toml::node& node,
                          std::string_view wanted) {
  std::vector<T> values;
  const toml::array* array = node.as_array();
  if (array == nullptr) wrong_type(where, key.name, wanted, node);
  for (const auto& item : *array) {
    const auto v = item.value<T>();
    if (!v || item.is_boolean()) wrong_type(where, key.name, wanted, node);
    values.push_back(*v);
  }
  return values;
}

std::string_view kind_of(const RecipeKey& key) {
  constexpr std::string_view kinds[] = {"a number",
                                        "an integer",
                                        "true or false",
                                        "a string in quotes",
                                        "a list of strings, as [\"a\", \"b\"]",
                                        "a list of numbers, as [1, 0.5]"};
  return kinds[key.value.index()];
}

void set(const std::string& where, const RecipeKey& key, const toml::node& node) {
  const std::string_view kind = kind_of(key);
  const auto want = [&](bool ok) {
    if (!ok) wrong_type(where, key.name, kind, node);
  };
  std::visit(
      [&](auto* place) {
        using T = std::remove_pointer_t<decltype(place)>;
        if constexpr (std::is_same_v<T, double>) {
          want(node.is_number());
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          want(node.is_integer());
        } else if constexpr (std::is_same_v<T, bool>) {
          want(node.is_boolean());
        } else if constexpr (std::is_same_v<T, std::string>) {
          want(node.is_string());
        } else {
          *place = read_array<typename T::value_type>(where, key, node, kind);
        }
        if constexpr (!std::is_same_v<T, std::vector<std::string>> && !std::is_same_v<T, std::vector<double>>) {
          *place = *node.value<T>();
        }
      },
      key.value);
}

const RecipeKey* find(const std::vector<RecipeKey>& all, std::string_view name) {
  for (const RecipeKey& k : all) {
    if (k.name == name) return &k;
  }
  return nullptr;
}

// The known key that shares the most letters, for the error message.
std::string nearest(const std::vector<RecipeKey>& all, std::string_view name) {
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 0; i < a.size(); ++i) {
      std::size_t diagonal = row[0]++;
      for (std::size_t j = 0; j < b.size(); ++j) {
        const std::size_t next = std::min({row[j + 1] + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
        diagonal = std::exchange(row[j + 1], next);
      }
    }
    return row.back();
  };
  const RecipeKey* best = &all.front();
  for (const RecipeKey& k : all) {
    if (distance(k.name, name) < distance(best->name, name)) best = &k;
  }
  return std::string(best->name);
}

void apply(const std::string& where, const std::vector<RecipeKey>& all, const toml::table& table,
           const std::string& prefix) {
  for (const auto& [k, node] : table) {
    const std::string name = prefix + std::string(k.str());
    if (const toml::table* section = node.as_table(); section != nullptr && prefix.empty()) {
      apply(where, all, *section, name + ".");
      continue;
    }
    const RecipeKey* key = find(all, name);
    if (key == nullptr) {
      const auto line = node.source().begin.line;
      fail("{}{}: unknown key '{}'; did you mean '{}'?", where, line > 0 ? fmt::format(":{}", line) : "", name,
           nearest(all, name));
    }
    set(where, *key, node);
  }
}

void apply_override(const std::vector<RecipeKey>& all, const std::string& text) {
  const std::string where = "--set " + text;
  const auto equals = text.find('=');
  if (equals == std::string::npos) fail("{}: must be section.key=value", where);
  const std::string name = text.substr(0, equals), value = text.substr(equals + 1);
  const RecipeKey* key = find(all, name);
  if (key == nullptr) fail("{}: unknown key '{}'; did you mean '{}'?", where, name, nearest(all, name));
  // A string need not be quoted on the command line.
  const bool bare = std::holds_alternative<std::string*>(key->value) && (value.empty() || value.front() != '"');
  try {
    const toml::table parsed = bare ? toml::table{{"v", value}} : toml::parse("v = " + value);
    if (parsed.size() != 1) fail("{}: must be one value", where);
    set(where, *key, *parsed.get("v"));
  } catch (const toml::parse_error& e) {
    fail("{}: key '{}' must be {}: {}", where, name, kind_of(*key), e.description());
  }
}

bool finite(const RecipeKey& key) {
  if (const auto* one = std::get_if<double*>(&key.value)) return std::isfinite(**one);
  const auto* list = std::get_if<std::vector<double>*>(&key.value);
  return list == nullptr || std::all_of((*list)->begin(), (*list)->end(), [](double v) { return std::isfinite(v); });
}

// want(ok, key, rule): what has no sense, or more than any machine holds.
template <class Want>
void check_amounts(Recipe& r, const Want& want) {
  constexpr std::int64_t kStepTokens = 1 << 27;  // V3's batch has 2^26
  for (const RecipeKey& key : keys(r)) want(finite(key), key.name, "finite");
  const auto share = [&](double v, std::string_view key) { want(v >= 0 && v <= 1, key, "from 0 to 1"); };
  const auto amounts = [&](const std::vector<double>& list, std::string_view key) {
    for (const double v : list) want(v >= 0, key, "0 or more, each");
  };
  want(r.model.vocab_size >= 0 && r.model.vocab_size <= 1 << 24, "model.vocab_size", "from 0 to 16777216");
  want(r.model.init_std >= 0, "model.init_std", "0 or more");
  want(r.model.embedding_std >= 0, "model.embedding_std", "0 or more");
  want(r.train.rows <= kStepTokens / r.data.sequence_length, "train.rows",
       "so few that rows x data.sequence_length is at most 134217728");
  amounts(r.lr.tail_lr, "lr.tail_lr");
  for (const double v : r.lr.tail_from) share(v, "lr.tail_from");
  want(std::is_sorted(r.lr.tail_from.begin(), r.lr.tail_from.end()), "lr.tail_from", "in rising order");
  want(r.optimizer.weight_decay >= 0, "optimizer.weight_decay", "0 or more");
  want(r.balance.gamma_final >= 0, "balance.gamma_final", "0 or more");
  share(r.balance.gamma_until, "balance.gamma_until");
  want(r.mtp.lambda_final >= 0, "mtp.lambda_final", "0 or more");
  share(r.mtp.lambda_until, "mtp.lambda_until");
  amounts(r.data.weights, "data.weights");
  want(r.data.weights.empty() || *std::max_element(r.data.weights.begin(), r.data.weights.end()) > 0, "data.weights",
       "above 0 somewhere");
  amounts(r.data.epochs, "data.epochs");
}

void check_ranges(Recipe& r, const std::string& where) {
  const auto want = [&](bool ok, std::string_view key, std::string_view rule) {
    if (ok) return;
    fail("{}: key '{}' = {}: must be {}", where, key, value_text(*find(keys(r), key)), rule);
  };
  want(r.model.dtype == "f32" || r.model.dtype == "bf16" || r.model.dtype == "fp8", "model.dtype",
       "\"f32\", \"bf16\" or \"fp8\"");
  want(r.data.sequence_length >= 2, "data.sequence_length", "2 or more");
  want(r.train.rows >= 1, "train.rows", "1 or more");
  want(r.train.micro_rows >= 0 && (r.train.micro_rows == 0 || r.train.rows % r.train.micro_rows == 0),
       "train.micro_rows", "0 or a divisor of train.rows");
  want(r.data.fim_rate >= 0 && r.data.fim_rate <= 1, "data.fim_rate", "from 0 to 1");
  want(r.data.split_rate >= 0 && r.data.split_rate <= 1, "data.split_rate", "from 0 to 1");
  const std::int64_t multiple = rows_multiple(r);
  want(r.train.rows_multiple >= 0 && (r.train.micro_rows == 0 || multiple % r.train.micro_rows == 0) &&
           r.train.rows % multiple == 0,
       "train.rows_multiple", "0 or a multiple of train.micro_rows that divides train.rows");
  want(r.train.rows_start >= 0 && r.train.rows_start <= r.train.rows && r.train.rows_start % multiple == 0,
       "train.rows_start", fmt::format("0 or a multiple of {} up to train.rows", multiple));
  want(r.train.ramp_share >= 0 && r.train.ramp_share <= 1, "train.ramp_share", "from 0 to 1");
  want(r.train.tokens >= 0, "train.tokens", "0 or more");
  want(r.train.threads >= 0 && r.train.threads <= 1024, "train.threads", "from 0 to 1024");
  want(r.train.recompute == "none" || r.train.recompute == "selective" || r.train.recompute == "blocks",
       "train.recompute", "\"none\", \"selective\" or \"blocks\"");
  want(r.lr.peak >= 0, "lr.peak", "0 or more");
  want(r.lr.final >= 0, "lr.final", "0 or more");
  want(r.lr.warmup_share >= 0 && r.lr.warmup_share <= 1, "lr.warmup_share", "from 0 to 1");
  want(r.lr.stable_share >= 0 && r.lr.warmup_share + r.lr.stable_share <= 1, "lr.stable_share",
       "from 0 to 1 - lr.warmup_share");
  want(r.lr.tail_from.size() == r.lr.tail_lr.size(), "lr.tail_lr", "as long as lr.tail_from");
  want(r.optimizer.beta1 >= 0 && r.optimizer.beta1 < 1, "optimizer.beta1", "in [0, 1)");
  want(r.optimizer.beta2 >= 0 && r.optimizer.beta2 < 1, "optimizer.beta2", "in [0, 1)");
  want(r.optimizer.eps > 0, "optimizer.eps", "above 0");
  want(r.optimizer.moments == "f32" || r.optimizer.moments == "bf16", "optimizer.moments", "\"f32\" or \"bf16\"");
  want(r.optimizer.clip >= 0, "optimizer.clip", "0 or more");
  want(r.optimizer.ema >= 0 && r.optimizer.ema < 1, "optimizer.ema", "in [0, 1)");
  want(r.guard.z >= 0, "guard.z", "0 or more");
  want(r.guard.grad_z >= 0, "guard.grad_z", "0 or more");
  want(r.guard.window >= 2, "guard.window", "2 or more");
  want(r.guard.most_in_row >= 0, "guard.most_in_row", "0 or more");
  want(r.balance.gamma >= 0, "balance.gamma", "0 or more");
  want(r.balance.alpha >= 0, "balance.alpha", "0 or more");
  want(r.balance.expert_alpha >= 0, "balance.expert_alpha", "0 or more");
  want(r.balance.device_alpha >= 0, "balance.device_alpha", "0 or more");
  want(r.balance.communication_alpha >= 0, "balance.communication_alpha", "0 or more");
  want(r.mtp.lambda >= 0, "mtp.lambda", "0 or more");
  want(r.validation.every >= 0, "validation.every", "0 or more");
  want(r.validation.rows >= 1, "validation.rows", "1 or more");
  want(r.checkpoint.every >= 0, "checkpoint.every", "0 or more");
  want(r.checkpoint.keep >= 1, "checkpoint.keep", "1 or more");
  check_amounts(r, want);
  want(r.data.weights.empty() || r.data.weights.size() == r.data.train.size(), "data.weights",
       "one number for each folder of data.train");
  want(r.data.epochs.empty() || r.data.epochs.size() == r.data.train.size(), "data.epochs",
       "one number for each folder of data.train");
}

}  // namespace

Recipe parse_recipe(std::string_view text, const std::string& what, const std::vector<std::string>& overrides) {
  Recipe recipe;
  const std::vector<RecipeKey> all = keys(recipe);
  try {
    apply(what, all, toml::parse(text, what), "");
  } catch (const toml::parse_error& e) {
    fail("{}:{}: not valid TOML: {}", what, e.source().begin.line, e.description());
  }
  for (const std::string& one : overrides) apply_override(all, one);
  check_ranges(recipe, what);
  return recipe;
}

Recipe load_recipe(const std::filesystem::path& path, const std::vector<std::string>& overrides) {
  return path.empty() ? parse_recipe("", "recipe", overrides) : parse_recipe(read_file(path), path.string(), overrides);
}

std::string to_toml(const Recipe& recipe) {
  Recipe copy = recipe;
  std::string out, section;
  for (const RecipeKey& key : keys(copy)) {
    const auto dot = key.name.find('.');
    if (const std::string s(key.name.substr(0, dot)); s != section) {
      out += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", s);
      section = s;
    }
    out += fmt::format("{} = {}  # {}\n", key.name.substr(dot + 1), value_text(key), key.help);
  }
  return out;
}

std::vector<std::string> differences(const Recipe& before, const Recipe& after) {
  Recipe a = before, b = after;
  const std::vector<RecipeKey> ka = keys(a), kb = keys(b);
  std::vector<std::string> result;
  for (std::size_t i = 0; i < ka.size(); ++i) {
    if (ka[i].may_change || value_text(ka[i]) == value_text(kb[i])) continue;
    result.push_back(fmt::format("{}: {} -> {}", ka[i].name, value_text(ka[i]), value_text(kb[i])));
  }
  return result;
}

}  // namespace hadal::train
