#include "data/mixed_text.h"

#include <fmt/format.h>

#include <string_view>

#include "base/rng.h"
#include "data/generate.h"
#include "text/unicode.h"

namespace hadal::data {

namespace {

constexpr std::uint64_t kWordsStream = 21, kDocumentStream = 22;
constexpr std::size_t kDocumentBytes = 4000;

constexpr std::string_view kOnsets[] = {"b", "c", "d", "f", "g", "h", "l", "m",  "n",  "p",  "r",
                                        "s", "t", "v", "w", "y", "k", "",  "th", "st", "ch", "br"};
constexpr std::string_view kVowels[] = {"a", "e", "i", "o", "u", "ea", "ou", "ai", "ee"};
constexpr std::string_view kCodas[] = {"", "", "n", "r", "s", "t", "l", "ng", "nd", "st", "m", "p"};
constexpr std::string_view kEndings[] = {"", "", "ed", "ing", "ly", "tion", "er", "s", "ness", "able"};
constexpr std::string_view kEmoji[] = {
    "😀", "👍🏽", "👩‍👩‍👧", "🇨🇭", "❤️", "→", "∑", "≤", "€", "½", "№", "…", "“", "”", "—"};
constexpr std::string_view kCodeLines[] = {
    "  if ({0} == {1}) return {0}->{2}({1}, {3});\n", "  // {0} of the {1}, see {2}\n",
    "  const auto {0} = std::max({1}[{3}], {2});\n",  "def {0}(self, {1}, {2}=None):\n\treturn self.{1}[{3}:]\n",
    "<a href=\"/{0}/{1}?id={3}\">{2}</a>\n",          "    \"{0}\": {{\"{1}\": {3}, \"{2}\": []}},\n",
    "SELECT {0}, {1} FROM {2} WHERE {0} >= {3};\n"};

template <std::size_t N>
std::string_view pick(Rng& random, const std::string_view (&list)[N]) {
  return list[random.below(N)];
}

// Below n, and about as words are: of 30,000 the first hundred are half of all (Zipf's law without a logarithm, which
// is not the same everywhere).
std::size_t skewed(Rng& random, std::size_t n) {
  const double u = random.uniform(), u2 = u * u, u4 = u2 * u2;
  return static_cast<std::size_t>(u4 * u4 * static_cast<double>(n)) % n;
}

using Words = std::vector<std::string>;

Words latin_words(std::uint64_t seed) {
  Rng random(seed, kWordsStream, 0);
  Words words;
  for (std::size_t i = 0; i < 30000; ++i) {
    std::string word;
    for (std::size_t s = 0, n = 1 + (i > 60) + random.below(1 + (i > 500) + (i > 5000)); s < n; ++s) {
      word += pick(random, kOnsets);
      word += pick(random, kVowels);
      word += pick(random, kCodas);
    }
    if (i > 500) word += pick(random, kEndings);
    words.push_back(std::move(word));
  }
  return words;
}

struct Script {
  char32_t first, last;
  std::size_t words, least, most;  // letters of a word
  std::string_view between;        // words
};

// Greek, Cyrillic, Arabic, Devanagari, Thai, accented Latin, Hangul.
constexpr Script kScripts[] = {{0x3B1, 0x3C9, 3000, 2, 9, " "},  {0x430, 0x44F, 6000, 2, 10, " "},
                               {0x627, 0x64A, 3000, 2, 7, " "},  {0x915, 0x94D, 3000, 2, 8, " "},
                               {0xE01, 0xE3A, 3000, 2, 12, ""},  {0xE0, 0x17E, 2000, 2, 8, " "},
                               {0xAC00, 0xD7A3, 3000, 1, 4, " "}};
// Han, Hiragana, Katakana.
constexpr Script kCjk[] = {
    {0x4E00, 0x9FA5, 12000, 1, 4, ""}, {0x3042, 0x3093, 2000, 1, 4, ""}, {0x30A2, 0x30F3, 2000, 2, 6, ""}};

Words script_words(std::uint64_t seed, std::uint64_t number, const Script& script) {
  Rng random(seed, kWordsStream, number);
  Words words;
  for (std::size_t i = 0; i < script.words; ++i) {
    std::string word;
    for (std::size_t c = 0, n = script.least + random.below(script.most - script.least + 1); c < n; ++c)
      text::append_utf8(word, script.first + static_cast<char32_t>(random.below(script.last - script.first + 1)));
    words.push_back(std::move(word));
  }
  return words;
}

class MixedText {
 public:
  explicit MixedText(std::uint64_t seed) : seed_(seed), latin_(latin_words(seed)) {
    std::uint64_t number = 1;
    for (const Script& s : kScripts) scripts_.push_back(script_words(seed, number++, s));
    for (const Script& s : kCjk) cjk_.push_back(script_words(seed, number++, s));
  }

