// Safetensors files: first line "raw" for the whole file as it is, else the input is the header.
#include <cstring>
#include <string>

#include "base/error.h"
#include "fuzz/targets.h"
#include "io/convert.h"
#include "io/safetensors.h"

namespace hadal::fuzz {

namespace {

#ifdef HADAL_PLANTED_BUG
// As verify once counted the rows of a tensor.
std::int64_t planted(const Tensor& t) { return t.shape().size() == 2 ? t.numel() / t.size(1) : 0; }
#endif

}  // namespace

void safetensors(std::string_view input) {
  std::string_view rest = input;
  const bool raw = first_line(rest) == "raw";
  const auto path = write("t.safetensors", raw ? std::string(rest) : with_data(input));
  expect_error_names("t.safetensors", [&] {
    const io::Safetensors file = io::Safetensors::open(path);
    std::size_t bytes = 0;
    for (const std::string& name : file.names()) {
      const Tensor t = file.tensor(name);
      require(t.bytes() == file.info(name).end - file.info(name).begin, "a tensor of another size than its data");
      bytes += t.bytes();
      std::string copy(t.bytes(), '\0');
      if (!copy.empty()) std::memcpy(copy.data(), t.raw(), copy.size());
#ifdef HADAL_PLANTED_BUG
      require(planted(t) >= 0, "rows below 0");
#endif
      try {
        io::converted(t, DType::f32, name);
      } catch (const Error&) {  // a type that is no weight's
      }
    }
    require(bytes <= std::filesystem::file_size(path), "more data than the file has");
  });
}

}  // namespace hadal::fuzz
