// Event files as TensorBoard reads them: TFRecord framing (length, masked CRC-32C of it, payload, masked CRC-32C of
// that) around Event protobufs. Formats: tensorflow/core/lib/io/record_writer.h, core/util/event.proto,
// core/framework/summary.proto.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace hadal::report {

struct Event {
  struct Scalar {
    std::string tag;
    double value;  // stored as float32
  };
  // counts[i] stands for the bucket around i, i - 0.5 to i + 0.5.
  struct Histogram {
    std::string tag;
    std::vector<std::int64_t> counts;
  };
  double wall_time = 0;  // seconds since 1970
  std::int64_t step = 0;
  std::vector<Scalar> scalars;
  std::vector<Histogram> histograms;
};

std::uint32_t crc32c(std::string_view bytes);
std::string encode_event(const Event& event);
std::string encode_record(std::string_view payload);
// Payloads of the whole, undamaged records at the start of `bytes`; `used`: how many bytes they take.
std::vector<std::string_view> decode_records(std::string_view bytes, std::size_t& used);
// Step of an encoded Event; 0 if it has none, as the event that names the file's version.
std::int64_t step_of_event(std::string_view payload);

// An event file, appended record by record. Opening cuts it back to events of steps <= `step`, so that a resumed run
// leaves no step twice (a half-written or damaged end goes, too), and tells a TensorBoard that is watching to forget
// the later steps. Throws Error naming the path.
class EventFile {
 public:
  EventFile(const std::filesystem::path& path, std::int64_t step);
  // As GrowingFile: what cannot be written is kept.
  void append(const Event& event);
  void flush() { file_->flush(); }
  bool put_back();

 private:
  std::filesystem::path path_;
  std::unique_ptr<GrowingFile> file_;
};

}  // namespace hadal::report
