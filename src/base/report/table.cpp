#include "base/report/table.h"

#include <algorithm>
#include <cctype>
#include <numeric>

#include "base/report/text_plot.h"
#include "base/wrap.h"

namespace hadal::report {

namespace {

constexpr std::size_t kGap = 2, kMinColumn = 8;

using Widths = std::vector<std::size_t>;

const std::string& cell(const std::vector<std::string>& row, std::size_t column) {
  static const std::string none;
  return column < row.size() ? row[column] : none;
}

std::size_t sum(const Widths& widths) {
  return std::accumulate(widths.begin(), widths.end(), kGap * (widths.size() - 1));
}

// The cells of a line, each in its column: numbers at the right of it, texts at the left.
std::string aligned(const std::vector<std::string>& cells, const Widths& widths, const std::vector<bool>& numbers) {
  std::string line;
  for (std::size_t c = 0; c < widths.size(); ++c) {
    const std::string space(widths[c] - std::min(widths[c], shown_width(cells[c])), ' ');
    line += (c > 0 ? std::string(kGap, ' ') : "") + (numbers[c] ? space + cells[c] : cells[c] + space);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

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
  Widths widths(numbers.size(), 0);
  for (const auto& row : table) {
    for (std::size_t c = 0; c < std::min(row.size(), widths.size()); ++c)
      widths[c] = std::max(widths[c], shown_width(row[c]));
  }
  while (sum(widths) > width) {
    const auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kMinColumn) break;
    --*widest;
  }
  std::vector<std::string> lines;
  for (const auto& row : table) {
    std::vector<std::string> cells;
    cells.reserve(widths.size());
    for (std::size_t c = 0; c < widths.size(); ++c) cells.push_back(shortened(cell(row, c), widths[c]));
    lines.push_back(cut_to_width(aligned(cells, widths, numbers), width));
  }
  return lines;
}

namespace {

std::size_t longest_word(const std::string& text) {
  std::size_t longest = 0;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    longest = std::max(longest, shown_width(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return longest;
}

// Widths of some of a table's columns, no wider than `width` together if the longest words let them.
Widths fitted(const Table& table, const std::vector<std::size_t>& columns, const std::vector<bool>& numbers,
              std::size_t width) {
  constexpr std::size_t kMinText = 12;  // a column of text is not broken into narrower lines
  Widths now, least;
  for (const std::size_t c : columns) {
    std::size_t whole = 0, words = 0;
    for (const auto& row : table) {
      const std::string& text = cell(row, c);
      const bool number = numbers[c] && &row != &table.front();
      const std::size_t shown = shown_width(text);
      whole = std::max(whole, shown);
      words = std::max(words, number ? shown : longest_word(text));
    }
    now.push_back(whole);
    least.push_back(numbers[c] ? words : std::min(whole, std::max(words, kMinText)));
  }
  // Headers of numbers are broken first, then texts, the last column before the others: the first one names its row.
  const auto shrink = [&](auto&& wanted) {
    while (sum(now) > width) {
      std::size_t widest = now.size();
      for (std::size_t i = 0; i < now.size(); ++i) {
        if (wanted(i) && now[i] > least[i] && (widest == now.size() || now[i] - least[i] > now[widest] - least[widest]))
          widest = i;
      }
      if (widest == now.size()) return;
      --now[widest];
    }
  };
  shrink([&](std::size_t i) { return numbers[columns[i]]; });
  for (std::size_t last = now.size(); last-- > 0;) shrink([&](std::size_t i) { return i == last; });
  return now;
}

std::vector<std::string> lines_of(const std::string& text, std::size_t width) {
  std::vector<std::string> lines;
  const std::string broken = wrapped(text, width);
  for (std::size_t begin = 0; begin <= broken.size();) {
    const std::size_t end = std::min(broken.find('\n', begin), broken.size());
    lines.push_back(broken.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

void add_block(std::vector<std::string>& out, const Table& table, const std::vector<std::size_t>& columns,
               const std::vector<bool>& numbers, std::size_t width) {
  const Widths widths = fitted(table, columns, numbers, width);
  std::vector<bool> numbers_here;
  numbers_here.reserve(columns.size());
  for (const std::size_t c : columns) numbers_here.push_back(numbers[c]);
  for (const auto& row : table) {
    const bool header = &row == &table.front();
    std::vector<std::vector<std::string>> cells;
    std::size_t height = 1;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      cells.push_back(lines_of(cell(row, columns[i]), widths[i]));
      height = std::max(height, cells.back().size());
    }
    for (std::size_t l = 0; l < height; ++l) {
      std::vector<std::string> texts;
      for (const std::vector<std::string>& lines : cells) {
        // A header stands right above its column, a text begins in the first line of its row.
        const std::size_t skipped = header ? height - lines.size() : 0;
        texts.push_back(l < skipped ? "" : cell(lines, l - skipped));
      }
      out.push_back(aligned(texts, widths, numbers_here));
    }
  }
}

}  // namespace

std::vector<std::string> wrapped_table(const Table& table, std::size_t width) {
  if (table.empty() || table.front().empty()) return {};
  const std::vector<bool> numbers = number_columns(table);
  std::vector<std::string> lines;
  for (std::size_t next = 1; next == 1 || next < numbers.size();) {
    std::vector<std::size_t> columns = {0};
    while (next < numbers.size()) {
      columns.push_back(next);
      if (sum(fitted(table, columns, numbers, width)) > width && columns.size() > 2) {
        columns.pop_back();
        break;
      }
      ++next;
    }
    if (!lines.empty()) lines.emplace_back();
    add_block(lines, table, columns, numbers, width);
    if (next == 1) break;  // the first column is the only one
  }
  return lines;
}

}  // namespace hadal::report
