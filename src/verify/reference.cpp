#include "verify/reference.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace hadal::verify {

std::vector<double> to_doubles(const Tensor& t) {
  std::vector<double> v(static_cast<std::size_t>(t.numel()));
  const auto copy = [&](const auto* p) {
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>(p[i]);
  };
  switch (t.dtype()) {
    case DType::f32:
      copy(t.data<float>());
      break;
    case DType::f64:
      copy(t.data<double>());
      break;
    case DType::i32:
      copy(t.data<std::int32_t>());
      break;
    case DType::i64:
      copy(t.data<std::int64_t>());
      break;
    case DType::bf16:
      for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(t.data<bf16>()[i]);
      break;
    default:
      fail("cannot compare tensors of type {}", name_of(t.dtype()));
  }
  return v;
}

void Reference::wrong(const std::string& name, const std::string& rule) const {
  const io::TensorInfo& info = file_.info(name);
  fail("{}: tensor '{}' is {} {}: must be {}", path(), shown(name), name_of(info.dtype), to_string(info.shape), rule);
}

std::vector<std::string> Reference::names_with(std::string_view prefix) const {
  std::vector<std::string> result;
  for (const std::string& name : file_.names()) {
    if (name.starts_with(prefix)) result.push_back(name);
  }
  return result;
}

std::vector<std::string> Reference::routing_names() const {
  constexpr std::string_view kPrefix = "routing.layer.";
  std::vector<std::pair<std::int64_t, std::string>> found;
  for (const std::string& name : names_with(kPrefix)) {
    std::int64_t layer = -1;
    const char* end = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), layer).ptr;
    if (layer >= 0 && std::string_view(end) == ".experts") found.emplace_back(layer, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [layer, name] : found) names.push_back(std::move(name));
  return names;
}

Shape Reference::sizes(const std::string& name, std::initializer_list<Size> wanted, const std::string& beside) const {
  const Shape& shape = file_.info(name).shape;
  bool fits = shape.size() == wanted.size();
  std::string rule;
  std::size_t i = 0;
  for (const Size& size : wanted) {
    fits = fits && shape[i] >= size.least && shape[i] <= size.most;
    const std::string most =
        size.most == kAnySize ? fmt::format("{} or more", size.least) : fmt::format("{} to {}", size.least, size.most);
    rule += (i++ == 0 ? "" : ", ") + (size.least == size.most ? std::to_string(size.least) : most);
  }
  const std::string other =
      beside.empty() ? "" : fmt::format(" and '{}' {}", beside, to_string(file_.info(beside).shape));
  if (!fits) wrong(name, fmt::format("of sizes [{}] for this model{}", rule, other));
  return shape;
}

std::vector<std::int64_t> Reference::integers(const std::string& name, std::int64_t low, std::int64_t high) const {
  const DType type = file_.info(name).dtype;
  if (type != DType::i32 && type != DType::i64) wrong(name, "I32 or I64");
  const Tensor t = file_.tensor(name);
  std::vector<std::int64_t> v(static_cast<std::size_t>(t.numel()));
  for (std::size_t i = 0; i < v.size(); ++i) {
    v[i] = type == DType::i32 ? t.data<std::int32_t>()[i] : t.data<std::int64_t>()[i];
    if (v[i] >= low && v[i] <= high) continue;
    fail("{}: tensor '{}' holds {}: must be from {} to {}: it must be the reference of this model", path(), shown(name),
         v[i], low, high);
  }
  return v;
}

std::vector<double> Reference::values(const std::string& name) const {
  switch (file_.info(name).dtype) {
    case DType::f32:
    case DType::f64:
    case DType::bf16:
    case DType::i32:
    case DType::i64:
      return to_doubles(file_.tensor(name));
    default:
      wrong(name, "F32, F64, BF16, I32 or I64");
  }
}

double Reference::one_value(const std::string& name) const {
  const std::vector<double> v = values(name);
  if (v.size() != 1 || !std::isfinite(v[0]) || v[0] < 0) wrong(name, "one finite number of 0 or above");
  return v[0];
}

std::size_t moe_layers(const model::Config& config) {
  std::size_t count = 0;
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) count += config.is_moe_layer(i);
  return count + (config.n_routed_experts > 0 ? static_cast<std::size_t>(config.num_nextn_predict_layers) : 0);
}

