// A conversation as tokens: V3's turns (SPEC §5.3) where the model knows them, else plain lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::cli {

class ChatTurns {
 public:
  // Looks at the tokenizer and, of a training checkpoint, at what its training has seen.
  ChatTurns(const text::Tokenizer& tokenizer, const std::filesystem::path& model_dir, std::string system);

  // What is fed for a line: before the first one BOS and the system text, before any other the end of the last answer.
  // What is typed is text, whatever it spells.
  std::vector<std::int32_t> question(const std::string& text, bool first) const;

  // One sentence about a model that does not know what a chat is; empty if there is nothing to say.
  const std::string& note() const { return note_; }

 private:
  void append_text(std::vector<std::int32_t>& ids, const std::string& text) const;

  text::Tokenizer tokenizer_;
  std::string system_, note_;
  std::vector<std::int32_t> user_, assistant_;  // one token each, or none: plain lines
};

}  // namespace hadal::cli
