// libFuzzer calls this with one input after another; HADAL_FUZZ_TARGET is the function of the program it is built into.
#include <cstddef>
#include <cstdint>

#include "fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hadal::fuzz::HADAL_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
