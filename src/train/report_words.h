// The words of reports and live views, explained where they are shown; docs/training.md says more.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace hadal::train {

std::vector<std::pair<std::string, std::string>> report_words();
// Of one word, as report_words() has it.
std::string meaning_of(const std::string& word);

}  // namespace hadal::train
