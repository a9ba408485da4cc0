// Generation of one text: log-probs equal training's, limits and stops, forgetting, and pieces of text that are safe to
// show.
#include "engine/generate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "ops/lm_loss.h"
#include "support/random_model.h"

namespace hadal::engine {
namespace {

using Tokens = std::vector<std::int32_t>;

struct SmallModel {
  test::Random random{41};
  ThreadPool pool{2};
  kernels::Context cx{pool, kernels::default_isa()};
  model::CausalLm model;
  explicit SmallModel(DType act = DType::f32) : model(test::small_v3(random), act) { test::randomise(model, random); }
  Generated generate(const GenerateSettings& s, const Tokens& prompt) const {
    Generator g(cx, model, s);
    g.feed(prompt);
    return g.generate([](std::int32_t) { return true; });
  }
};

GenerateSettings greedy(std::int64_t max_tokens) {
  GenerateSettings s;
  s.sampling.temperature = 0;
  s.max_tokens = max_tokens;
  return s;
}

const Tokens kPrompt = {5, 17, 3, 88, 41};

// What the trainer would say of the same text, all tokens at once.
TEST(Generate, LogProbsOfExpandedFormEqualTrainingToTheBit) {
  for (const DType act : {DType::f32, DType::bf16}) {
    const SmallModel s(act);
    GenerateSettings g;
    g.form = nn::MlaForm::expanded;
    g.max_tokens = 90;
    g.sampling.seed = 5;
    const Generated made = s.generate(g, kPrompt);
    ASSERT_EQ(made.tokens.size(), 90U);
    Tokens all = kPrompt, next;
    all.insert(all.end(), made.tokens.begin(), made.tokens.end());
    next.assign(all.begin() + 1, all.end());
    next.push_back(-1);
    const Tensor hidden = s.model.forward(s.cx, model::batch_of_rows({all}), {}).hidden_TD;
    const Tensor trained = ops::log_probs(s.cx, hidden, s.model.head(),
                                          Tensor::of<std::int32_t>(next, {static_cast<std::int64_t>(next.size())}));
    for (std::size_t i = 0; i < made.tokens.size(); ++i)
      ASSERT_EQ(made.logprobs[i], trained.data<float>()[kPrompt.size() - 1 + i]) << i << " " << name_of(act);
  }
}

TEST(Generate, BothFormsWriteTheSameGreedyText) {
  const SmallModel s;
  GenerateSettings g = greedy(60);
  g.form = nn::MlaForm::expanded;
  const Generated expanded = s.generate(g, kPrompt);
  for (const std::int64_t crossover : {0, 3, 128}) {
    g.form = nn::MlaForm::latent;
    g.crossover = crossover;
    const Generated latent = s.generate(g, kPrompt);
    ASSERT_EQ(latent.tokens, expanded.tokens) << crossover;
    for (std::size_t i = 0; i < latent.logprobs.size(); ++i)
      EXPECT_NEAR(latent.logprobs[i], expanded.logprobs[i], 1e-4);
  }
}

TEST(Generate, TheSeedDecides) {
  const SmallModel s;
  GenerateSettings g;
  g.max_tokens = 40;
  g.sampling.seed = 8;
  const Generated first = s.generate(g, kPrompt);
  EXPECT_EQ(s.generate(g, kPrompt).tokens, first.tokens);
  g.sampling.seed = 9;
  EXPECT_NE(s.generate(g, kPrompt).tokens, first.tokens);
}

// A prompt in two parts, or in one: the same text, draws included.
TEST(Generate, HowThePromptWasFedDoesNotMatter) {
  const SmallModel s(DType::bf16);
  GenerateSettings g;
  g.max_tokens = 20;
  g.form = nn::MlaForm::expanded;
  Generator parts(s.cx, s.model, g);
  parts.feed(std::span(kPrompt).first(2));
  parts.feed({});
  parts.feed(std::span(kPrompt).subspan(2));
  EXPECT_EQ(parts.generate([](std::int32_t) { return true; }).tokens, s.generate(g, kPrompt).tokens);
}

TEST(Generate, StopsForTheReasonItNames) {
  const SmallModel s;
  const Tokens text = s.generate(greedy(30), kPrompt).tokens;
  ASSERT_EQ(text.size(), 30U);

  GenerateSettings g = greedy(30);
  g.stop_tokens = {text[4]};
  const std::size_t first = static_cast<std::size_t>(std::find(text.begin(), text.end(), text[4]) - text.begin());
  Generated made = s.generate(g, kPrompt);
  EXPECT_EQ(made.reason, StopReason::stop_token);
  EXPECT_EQ(made.stop_token, text[4]);
  EXPECT_EQ(made.tokens, Tokens(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(first)));
  EXPECT_EQ(made.logprobs.size(), made.tokens.size());

  made = s.generate(greedy(0), kPrompt);
  EXPECT_EQ(made.reason, StopReason::max_tokens);
  EXPECT_TRUE(made.tokens.empty());

  Generator caller(s.cx, s.model, greedy(30));
  caller.feed(kPrompt);
  int seen = 0;
  made = caller.generate([&](std::int32_t) { return ++seen < 3; });
  EXPECT_EQ(made.reason, StopReason::stop_string);
  EXPECT_EQ(made.tokens, Tokens(text.begin(), text.begin() + 3));
  EXPECT_EQ(caller.history().size(), kPrompt.size() + 3) << "what was shown is in the cache";

  g = greedy(200);
  g.context = 64;
  made = s.generate(g, kPrompt);
  EXPECT_EQ(made.reason, StopReason::context);
  EXPECT_EQ(made.tokens.size(), 64 - kPrompt.size() + 1) << "a token after the last position needs none of its own";
}

// At the end of the context, the newest half is read anew from position 0.
TEST(Generate, DropOldestForgetsAndGoesOn) {
  const SmallModel s;
  GenerateSettings g = greedy(100);
  g.context = 64;
  g.overflow = Overflow::drop_oldest;
  const Generated made = s.generate(g, kPrompt);
  EXPECT_EQ(made.reason, StopReason::max_tokens);
  EXPECT_EQ(made.tokens.size(), 100U);
  EXPECT_EQ(made.dropped, 64);  // twice 32
  Tokens all = kPrompt;
  all.insert(all.end(), made.tokens.begin(), made.tokens.end());
  // The cache was full at 64 tokens; 32 of them stayed.
  const Tokens kept(all.begin() + 32, all.begin() + 65);
  EXPECT_EQ(s.generate(greedy(20), kept).tokens, Tokens(all.begin() + 65, all.begin() + 85));
}

TEST(Generate, PromptsThatDoNotFit) {
  const SmallModel s;
  test::Random random(3);
  const Tokens prompt = test::random_tokens(random, 100, 97);
  GenerateSettings g = greedy(5);
  g.context = 64;
  EXPECT_THROW(s.generate(g, prompt), Error);
  g.overflow = Overflow::drop_oldest;
  EXPECT_EQ(s.generate(g, prompt).tokens, s.generate(greedy(5), Tokens(prompt.end() - 32, prompt.end())).tokens);
  g.overflow = Overflow::stop;
  Generator conversation(s.cx, s.model, g);
  conversation.feed(std::span(prompt).first(60));
  EXPECT_THROW(conversation.feed(std::span(prompt).first(10)), Error);
  g.context = s.model.config().max_position_embeddings + 1;
  EXPECT_THROW(Generator(s.cx, s.model, g), Error);
  EXPECT_THROW(Generator(s.cx, s.model, greedy(-1)), Error);
  Generator empty(s.cx, s.model, greedy(1));
  EXPECT_THROW(empty.generate([](std::int32_t) { return true; }), Error);
}

// What is forgotten of what was fed counts as well.
TEST(Generate, WhatIsForgottenOfAPromptIsCounted) {
  const SmallModel s;
  test::Random random(3);
  const Tokens prompt = test::random_tokens(random, 100, 97);
  GenerateSettings g = greedy(1);
  g.context = 64;
  g.overflow = Overflow::drop_oldest;
  Generator one(s.cx, s.model, g);
  EXPECT_EQ(one.feed(prompt), 68);
  EXPECT_EQ(one.generate([](std::int32_t) { return true; }).dropped, 68);
  EXPECT_EQ(one.generate([](std::int32_t) { return true; }).dropped, 0) << "counted once";
  one.again(5);
  EXPECT_EQ(one.generate([](std::int32_t) { return true; }).dropped, 68) << "of another answer to the same text, too";
  // A long text after a conversation: all of that is gone, too.
  Generator two(s.cx, s.model, g);
  EXPECT_EQ(two.feed(std::span(prompt).first(10)), 0);
  EXPECT_EQ(two.feed(prompt), 10 + 68);
  EXPECT_EQ(two.history(), Tokens(prompt.end() - 32, prompt.end()));
  // A text that fits only without the older half.
  EXPECT_EQ(two.feed(std::span(prompt).first(40)), 8) << "24 of 32 stay";
  EXPECT_EQ(two.history().size(), 64U);
  for (const std::int64_t context : {1, 2, 3}) {
    g.context = context;
    g.max_tokens = 7;
    Generator tiny(s.cx, s.model, g);
    const std::int64_t kept = std::max<std::int64_t>(1, context / 2);
    EXPECT_EQ(tiny.feed(prompt), 100 - kept);
    EXPECT_EQ(tiny.generate([](std::int32_t) { return true; }).tokens.size(), 7U) << context;
  }
}

// Two reasons at one token: a stop string first, then max_tokens, then the end of the context.
TEST(Generate, OfTwoReasonsTheOneThatWasAskedFor) {
  const SmallModel s;
  for (const std::int64_t max_tokens : {3, 30}) {
    GenerateSettings g = greedy(max_tokens);
    g.context = static_cast<std::int64_t>(kPrompt.size()) + 2;  // the third token has no place any more
    for (const bool stop : {false, true}) {
      Generator generator(s.cx, s.model, g);
      generator.feed(kPrompt);
      int seen = 0;
      const Generated made = generator.generate([&](std::int32_t) { return ++seen < 3 || !stop; });
      EXPECT_EQ(made.tokens.size(), 3U);
      EXPECT_EQ(made.reason, stop              ? StopReason::stop_string
                             : max_tokens == 3 ? StopReason::max_tokens
                                               : StopReason::context);
    }
  }
}

// Another answer to the same text is the one that a new conversation gives, also after the text was partly forgotten.
TEST(Generate, AgainIsAFreshConversation) {
  const SmallModel s(DType::bf16);
  GenerateSettings g;
  g.max_tokens = 150;
  g.overflow = Overflow::drop_oldest;
  for (const std::int64_t context : {64, 300}) {
    g.context = context;
    Generator generator(s.cx, s.model, g);
    generator.feed(kPrompt);
    generator.generate([](std::int32_t) { return true; });
    for (const std::uint64_t seed : {7, 8}) {
      generator.again(seed);
      GenerateSettings fresh = g;
      fresh.sampling.seed = seed;
      const Generated again = generator.generate([](std::int32_t) { return true; }), want = s.generate(fresh, kPrompt);
      EXPECT_EQ(again.tokens, want.tokens) << context;
      EXPECT_EQ(again.logprobs, want.logprobs) << context;
      EXPECT_EQ(again.dropped, want.dropped) << context;
    }
    generator.clear();
    EXPECT_TRUE(generator.history().empty());
    generator.feed(kPrompt);
    generator.again(7);
    GenerateSettings fresh = g;
    fresh.sampling.seed = 7;
    EXPECT_EQ(generator.generate([](std::int32_t) { return true; }).tokens, s.generate(fresh, kPrompt).tokens);
  }
}

text::Tokenizer tokenizer() { return text::Tokenizer::load(HADAL_TEST_DATA "/text/tokenizers/tiny_deepseek_v3"); }

bool is_utf8(const std::string& s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    const std::size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC2 ? 2 : 0;
    if (n == 0 || i + n > s.size()) return false;
    for (std::size_t k = 1; k < n; ++k) {
      if ((static_cast<unsigned char>(s[i + k]) & 0xC0) != 0x80) return false;
    }
    i += n;
  }
  return true;
}

struct Shown {
  std::string text;
  std::vector<std::string> pieces;
  bool stopped = false;
};

Shown show(const std::string& text, const std::vector<std::string>& stop) {
  const text::Tokenizer t = tokenizer();
  StopStream stream(t, stop);
  Shown shown;
  for (const std::int32_t id : t.encode(text)) {
    shown.pieces.push_back(stream.push(id));
    shown.text += shown.pieces.back();
  }
  shown.pieces.push_back(stream.finish());
  shown.text += shown.pieces.back();
  shown.stopped = stream.stopped();
  return shown;
}

TEST(StopStream, PiecesAreWholeCharacters) {
  const std::string text = "Grüße, 你好 👩‍👩‍👧 naïve 🙂 — done";
  const Shown s = show(text, {});
  EXPECT_EQ(s.text, text);
  EXPECT_FALSE(s.stopped);
  EXPECT_GT(s.pieces.size(), 20U) << "emoji are several tokens each";
  for (const std::string& piece : s.pieces) EXPECT_TRUE(is_utf8(piece)) << piece;
}

TEST(StopStream, TextEndsBeforeTheFirstStopString) {
  EXPECT_EQ(show("one two three two", {"two"}).text, "one ");
  EXPECT_EQ(show("one two three", {"three", "two"}).text, "one ");
  EXPECT_TRUE(show("one two three", {"ee"}).stopped);
  EXPECT_EQ(show("a 🙂 b", {"🙂"}).text, "a ");
  // What only began like a stop string is shown in the end.
  EXPECT_EQ(show("one tw", {"two"}).text, "one tw");
  EXPECT_EQ(show("aab aaab", {"aaab"}).text, "aab ");
  EXPECT_FALSE(show("one", {""}).stopped) << "an empty stop string stops nothing";
}

TEST(StopStream, NothingOfAStopStringIsShownBeforeItIsKnown) {
  const Shown s = show("User: hi\nUser: bye", {"\nUser:"});
  EXPECT_EQ(s.text, "User: hi");
  for (const std::string& piece : s.pieces) EXPECT_EQ(piece.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace hadal::engine
