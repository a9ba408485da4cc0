// The names DeepSeek gives its control tokens; the bar is U+FF5C and the low block U+2581, not their ASCII look-alikes.
#pragma once

#include <array>
#include <string_view>

namespace hadal::text {

inline constexpr std::string_view kBosName = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEosName = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kPadName = "<｜▁pad▁｜>";

// Fill-in-the-middle (SPEC §6.1).
inline constexpr std::string_view kFimHoleName = "<｜fim▁hole｜>";
inline constexpr std::string_view kFimBeginName = "<｜fim▁begin｜>";
inline constexpr std::string_view kFimEndName = "<｜fim▁end｜>";

// The turns of a chat without a template of its own (SPEC §5.3).
inline constexpr std::string_view kUserName = "<｜User｜>";
inline constexpr std::string_view kAssistantName = "<｜Assistant｜>";
inline constexpr std::array kTurnNames = {kUserName, kAssistantName};

// What a tokenizer of our own begins with: ids 0, 1, 2.
inline constexpr std::array kFirstSpecialTokens = {kBosName, kEosName, kPadName};

// What it ends with: cut out of any text, but printed like text (special:false), as in the released tokenizers.
inline constexpr std::array<std::string_view, 7> kLastAddedTokens = {
    "<think>", "</think>", kUserName, kAssistantName, kFimHoleName, kFimBeginName, kFimEndName};

}  // namespace hadal::text
