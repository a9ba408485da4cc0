#include "base/wrap.h"

#include <algorithm>

#include "base/report/text_plot.h"

namespace hadal {

std::string wrapped(std::string_view text, std::size_t width, std::size_t used, std::size_t indent) {
  std::string out;
  bool fresh = true;  // nothing stands on the line yet
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string word(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t letters = report::shown_width(word);
    if (!fresh && used + 1 + letters > width) {
      out += "\n" + std::string(indent, ' ');
      used = indent;
      fresh = true;
    }
    out += (fresh ? "" : " ") + word;
    used += letters + (fresh ? 0 : 1);
    fresh = false;
  }
  return out;
}

}  // namespace hadal