  std::string document(std::uint64_t number) const {
    Rng random(seed_, kDocumentStream, number);
    std::string text;
    while (text.size() < kDocumentBytes) {
      switch (number % 5) {
        case 0:
          text += prose(random);
          break;
        case 1:
          text += random.below(4) == 0 ? generated_document("code", random.uint64(), 0, 200) : code(random);
          break;
        case 2:
          text += cjk(random);
          break;
        case 3:
          text += unicode(random);
          break;
        default:
          text += numbers(random);
          break;
      }
    }
    return text;
  }

 private:
  static const std::string& word(Rng& random, const Words& words) { return words[skewed(random, words.size())]; }

  std::string prose(Rng& random) const {
    std::string line;
    for (std::size_t i = 0, n = 5 + random.below(25); i < n; ++i) {
      std::string w = word(random, latin_);
      if ((i == 0 || random.below(20) == 0) && !w.empty()) w[0] = static_cast<char>(w[0] & ~0x20);
      line += (i == 0 ? "" : " ") + w;
      if (random.below(12) == 0) line += random.below(3) == 0 ? ";" : ",";
      if (random.below(40) == 0) line += "'s";
    }
    constexpr std::string_view kEnds[] = {". ", ".\n", "? ", "!\n", ".\n\n", ".\" "};
    return line.append(pick(random, kEnds));
  }

  std::string code(Rng& random) const {
    const auto name = [&] {
      std::string n = word(random, latin_);
      if (random.below(2) == 0) return n + "_" + word(random, latin_);
      std::string second = word(random, latin_);
      if (!second.empty()) second[0] = static_cast<char>(second[0] & ~0x20);
      return n + second;
    };
    return fmt::format(fmt::runtime(pick(random, kCodeLines)), name(), name(), name(), random.below(1000));
  }

  std::string cjk(Rng& random) const {
    constexpr std::string_view kEnds[] = {"。", "，", "、", "。\n", "！", "？\n", "「", "」", "（", "）"};
    std::string line;
    const std::uint64_t kind = random.below(4);
    for (std::size_t i = 0, n = 3 + random.below(12); i < n; ++i) {
      line += word(random, cjk_[kind < 2 ? 0 : random.below(3)]);
      if (random.below(15) == 0) line += word(random, latin_);
      if (random.below(20) == 0) line += std::to_string(random.below(3000));
    }
    return line.append(pick(random, kEnds));
  }

  std::string unicode(Rng& random) const {
    const std::size_t script = random.below(std::size(kScripts));
    std::string line;
    for (std::size_t i = 0, n = 3 + random.below(15); i < n; ++i) {
      line += word(random, scripts_[script]);
      if (random.below(10) == 0) line += pick(random, kEmoji);
      line += kScripts[script].between;
    }
    return line + (random.below(3) == 0 ? ".\r\n" : random.below(2) == 0 ? "\n" : ", ");
  }

  std::string numbers(Rng& random) const {
    const std::uint64_t a = random.below(100000), b = random.below(1000000000);
    switch (random.below(5)) {
      case 0:
        return fmt::format("{}-{:02}-{:02} {:02}:{:02}:{:02}.{:03}\t{}\n", 1900 + a % 200, 1 + a % 12, 1 + b % 28,
                           b % 24, a % 60, b % 60, b % 1000, b);
      case 1:
        return fmt::format("{} {} = {:.{}f}%\n", word(random, latin_), a, static_cast<double>(b) / 1e7, a % 5);
      case 2:
        return fmt::format("| {:>8} | {:>12} | 0x{:08x} |\n", a, b, b);
      case 3:
        return fmt::format("{:e}, -{}, +{}, ", static_cast<double>(b) * 1e-20, a, b % 77);
      default:
        return generated_document("numbers", b, a, 40);
    }
  }

  std::uint64_t seed_;
  Words latin_;
  std::vector<Words> scripts_, cjk_;
};

}  // namespace

std::vector<std::string> mixed_text(std::uint64_t seed, std::size_t bytes) {
  const MixedText source(seed);
  std::vector<std::string> documents;
  for (std::size_t size = 0; size < bytes; size += documents.back().size())
    documents.push_back(source.document(documents.size()));
  return documents;
}

}  // namespace hadal::data
