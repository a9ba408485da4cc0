#include "base/report/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/error.h"
#include "base/file.h"

namespace hadal::report {

namespace {

constexpr std::size_t kHeader = 12, kFooter = 4;

// CRC-32C (Castagnoli), reflected polynomial.
constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? c >> 1 ^ 0x82F63B78u : c >> 1;
    table[i] = c;
  }
  return table;
}();

// TFRecord stores CRCs rotated and offset, so that a CRC of bytes that hold CRCs stays a good one.
std::uint32_t masked_crc(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u; }

template <class T>
void put_fixed(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

template <class T>
T get_fixed(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

// Protobuf's wire format: a field is a key (number << 3 | type) and its value.
enum WireType : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void put_varint(std::string& out, std::uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.push_back(static_cast<char>(v | 0x80));
  out.push_back(static_cast<char>(v));
}
void put_key(std::string& out, std::uint32_t field, WireType type) { put_varint(out, field << 3 | type); }
void put_int(std::string& out, std::uint32_t field, std::int64_t v) {
  put_key(out, field, kVarint);
  put_varint(out, static_cast<std::uint64_t>(v));
}
void put_double(std::string& out, std::uint32_t field, double v) {
  put_key(out, field, kFixed64);
  put_fixed(out, v);
}
void put_float(std::string& out, std::uint32_t field, float v) {
  put_key(out, field, kFixed32);
  put_fixed(out, v);
}
void put_bytes(std::string& out, std::uint32_t field, std::string_view bytes) {
  put_key(out, field, kBytes);
  put_varint(out, bytes.size());
  out += bytes;
}

// HistogramProto: min 1, max 2, num 3, sum 4, sum_squares 5, bucket_limit 6 and bucket 7 (packed doubles).
std::string encode_histogram(const std::vector<std::int64_t>& counts) {
  double number = 0, sum = 0, squares = 0;
  std::string limits, buckets, h;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto at = static_cast<double>(i), n = static_cast<double>(counts[i]);
    number += n;
    sum += n * at;
    squares += n * at * at;
    put_fixed(limits, at + 0.5);
    put_fixed(buckets, n);
  }
  put_double(h, 1, -0.5);
  put_double(h, 2, static_cast<double>(counts.size()) - 0.5);
  put_double(h, 3, number);
  put_double(h, 4, sum);
  put_double(h, 5, squares);
  put_bytes(h, 6, limits);
  put_bytes(h, 7, buckets);
  return h;
}

// Event: wall_time 1, step 2, and one of file_version 3, summary 5, session_log 7.
std::string event_head(double wall_time, std::int64_t step) {
  std::string e;
  put_double(e, 1, wall_time);
  put_int(e, 2, step);
  return e;
}

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

bool take_varint(std::string_view& bytes, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; !bytes.empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t c = 0xFFFFFFFF;
  for (const char byte : bytes) c = kCrcTable[(c ^ static_cast<std::uint8_t>(byte)) & 0xFF] ^ c >> 8;
  return ~c;
}

std::string encode_record(std::string_view payload) {
  std::string record;
  put_fixed(record, static_cast<std::uint64_t>(payload.size()));
  put_fixed(record, masked_crc(record));
  record += payload;
  put_fixed(record, masked_crc(payload));
  return record;
}

std::string encode_event(const Event& event) {
  // Summary: value 1. Value: tag 1, simple_value 2 (float), histo 5.
  std::string summary;
  for (const Event::Scalar& s : event.scalars) {
    std::string value;
    put_bytes(value, 1, s.tag);
    put_float(value, 2, static_cast<float>(s.value));
    put_bytes(summary, 1, value);
  }
  for (const Event::Histogram& h : event.histograms) {
    std::string value;
    put_bytes(value, 1, h.tag);
    put_bytes(value, 5, encode_histogram(h.counts));
    put_bytes(summary, 1, value);
  }
  std::string e = event_head(event.wall_time, event.step);
  put_bytes(e, 5, summary);
  return e;
}

std::vector<std::string_view> decode_records(std::string_view bytes, std::size_t& used) {
  std::vector<std::string_view> payloads;
  used = 0;
  while (bytes.size() - used >= kHeader + kFooter) {
    const std::string_view rest = bytes.substr(used);
    const auto size = get_fixed<std::uint64_t>(rest, 0);
    if (get_fixed<std::uint32_t>(rest, 8) != masked_crc(rest.substr(0, 8))) break;
    if (size > rest.size() - kHeader - kFooter) break;
    const std::string_view payload = rest.substr(kHeader, size);
    if (get_fixed<std::uint32_t>(rest, kHeader + size) != masked_crc(payload)) break;
    payloads.push_back(payload);
    used += kHeader + size + kFooter;
  }
  return payloads;
}

std::int64_t step_of_event(std::string_view payload) {
  std::uint64_t key = 0, value = 0;
  while (take_varint(payload, key)) {
    std::uint64_t skip = 0;
    switch (key & 7) {
      case kVarint:
        if (!take_varint(payload, value)) return 0;
        if (key >> 3 == 2) return static_cast<std::int64_t>(value);
        break;
      case kFixed64:
        skip = 8;
        break;
      case kBytes:
        if (!take_varint(payload, skip)) return 0;
        break;
      case kFixed32:
        skip = 4;
        break;
      default:
        return 0;
    }
    if (skip > payload.size()) return 0;
    payload.remove_prefix(skip);
  }
  return 0;
}

EventFile::EventFile(const std::filesystem::path& path, std::int64_t step) : path_(path) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) fail("cannot make the folder {}: {}", path.parent_path().string(), error.message());
  std::size_t kept = 0;
  if (fs::exists(path)) {
    const std::string bytes = read_file(path);
    std::size_t used = 0;
    for (const std::string_view payload : decode_records(bytes, used)) {
      if (step_of_event(payload) > step) break;  // steps only rise
      kept += kHeader + payload.size() + kFooter;
    }
  }
  file_ = std::make_unique<GrowingFile>(path, kept);
  std::string event;
  if (kept == 0) {
    event = event_head(now(), 0);
    put_bytes(event, 3, "brain.Event:2");
  } else {
    std::string start;
    put_int(start, 1, 1);  // SessionLog.status = START: readers drop what they have of this step and later
    event = event_head(now(), step + 1);
    put_bytes(event, 7, start);
  }
  file_->append(encode_record(event));
}

bool EventFile::put_back() {
  std::error_code failed;  // put_back says so
  fs::create_directory(path_.parent_path(), failed);
  return file_->put_back();
}

void EventFile::append(const Event& event) { file_->append(encode_record(encode_event(event))); }

}  // namespace hadal::report
