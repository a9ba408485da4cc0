#include "text/flow.h"

#include "text/unicode.h"

namespace hadal::text {

std::string Held::shown() const {
  std::string out;
  for (const char c : lossy_utf8(std::string_view(text_).substr(0, 40))) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return out;
}

}  // namespace hadal::text
