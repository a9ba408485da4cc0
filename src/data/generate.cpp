#include "data/generate.h"

#include <array>
#include <cctype>
#include <string_view>

#include "base/rng.h"

namespace hadal::data {

namespace {

constexpr std::string_view kNames[] = {"Anna",  "Bertram", "Clara", "Dorian", "Edith", "Felix",
                                       "Greta", "Hugo",    "Ida",   "Jonas",  "Klara", "Leo"};
constexpr std::string_view kNouns[] = {"house",    "river", "letter", "garden",  "ship",  "lamp",   "window", "road",
                                       "mountain", "book",  "storm",  "harbour", "clock", "bridge", "field",  "door"};
constexpr std::string_view kAdjectives[] = {"old",   "quiet", "bright",  "heavy", "distant", "narrow",
                                            "empty", "warm",  "strange", "green", "broken",  "gentle"};
constexpr std::string_view kVerbs[] = {"found",  "carried",  "watched", "remembered", "crossed", "painted",
                                       "opened", "followed", "lost",    "mended",     "left",    "described"};
constexpr std::string_view kTimes[] = {
    "in the morning", "at noon",          "before the rain",    "after supper",
    "in winter",      "on the third day", "when the bell rang", "at the end of summer"};
constexpr std::string_view kPlaces[] = {"by the sea",    "behind the church", "in the valley",
                                        "near the mill", "under the old oak", "across the square"};

template <std::size_t N>
std::string pick(Rng& random, const std::string_view (&list)[N]) {
  return std::string(list[random.below(N)]);
}

std::string noun_phrase(Rng& random) {
  const std::string noun = pick(random, kNouns);
  return random.below(2) == 0 ? "the " + noun : "the " + pick(random, kAdjectives) + " " + noun;
}

std::string sentence(Rng& random, const std::string& hero, const std::string& other) {
  std::string s;
  switch (random.below(5)) {
    case 0:
      s = hero + " " + pick(random, kVerbs) + " " + noun_phrase(random) + " " + pick(random, kPlaces);
      break;
    case 1:
      s = pick(random, kTimes) + " " + hero + " and " + other + " " + pick(random, kVerbs) + " " + noun_phrase(random);
      break;
    case 2:
      s = noun_phrase(random) + " was " + pick(random, kAdjectives) + ", and " + other + " " + pick(random, kVerbs) +
          " it " + pick(random, kTimes);
      break;
    case 3:
      s = "\"Have you seen " + noun_phrase(random) + "?\" asked " + hero + ". \"No,\" said " + other +
          ", \"not since I " + pick(random, kVerbs) + " it\"";
      break;
    default:
      s = "nobody " + pick(random, kVerbs) + " " + noun_phrase(random) + " " + pick(random, kTimes) + ", not even " +
          hero;
      break;
  }
  s[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(s[0])));
  return s + ". ";
}

}  // namespace

std::string generated_document(std::uint64_t seed, std::uint64_t number, std::size_t bytes) {
  Rng random(seed, 7, number);
  const std::string hero = pick(random, kNames), other = pick(random, kNames);
  std::string text = "The story of " + hero + " and " + other + "\n";
  while (text.size() < bytes) {
    for (std::uint64_t i = 0, n = 2 + random.below(5); i < n; ++i) text += sentence(random, hero, other);
    text.back() = '\n';
  }
  return text;
}

}  // namespace hadal::data