namespace {

using Rows = Inputs::Rows;

// Ids in rows of `width`.
Rows rows_of(const Reference& file, const std::string& name, std::int64_t width, const model::Config& config) {
  const std::vector<std::int64_t> ids = file.integers(name, 0, config.vocab_size - 1);
  Rows rows;
  for (std::size_t at = 0; at < ids.size(); at += static_cast<std::size_t>(width)) {
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
    rows.emplace_back(begin, begin + width);
  }
  return rows;
}

std::vector<Tensor> read_routing(const Reference& file, const model::Config& c, std::int64_t batch,
                                 std::int64_t length) {
  const std::vector<std::string> names = file.routing_names();
  const std::size_t wanted = moe_layers(c);
  if (names.size() != wanted) {
    fail("{}: {} tensors 'routing.layer.*' for the {} MoE layers of the model: bf16 takes the choice of experts there",
         file.path(), names.size(), wanted);
  }
  const std::size_t trunk = wanted - (wanted == 0 ? 0 : static_cast<std::size_t>(c.num_nextn_predict_layers));
  std::vector<Tensor> all;
  for (std::size_t i = 0; i < wanted; ++i) {
    const std::int64_t tokens = length - (i < trunk ? 0 : static_cast<std::int64_t>(i - trunk) + 1);
    const std::int64_t k = c.num_experts_per_tok;
    file.sizes(names[i], {batch, tokens, k}, "tokens");
    const std::vector<std::int64_t> ids = file.integers(names[i], 0, c.n_routed_experts - 1);
    Tensor t = Tensor::empty({batch * tokens, k}, DType::i32);
    for (std::size_t j = 0; j < ids.size(); ++j) {
      if (j % static_cast<std::size_t>(k) != 0 && ids[j] <= ids[j - 1]) {
        fail("{}: tensor '{}': the experts of a token must rise: {} follows {}", file.path(), names[i], ids[j],
             ids[j - 1]);
      }
      t.data<std::int32_t>()[j] = static_cast<std::int32_t>(ids[j]);
    }
    all.push_back(std::move(t));
  }
  return all;
}

std::vector<std::int32_t> read_documents(const Reference& file, std::int64_t length) {
  file.sizes("packed.document", {length}, "tokens");
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min(),
                         kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::int64_t> document = file.integers("packed.document", kLeast, kMost);
  std::vector<std::int32_t> starts = {0};
  for (std::size_t i = 1; i < document.size(); ++i) {
    if (document[i] != document[i - 1]) starts.push_back(static_cast<std::int32_t>(i));
  }
  return starts;
}

}  // namespace

Inputs::Inputs(const Reference& file, const model::Config& c, bool forced) {
  const std::int64_t vocab = c.vocab_size;
  // Every MTP module has a token to predict.
  const Size width = {2 + c.num_nextn_predict_layers, kAnySize};
  const Shape shape = file.sizes("tokens", {{1, kAnySize}, width});
  const std::int64_t batch = shape[0], length = shape[1] - 1;
  tokens = rows_of(file, "tokens", length + 1, c);
  file.sizes("logits", {batch, length, vocab}, "tokens");
  if (forced) routing = read_routing(file, c, batch, length);
  if (file.has("packed.logits")) documents = read_documents(file, length);
  if (file.has("greedy.continuation")) {
    continuation = file.sizes("greedy.continuation", {1, {1, kAnySize}})[1];
    const std::int64_t size = file.sizes("greedy.prompt", {1, {1, kAnySize}})[1];
    prompt = rows_of(file, "greedy.prompt", size, c)[0];
  }
  if (file.has("long.tokens")) {
    const std::int64_t size = file.sizes("long.tokens", {1, {1, kAnySize}})[1];
    long_tokens = rows_of(file, "long.tokens", size, c);
    long_last = file.sizes("long.last_logits", {1, {1, size}, vocab}, "long.tokens")[1];
  }
  if (file.has("steps.tokens")) {
    const Shape sizes = file.sizes("steps.tokens", {{1, kAnySize}, {1, kAnySize}, width});
    const Rows all = rows_of(file, "steps.tokens", sizes[2], c);
    for (auto row = all.begin(); row != all.end(); row += sizes[1]) steps.emplace_back(row, row + sizes[1]);
  }
}

}  // namespace hadal::verify
