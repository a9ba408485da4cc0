#include "base/report/table.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "base/report/text_plot.h"

namespace hadal::report {

namespace {

constexpr std::size_t kGap = 2, kMinColumn = 8;

bool is_neutral(const std::string& cell) { return cell.empty() || cell == "-" || cell == "?"; }

// Digits with what may stand in and around them, a suffix such as k or % at the end.
bool is_bare_number(std::string_view word) {
  if (word.starts_with("±")) word.remove_prefix(std::string_view("±").size());
  if (!word.empty() && (word.front() == '+' || word.front() == '-')) word.remove_prefix(1);
  if (word.empty() || std::isdigit(static_cast<unsigned char>(word.front())) == 0) return false;
  if (word.back() == '%' || word.back() == 'k' || word.back() == 'M' || word.back() == 'G' || word.back() == 'T' ||
      word.back() == 'x')
    word.remove_suffix(1);
  const bool inside = std::all_of(word.begin(), word.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0 ||
           std::string_view(".,:e+-").find(c) != std::string_view::npos;
  });
  return inside && !word.empty() && (std::isdigit(static_cast<unsigned char>(word.back())) != 0 || word.back() == '.');
}

bool is_unit(std::string_view word) {
  constexpr std::string_view kUnits[] = {"%", "±", "x", "s", "ms", "B", "KiB", "MiB", "GiB", "tokens", "tokens/s"};
  return std::find(std::begin(kUnits), std::end(kUnits), word) != std::end(kUnits);
}

}  // namespace

bool is_number(const std::string& cell) {
  std::size_t begin = 0;
  for (bool first = true; begin <= cell.size(); first = false) {
    const std::size_t end = std::min(cell.find(' ', begin), cell.size());
    const std::string_view word = std::string_view(cell).substr(begin, end - begin);
    if (!is_bare_number(word) && (first || !is_unit(word))) return false;
    begin = end + 1;
  }
  return true;
}

std::vector<bool> number_columns(const Table& table) {
  const std::size_t columns = table.empty() ? 0 : table.front().size();
  std::vector<bool> numbers(columns, false);
  for (std::size_t c = 0; c < columns; ++c) {
    bool any = false, all = true;
    for (std::size_t r = 1; r < table.size(); ++r) {
      if (c >= table[r].size() || is_neutral(table[r][c])) continue;
      const bool number = is_number(table[r][c]);
      any = any || number;
      all = all && number;
    }
    numbers[c] = any && all;
  }
  return numbers;
}

std::vector<std::string> text_table(const Table& table, std::size_t width) {
  if (table.empty()) return {};
  const std::vector<bool> numbers = number_columns(table);
  std::vector<std::size_t> widths(numbers.size(), 0);
  for (const auto& row : table) {
    for (std::size_t c = 0; c < std::min(row.size(), widths.size()); ++c)
      widths[c] = std::max(widths[c], shown_width(row[c]));
  }
  const auto all = [&] { return std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1)); };
  while (all() > width) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kMinColumn) break;
    --*widest;
  }
  std::vector<std::string> lines;
  for (const auto& row : table) {
    std::string line;
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const std::string cell = shortened(c < row.size() ? row[c] : "", widths[c]);
      const std::string space(widths[c] - shown_width(cell), ' ');
      line += (c > 0 ? std::string(kGap, ' ') : "") + (numbers[c] ? space + cell : cell + space);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(cut_to_width(line, width));
  }
  return lines;
}

}  // namespace hadal::report
