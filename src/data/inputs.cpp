#include "data/inputs.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/words.h"

namespace hadal::data {

namespace {

namespace fs = std::filesystem;

// What is read in a folder: prose, mark-up, programs. A file that the user names may end in anything.
constexpr std::string_view kTextEndings =
    " txt text md markdown mdx rst org adoc tex bib html htm xhtml xml css scss less svg po "
    "c h cc cpp cxx c++ hh hpp hxx inl ipp cu cuh cl metal m mm swift rs go zig nim d v sv vhd vhdl "
    "py pyi pyx js mjs cjs jsx ts tsx vue svelte java kt kts scala groovy gradle clj cljs cs fs fsx vb dart "
    "rb php pl pm lua tcl r jl hs lhs ml mli elm ex exs erl hrl lisp el scm rkt f f77 f90 f95 f03 f08 for pas pp ada "
    "adb "
    "ads cob asm s sh bash zsh fish ps1 bat cmd awk sed sql graphql proto thrift cmake mk mak bazel bzl nix tf toml "
    "yaml "
    "yml ini cfg conf ";
constexpr std::array kTextNames = {"makefile", "dockerfile", "readme", "license", "copying", "changelog", "authors"};

// Kinds that hold text in a form that must be unpacked or converted first.
constexpr std::string_view kOtherEndings =
    " pdf doc docx odt rtf epub mobi ppt pptx xls xlsx parquet arrow feather avro h5 hdf5 npy npz pt pth bin "
    "safetensors gguf "
    "zip tar tgz tbz txz bz2 xz lz4 lzma 7z rar png jpg jpeg gif bmp webp ico mp3 mp4 wav avi mkv exe dll so o a class "
    "jar "
    "pyc sqlite db ";

bool holds(std::string_view list, const std::string& ending) {
  return !ending.empty() && list.find(" " + ending + " ") != std::string_view::npos;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// What follows the last dot of a name in lower case, and the name without it; a leading dot begins no ending.
std::string take_ending(std::string& name) {
  const auto dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return {};
  std::string ending = lower(name.substr(dot + 1));
  name.resize(dot);
  return ending;
}

struct Kind {
  Form form = Form::text;
  Packing packing = Packing::none;
  std::string ending;  // without that of the packing
  bool known = false;  // that this is text
};

Kind kind_of(const fs::path& path) {
  std::string name = path.filename().string();
  Kind k;
  k.ending = take_ending(name);
  if (k.ending == "gz" || k.ending == "zst") {
    k.packing = k.ending == "gz" ? Packing::gzip : Packing::zstd;
    k.ending = take_ending(name);
  }
  if (k.ending == "jsonl" || k.ending == "ndjson") k.form = Form::json_lines;
  if (k.ending == "json") k.form = Form::json;
  const bool plain =
      k.ending.empty() && std::find(kTextNames.begin(), kTextNames.end(), lower(name)) != kTextNames.end();
  k.known = k.form == Form::json_lines || holds(kTextEndings, k.ending) || plain;
  return k;
}

std::string list_of(const std::map<std::string, std::size_t>& counts) {
  std::string all;
  for (const auto& [what, count] : counts) all += fmt::format("{}{} {}", all.empty() ? "" : ", ", count, what);
  return all;
}

class Finder {
 public:
  explicit Finder(std::optional<Form> form) : form_(form) {}

  void add(const std::string& name) {
    if (name.empty()) fail("an input has an empty name: give a file, a folder, a glob or -");
    if (name == "-") return add_file("-", true);
    std::error_code error;
    const fs::file_status there = fs::status(name, error);
    if (fs::is_directory(there)) return add_folder(name);
    if (fs::exists(there)) return add_file(name, true);
    if (name.find_first_of("*?[") == std::string::npos) fail("{}: there is no such file", name);
    std::set<fs::path> found;
    const fs::path pattern(name);
    std::vector<std::string> parts;
    for (const fs::path& part : pattern.relative_path()) parts.push_back(part.string());
    expand(pattern.root_path(), parts, 0, found);
    if (found.empty()) fail("{}: there is no such file, and none that matches it as a glob", name);
    for (const fs::path& path : found) {
      if (fs::is_directory(path)) {
        add_folder(path);
      } else {
        add_file(path, true);
      }
    }
  }

  Inputs take() {
    if (twice_ > 0) {
      result_.notes.push_back(fmt::format("{} named more than once: each is read once", plural(twice_, "file")));
    }
    bool known = true;
    for (const InputFile& f : result_.files) {
      result_.bytes += f.bytes;
      known = known && (f.path == "-" ? false : fs::is_regular_file(f.path));
    }
    if (!known) result_.bytes = 0;
    return std::move(result_);
  }

 private:
  static std::vector<fs::directory_entry> entries(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::directory_entry> all;
    for (fs::directory_iterator i(folder.empty() ? "." : folder, error), end; !error && i != end; i.increment(error)) {
      all.push_back(*i);
    }
    if (error) fail("cannot read the folder {}: {}", folder.empty() ? "." : folder.string(), error.message());
    std::sort(all.begin(), all.end());
    return all;
  }

  // What matches parts[i...] below `base`. Links to folders are not followed by **: they may lead round in a circle.
  static void expand(const fs::path& base, const std::vector<std::string>& parts, std::size_t i,
                     std::set<fs::path>& found) {
    if (i == parts.size()) {
      found.insert(base);
      return;
    }
    const std::string& part = parts[i];
    const fs::path folder = base.empty() ? "." : base;
    if (part.find_first_of("*?[") == std::string::npos) {
      std::error_code error;
      if (fs::exists(base / part, error)) expand(base / part, parts, i + 1, found);
      return;
    }
    if (!fs::is_directory(folder)) return;
    const bool any = part == "**";
    if (any) expand(base, parts, i + 1, found);
    for (const fs::directory_entry& entry : entries(folder)) {
      const std::string name = entry.path().filename().string();
      if (any) {
        if (!name.starts_with('.') && entry.is_directory() && !entry.is_symlink()) expand(base / name, parts, i, found);
      } else if (::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) == 0) {
        expand(base / name, parts, i + 1, found);
      }
    }
  }

  void add_file(const fs::path& path, bool named) {
    InputFile file{.path = path, .named = named};
    std::error_code error;
    const bool regular = path != "-" && fs::is_regular_file(path, error);
    if (regular) {
      const Kind kind = kind_of(path);
      if (named && !form_ && holds(kOtherEndings, kind.ending)) {
        fail("{}: .{} files cannot be read: make .txt or .jsonl of it (both may be packed, as .gz or .zst)",
             path.string(), kind.ending);
      }
      file.form = form_.value_or(kind.form);
      file.packing = kind.packing;
      file.bytes = fs::file_size(path);
    } else {
      file.form = form_.value_or(Form::detect);
      file.packing = Packing::detect;
    }
    const fs::path same = regular ? fs::canonical(path) : path;
    if (!seen_.insert(same).second) {
      ++twice_;
      return;
    }
    result_.files.push_back(std::move(file));
  }

  void add_folder(const fs::path& folder) {
    std::map<std::string, std::size_t> skipped;
    const std::size_t before = result_.files.size() + twice_;
    search(folder, skipped);
    if (!skipped.empty()) result_.notes.push_back(fmt::format("{}: left out: {}", folder.string(), list_of(skipped)));
    if (result_.files.size() + twice_ == before) {
      fail("{}: no file of text in this folder{}{}", folder.string(),
           skipped.empty() ? "" : "; left out: ", list_of(skipped));
    }
  }

  void search(const fs::path& folder, std::map<std::string, std::size_t>& skipped) {
    for (const fs::directory_entry& entry : entries(folder)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.')) {
        ++skipped["hidden"];
      } else if (entry.is_directory()) {
        if (entry.is_symlink()) {
          ++skipped["linked folders"];
        } else {
          search(entry.path(), skipped);
        }
      } else if (!entry.is_regular_file()) {
        ++skipped["not regular files"];
      } else if (const Kind kind = kind_of(entry.path()); !kind.known) {
        ++skipped[kind.ending.empty() ? "without an ending" : "." + kind.ending];
      } else {
        add_file(entry.path(), false);
      }
    }
  }

  std::optional<Form> form_;
  Inputs result_;
  std::set<fs::path> seen_;
  std::size_t twice_ = 0;
};

}  // namespace

Inputs find_inputs(const std::vector<std::string>& names, std::optional<Form> form) {
  Finder finder(form);
  for (const std::string& name : names) finder.add(name);
  return finder.take();
}

}  // namespace hadal::data
