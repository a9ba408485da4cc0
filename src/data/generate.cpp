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

// Each draw is a statement of its own: the order in which an expression draws is the compiler's choice.
std::string sentence(Rng& random, const std::string& hero, const std::string& other) {
  std::string s;
  switch (random.below(5)) {
    case 0: {
      const std::string place = pick(random, kPlaces), noun = noun_phrase(random), verb = pick(random, kVerbs);
      s = hero + " " + verb + " " + noun + " " + place;
      break;
    }
    case 1: {
      const std::string noun = noun_phrase(random), verb = pick(random, kVerbs), time = pick(random, kTimes);
      s = time + " " + hero + " and " + other + " " + verb + " " + noun;
      break;
    }
    case 2: {
      const std::string time = pick(random, kTimes), verb = pick(random, kVerbs), adjective = pick(random, kAdjectives),
                        noun = noun_phrase(random);
      s = noun + " was " + adjective + ", and " + other + " " + verb + " it " + time;
      break;
    }
    case 3: {
      const std::string verb = pick(random, kVerbs), noun = noun_phrase(random);
      s = "\"Have you seen " + noun + "?\" asked " + hero + ". \"No,\" said " + other + ", \"not since I " + verb +
          " it\"";
      break;
    }
    default: {
      const std::string time = pick(random, kTimes), noun = noun_phrase(random), verb = pick(random, kVerbs);
      s = "nobody " + verb + " " + noun + " " + time + ", not even " + hero;
      break;
    }
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
