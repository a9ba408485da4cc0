#include "base/error.h"

namespace hadal::detail {

void assert_failed(const char* expression, const char* file, int line) {
  throw std::logic_error(fmt::format("bug in hadal: {} does not hold at {}:{}", expression, file, line));
}

}  // namespace hadal::detail
