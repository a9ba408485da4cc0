#include "data/document_reader.h"

#include "base/error.h"
#include "base/words.h"

namespace hadal::data {

namespace {

constexpr std::size_t kPiece = 1 << 18;        // bytes read at a time
constexpr std::size_t kLooksBinary = 1 << 13;  // a NUL byte so near to the beginning: no text
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

void DocumentReader::read(const InputFile& file) {
  file_ = &file;
  name_ = file.path == "-" ? "standard input" : file.path.string();
  stream_ = open_stream(file.path, file.packing);
  line_ = 1;
  buffer_.clear();
  at_end_ = begun_ = false;
  ++counts_.files;
  if (begins_as_text()) {
    Form form = file.form;
    if (form == Form::detect) {
      const auto first = buffer_.find_first_not_of(" \t\r\n");
      form = first != std::string::npos && buffer_[first] == '{' ? Form::json_lines : Form::text;
      if (form == Form::json_lines) counts_.detected = name_;
    }
    if (form == Form::text) read_text();
    if (form == Form::json_lines) read_lines();
    if (form == Form::json) read_values();
  }
  before_ += stream_->position();
  stream_.reset();
}

bool DocumentReader::more(std::size_t done) {
  buffer_.erase(0, done);
  if (at_end_) return false;
  const std::size_t had = buffer_.size();
  buffer_.resize(had + kPiece);
  std::size_t n = 0;
  try {
    n = stream_->read(buffer_.data() + had, kPiece);
  } catch (const Error& e) {
    if (file_->packing == Packing::none) throw;
    bad(counts_.cut_files, e.what());
  }
  buffer_.resize(had + n);
  at_end_ = n == 0;
  if (progress_) progress_(before_ + stream_->position());
  return !at_end_;
}

void DocumentReader::bad(std::uint64_t& count, const std::string& what) {
  if (!options_.skip_bad) fail("{}", what);
  ++count;
  if (counts_.first_bad.empty()) counts_.first_bad = what;
}

bool DocumentReader::begins_as_text() {
  while (buffer_.size() < kLooksBinary && more()) continue;
  const std::string_view first = buffer_;
  if (first.starts_with("\xff\xfe") || first.starts_with("\xfe\xff")) {
    bad(counts_.bad_files, name_ +
                               ": it is UTF-16 or UTF-32, by its byte order mark: convert it to UTF-8 (iconv -f "
                               "UTF-16 -t UTF-8 FILE >NEW)");
    return false;
  }
  const bool json = file_->form == Form::json_lines || file_->form == Form::json;  // these name the line of a NUL byte
  const auto nul = first.substr(0, kLooksBinary).find('\0');
  if (nul != std::string_view::npos && !json) {
    if (file_->named) {
      bad(counts_.bad_files,
          fmt::format("{}: no text file: byte {} is NUL (it is binary, or UTF-16: convert that to UTF-8)", name_,
                      nul + 1));
    } else {
      ++counts_.binary_files;
    }
    return false;
  }
  if (first.starts_with(kByteOrderMark)) buffer_.erase(0, kByteOrderMark.size());
  return true;
}

void DocumentReader::give(std::string_view piece, bool last) {
  if (piece.empty() && !last) return;
  if (piece.empty() && !begun_) {
    ++counts_.empty_documents;
    return;
  }
  counts_.text_bytes += piece.size();
  counts_.documents += last;
  begun_ = !last;
  try {
    sink_(piece, last);
  } catch (const DocumentError& e) {
    fail("{}: {}", name_, e.what());
  }
}

ReadCounts read_documents(const Inputs& inputs, const ReadOptions& options, const DocumentSink& sink,
                          const std::function<void(std::uint64_t)>& progress) {
  DocumentReader reader(options, sink, progress);
  for (const InputFile& file : inputs.files) reader.read(file);
  return reader.counts();
}

std::vector<std::string> ReadCounts::notes() const {
  std::vector<std::string> all;
  const auto note = [&](std::uint64_t count, const std::string& line) {
    if (count > 0) all.push_back(line);
  };
  if (!detected.empty())
    all.push_back(detected + ": begins with {: read as JSON, one document per line (--format text for text)");
  note(empty_documents, plural(empty_documents, "empty document") + " left out");
  note(binary_files, plural(binary_files, "file") + " of the folders left out: no text (NUL bytes)");
  note(crlf_files, fmt::format("line ends CRLF became LF in {}", plural(crlf_files, "file")));
  note(invalid_bytes,
       fmt::format("{} not UTF-8, the first in {}: kept as they are; convert the file if it has another "
                   "encoding (iconv)",
                   invalid_bytes == 1 ? "1 byte is" : fmt::format("{} bytes are", invalid_bytes), first_invalid));
  note(bad_values, plural(bad_values, "damaged document") + " left out");
  note(nul_bytes, plural(nul_bytes, "NUL byte") + " left out of text files");
  note(bad_files, plural(bad_files, "file") + " left out: no text");
  note(cut_files, plural(cut_files, "packed file") + " damaged: read up to there");
  if (!first_bad.empty()) all.push_back("the first of what is damaged: " + first_bad);
  return all;
}

}  // namespace hadal::data
