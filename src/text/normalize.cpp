#include "text/normalize.h"

#include <utf8proc.h>

#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "text/unicode.h"

namespace hadal::text {

namespace {

void append_normalized(std::string& out, std::string_view valid) {
  if (valid.empty()) return;
  utf8proc_uint8_t* result = nullptr;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(valid.data()),
                                             static_cast<utf8proc_ssize_t>(valid.size()), &result, options);
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (size < 0) fail("NFC failed on {} bytes of text: {}", valid.size(), utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(result), static_cast<std::size_t>(size));
}

bool has_active(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (const char* p = text.data(); p < end;) {
    if (static_cast<unsigned char>(*p) < 0xCC) {  // below U+0300 nothing is active
      ++p;
      continue;
    }
    const Decoded c = decode_utf8(p, end);
    if (nfc_active(c.code_point)) return true;
    p += c.size;
  }
  return false;
}

}  // namespace

std::string nfc(std::string_view text) {
  if (!has_active(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  const char* const end = text.data() + text.size();
  const char* start = text.data();
  for (const char* p = start; p < end;) {
    const Decoded c = decode_utf8(p, end);
    if (c.code_point == kInvalid || nfc_unknown(c.code_point)) {
      append_normalized(out, {start, static_cast<std::size_t>(p - start)});
      out.append(p, c.size);
      start = p + c.size;
    }
    p += c.size;
  }
  append_normalized(out, {start, static_cast<std::size_t>(end - start)});
  return out;
}

}  // namespace hadal::text
