// hadal tokenizer train | encode | decode
#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/failure.h"
#include "cli/tokenizer_train.h"
#include "cli/verbs.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace hadal::cli {

namespace {

using text::Tokenizer;

struct CodeArguments {
  std::string model, input = "-";
  bool as_json = false, special = false, as_text = false;
};

Tokenizer load(const std::string& path) {
  Tokenizer tokenizer = Tokenizer::load(path);
  for (const std::string& warning : tokenizer.warnings()) warn(warning);
  return tokenizer;
}

std::string read_input(const std::string& path) {
  if (path != "-") return read_file(path);
  std::string content;
  char buffer[1 << 16];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, stdin)) content.append(buffer, n);
  if (std::ferror(stdin)) fail("cannot read standard input");
  return content;
}

// line(text, number) for every line that is not empty; numbers start at 1.
void for_each_line(std::string_view content, const std::function<void(std::string_view, std::size_t)>& line) {
  for (std::size_t start = 0, number = 1; start < content.size(); ++number) {
    const std::size_t end = std::min(content.find('\n', start), content.size());
    std::string_view one = content.substr(start, end - start);
    if (one.ends_with('\r')) one.remove_suffix(1);
    if (!one.empty()) line(one, number);
    start = end + 1;
  }
}

// The text of a line of JSON: a string, or an object that holds one under the key text.
std::string text_of(std::string_view line, const std::string& where) {
  const json value = parse_json(line, where);
  const json text = value.is_object() ? value.value("text", json()) : value;
  if (!text.is_string()) fail("{} must be a string, or an object with a string under the key text", where);
  return text.get<std::string>();
}

void encode(const CodeArguments& arguments) {
  const Tokenizer tokenizer = load(arguments.model);
  const std::string input = read_input(arguments.input);
  text::WordCache cache;
  std::vector<std::int32_t> ids;
  const auto encode_one = [&](std::string_view text) {
    if (arguments.as_text) {
      tokenizer.encode_as_text_to(text, cache, ids);
    } else {
      tokenizer.encode_to(text, arguments.special, cache, ids);
    }
  };
  if (!arguments.as_json) {
    encode_one(input);
    fmt::print("{}\n", fmt::join(ids, " "));
    return;
  }
  for_each_line(input, [&](std::string_view line, std::size_t number) {
    ids.clear();
    encode_one(text_of(line, fmt::format("line {}", number)));
    fmt::print("[{}]\n", fmt::join(ids, ","));
  });
}

std::int32_t known_id(const Tokenizer& tokenizer, std::int64_t id, const std::string& where) {
  if (id < 0 || id >= tokenizer.vocab_size())
    fail("{}{} is not an id: the tokenizer has {}", where, id, tokenizer.vocab_size());
  return static_cast<std::int32_t>(id);
}

std::vector<std::int32_t> ids_of(const Tokenizer& tokenizer, std::string_view line, const std::string& where) {
  const json value = parse_json(line, where);
  std::vector<std::int32_t> ids;
  if (!value.is_array()) fail("{} must be an array of ids", where);
  for (const json& id : value) {
    if (!id.is_number_integer()) fail("{}: {} is not an id", where, id.dump());
    ids.push_back(known_id(tokenizer, id.get<std::int64_t>(), where + ": "));
  }
  return ids;
}

void decode(const CodeArguments& arguments) {
  const Tokenizer tokenizer = load(arguments.model);
  const std::string input = read_input(arguments.input);
  if (arguments.as_json) {
    for_each_line(input, [&](std::string_view line, std::size_t number) {
      const std::vector<std::int32_t> ids = ids_of(tokenizer, line, fmt::format("line {}", number));
      fmt::print("{}\n", json(tokenizer.decode(ids, arguments.special)).dump());
    });
    return;
  }
  std::vector<std::int32_t> ids;
  std::string word;
  const auto take = [&] {
    if (word.empty()) return;
    try {
      std::size_t used = 0;
      const std::int64_t id = std::stoll(word, &used);
      if (used != word.size()) throw std::invalid_argument(word);
      ids.push_back(known_id(tokenizer, id, ""));
    } catch (const std::logic_error&) {
      fail("{} is not an id; expected numbers with white space between them", text::lossy_utf8(word));
    }
    word.clear();
  };
  for (const char c : input) {
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      take();
    } else {
      word += c;
    }
  }
  take();
  const std::string bytes = tokenizer.decode_bytes(ids, arguments.special);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

void add_coder(Command verb, const char* name, const char* help, const char* input, const char* json_help,
               const char* special, const char* special_help, void (*run)(const CodeArguments&)) {
  auto arguments = std::make_shared<CodeArguments>();
  Command sub = verb.add_verb(name, help);
  sub.add_option("--model", arguments->model, "model folder or tokenizer.json").required();
  sub.add_option("input", arguments->input, input).shows_default();
  sub.add_flag("--json", arguments->as_json, json_help);
  Option specials = sub.add_flag(special, arguments->special, special_help);
  if (run == &encode) {
    sub.add_flag("--as-text", arguments->as_text,
                 "control tokens spelled in the text are plain text, as in data prepare and chat")
        .not_with(specials);
  }
  sub.callback([arguments, run] { run(*arguments); });
}

}  // namespace

void add_tokenizer(Command app) {
  Command verb = app.add_verb("tokenizer", "train a tokenizer, turn text into ids and back");
  verb.needs_verb();
  add_tokenizer_train(verb);
  add_coder(verb, "encode", "print the ids of a text", "file with the text; - for standard input",
            "each line of the input is a JSON string or an object with a text; prints an array a line", "--special",
            "add what the tokenizer puts around a text (such as BOS)", &encode);
  add_coder(verb, "decode", "print the text of ids", "file with ids between white space; - for standard input",
            "each line of the input is an array of ids; prints a JSON string a line", "--skip-special",
            "leave special tokens out", &decode);
}

}  // namespace hadal::cli
