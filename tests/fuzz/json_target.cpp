// Files of JSON. The first line says which: config (a model's config.json), index (model.safetensors.index.json beside
// a shard), any (any JSON: read, written and read again).
#include "base/json.h"

#include "base/error.h"
#include "fuzz/targets.h"
#include "io/hf_dir.h"
#include "model/config.h"

namespace hadal::fuzz {

namespace {

void config(std::string_view text) {
  const auto path = write("model/config.json", text);
  expect_error_names("config.json", [&] {
    const model::Config c = model::load_config(path);
#ifdef HADAL_PLANTED_BUG
    const std::vector<char> stops(static_cast<std::size_t>(c.vocab_size));
    for (const std::int64_t id : c.eos_token_ids) require(stops.data()[id] == 0, "a token that is set");  // believed
#endif
    const auto again = write("again/config.json", model::config_json(c, DType::bf16));
    require(model::load_config(again) == c, "the config that is written is another");
  });
}

void index(std::string_view text) {
  static const bool shard = [] {
    write(
        "index/s.safetensors",
        with_data(
            R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}})"));
    return true;
  }();
  require(shard, "the shard");
  write("index/model.safetensors.index.json", text);
  expect_error_names("index", [&] {
    const io::HfDir dir(folder() / "index");
    for (const std::string& name : dir.names()) require(dir.tensor(name).numel() <= 2, "a tensor from elsewhere");
  });
}

void any(std::string_view text) {
  hadal::json document;
  if (!expect_error_names("any.json", [&] { document = parse_json(text, "any.json"); })) return;
  const std::string written = document.dump();
  require(parse_json(written, "again.json").dump() == written, "what is written reads as another document");
  const JsonField field(document, "any.json");
  expect_error_names("any.json", [&] {
    for (const auto& [name, value] : field.members()) value.numbers();
  });
}

}  // namespace

void json(std::string_view input) {
  const std::string_view kind = first_line(input);
  if (kind == "config") return config(input);
  if (kind == "index") return index(input);
  any(input);
}

}  // namespace hadal::fuzz
