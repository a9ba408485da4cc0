// hadal chat MODEL: talks with a model, line by line.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/words.h"
#include "cli/chat_turns.h"
#include "cli/failure.h"
#include "cli/generation.h"
#include "cli/json_out.h"
#include "cli/line_reader.h"
#include "cli/signals.h"
#include "cli/verbs.h"

namespace hadal::cli {

namespace {

struct Arguments {
  GenerationOptions generation;
  std::string system;
  bool as_json = false;
};

constexpr const char* kHelp =
    "/clear   forget the conversation and begin a new one\n"
    "/exit    end the chat (also /quit, Ctrl-D)\n"
    "/help    this list\n"
    "Ctrl-C ends an answer. A line that ends in \\ goes on in the next one.\n"
    "A space before / makes it text.\n";

// "/word" and nothing else: a path has more slashes, a sentence spaces.
bool is_command(std::string_view line) {
  return line.size() > 1 && line.front() == '/' &&
         std::all_of(line.begin() + 1, line.end(), [](unsigned char c) { return std::isalpha(c) != 0; });
}

class Chat {
 public:
  explicit Chat(const Arguments& a)
      : as_json_(a.as_json), writer_(a.generation), turns_(writer_.tokenizer(), writer_.folder(), a.system) {
    writer_.tell();
    if (!turns_.note().empty()) note(turns_.note());
    if (writer_.settings().sampling.temperature != 0)
      fmt::print(stderr, "seed: {}\n", writer_.settings().sampling.seed);
    if (reader_.interactive())
      fmt::print(stderr, "/help tells what else may be typed; /exit or Ctrl-D ends the chat\n");
  }

  void run() {
    std::string line;
    while (true) {
      clear_stop_flag();
      const Typed typed = reader_.next(line);
      if (typed == Typed::end) return;
      if (typed == Typed::nothing || line.find_first_not_of(" \t\n") == std::string::npos) continue;
      if (!is_command(line)) {
        answer(line);
      } else if (!obey(line)) {
        return;
      }
    }
  }

 private:
  // False: the chat is at its end.
  bool obey(const std::string& line) {
    if (line == "/exit" || line == "/quit") return false;
    if (line == "/clear") {
      writer_.generator().clear();
      fmt::print(stderr, "the conversation is forgotten\n");
    } else if (line == "/help") {
      fmt::print(stderr, "{}", kHelp);
    } else {
      fmt::print(stderr, "{} is no command; there are /clear, /exit, /help (a space before / makes it text)\n", line);
    }
    return true;
  }

  void answer(const std::string& line) {
    engine::Generator& generator = writer_.generator();
    try {
      generator.feed(turns_.question(line, generator.history().empty()));
    } catch (const Error& e) {
      if (!reader_.interactive()) throw;
      fmt::print(stderr, "{}; /clear begins a new conversation\n", e.what());
      return;
    }
    std::string text;
    const engine::Generated g = writer_.write([&](const std::string& piece) {
      if (!as_json_) print_piece(piece);
      text += piece;
    });
    if (as_json_) {
      print_json({{"question", line},
                  {"answer", text},
                  {"tokens", g.tokens.size()},
                  {"stop", engine::name_of(g.reason)},
                  {"dropped", g.dropped},
                  {"seed", writer_.settings().sampling.seed}});
    } else {
      print_piece("\n");
    }
    if (g.dropped > 0)
      fmt::print(stderr, "({} of the conversation forgotten)\n",
                 plural(static_cast<std::uint64_t>(g.dropped), "token"));
    if (g.reason == engine::StopReason::interrupted) {
      fmt::print(stderr, "(interrupted)\n");
    } else if (g.reason == engine::StopReason::context) {
      fmt::print(stderr,
                 "(the context is full: /clear begins a new conversation; --context, --overflow drop-oldest)\n");
    } else if (g.reason == engine::StopReason::max_tokens && reader_.interactive()) {
      fmt::print(stderr, "(cut after {}: --max-tokens)\n", plural(g.tokens.size(), "token"));
    }
  }

  bool as_json_;
  Writer writer_;
  ChatTurns turns_;
  LineReader reader_;
};

}  // namespace

void add_chat(Command app) {
  auto a = std::make_shared<Arguments>();
  a->generation.eos_ends = true;
  Command verb = app.add_verb("chat", "talk with a model, line by line");
  add_generation_options(verb, a->generation);
  verb.add_option("--system", a->system, "text before the first question");
  add_json(verb, a->as_json, "an object a line for each answer, instead of streaming");
  verb.footer(
      std::string("Answers go to standard output, everything else to standard error. Lines may be piped in.\n\n") +
      kHelp +
      "\nExamples:\n"
      "  hadal chat RUN --temp 0.8\n"
      "  hadal chat MODEL --system \"Answer in one word.\" <questions.txt >answers.txt");
  verb.callback([a] { Chat(*a).run(); });
}

}  // namespace hadal::cli
