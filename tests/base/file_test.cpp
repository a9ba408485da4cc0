// Files: reading, maps, atomic writes, and what a killed writer leaves behind.
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <set>
#include <string>

#include "base/error.h"

namespace hadal {
namespace {

// A folder of its own for each case, removed at the end.
class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hadal_file_XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }
  std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_)) names.insert(entry.path().filename().string());
    return names;
  }
  fs::path folder_;
};

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST_F(FileTest, WritesAndReadsBytes) {
  std::string content;
  for (int i = 0; i < 200000; ++i) content += static_cast<char>(i * 31 >> 3);
  write_file_atomically(folder_ / "a.bin", content);
  EXPECT_EQ(read_file(folder_ / "a.bin"), content);
  EXPECT_EQ(text_of(MappedFile(folder_ / "a.bin")), content);
  EXPECT_EQ(names(), std::set<std::string>{"a.bin"});
}

TEST_F(FileTest, EmptyFile) {
  write_file_atomically(folder_ / "empty", "");
  EXPECT_EQ(read_file(folder_ / "empty"), "");
  EXPECT_TRUE(MappedFile(folder_ / "empty").bytes().empty());
}

TEST_F(FileTest, WhatHasNoEndIsNoFile) {
  const fs::path pipe = folder_ / "pipe", device = folder_ / "device";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", device);
  for (const fs::path& path : {pipe, device}) {
    const auto says = [&](const auto& f) {
      try {
        f();
      } catch (const Error& e) {
        return std::string(e.what()).find("it is a pipe or a device, not a file") != std::string::npos;
      }
      return false;
    };
    EXPECT_TRUE(says([&] { read_whole_file(path); })) << path;
    EXPECT_TRUE(says([&] { const MappedFile map(path); })) << path;
  }
}

TEST_F(FileTest, ANameIsNotCutAtANulByte) {
  write_file_atomically(folder_ / "a", "x");
  std::string name = (folder_ / "a").string();
  name += std::string("\0b", 2);
  EXPECT_THROW(read_file(name), Error);
  EXPECT_THROW(const MappedFile map(name), Error);
}

TEST_F(FileTest, AppendsInOrderAndReplacesOnlyAtCommit) {
  const fs::path path = folder_ / "a.txt";
  write_file_atomically(path, "old");
  AtomicFile file(path);
  file.append("one ");
  file.append("two");
  EXPECT_EQ(read_file(path), "old");
  file.commit();
  EXPECT_EQ(read_file(path), "one two");
  EXPECT_EQ(names(), std::set<std::string>{"a.txt"});
}

TEST_F(FileTest, WithoutCommitNothingIsLeft) {
  write_file_atomically(folder_ / "a.txt", "old");
  {
    AtomicFile file(folder_ / "a.txt");
    file.append("new");
  }
  EXPECT_EQ(read_file(folder_ / "a.txt"), "old");
  EXPECT_EQ(names(), std::set<std::string>{"a.txt"});
}

TEST_F(FileTest, RelativePathInTheWorkingFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  write_file_atomically("plain.txt", "x");
  fs::current_path(before);
  EXPECT_EQ(read_file(folder_ / "plain.txt"), "x");
}

TEST_F(FileTest, MapOutlivesTheFilesReplacement) {
  write_file_atomically(folder_ / "a.txt", "first");
  const MappedFile map(folder_ / "a.txt");
  write_file_atomically(folder_ / "a.txt", "second, and longer");
  EXPECT_EQ(text_of(map), "first");
  EXPECT_EQ(read_file(folder_ / "a.txt"), "second, and longer");
}

TEST_F(FileTest, ErrorsNameThePathAndTheReason) {
  const std::string missing = (folder_ / "missing").string();
  EXPECT_EQ(error_of([&] { read_file(missing); }), "cannot open " + missing + ": No such file or directory");
  EXPECT_EQ(error_of([&] { MappedFile map(missing); }), "cannot open " + missing + ": No such file or directory");
  EXPECT_EQ(error_of([&] { read_file(folder_); }), "cannot read " + folder_.string() + ": it is a folder, not a file");
  EXPECT_EQ(error_of([&] { MappedFile map(folder_); }),
            "cannot read " + folder_.string() + ": it is a folder, not a file");
  const std::string inside = error_of([&] { write_file_atomically(folder_ / "no" / "a.txt", "x"); });
  EXPECT_EQ(inside, "cannot write " + (folder_ / "no" / "a.txt").string() + ": No such file or directory");
  EXPECT_EQ(error_of([&] { write_file_atomically(folder_, "x"); }),
            "cannot write " + folder_.string() + ": it is a folder, not a file");
  EXPECT_EQ(error_of([&] { write_file_atomically("", "x"); }),
            "cannot write a file without a name: No such file or directory");
  EXPECT_EQ(error_of([&] { fsync_folder(missing); }), "cannot open " + missing + ": No such file or directory");
}

TEST_F(FileTest, DevicesAndPipesAreWrittenToAsTheyAre) {
  write_file_atomically("/dev/null", "x");
  EXPECT_EQ(fs::status("/dev/null").type(), fs::file_type::character);
  EXPECT_EQ(error_of([&] { write_file_atomically("/dev/full", "x"); }),
            "cannot write /dev/full: No space left on device");
  EXPECT_EQ(fs::status("/dev/full").type(), fs::file_type::character);
}

TEST_F(FileTest, FailedRenameLeavesNoTemporary) {
  AtomicFile file(folder_ / "a");
  fs::create_directories(folder_ / "a" / "b");  // somebody makes a folder of that name
  const std::string said = error_of([&] { file.commit(); });
  EXPECT_TRUE(said.starts_with("cannot rename to " + (folder_ / "a").string() + ": ")) << said;
  EXPECT_EQ(names(), std::set<std::string>{"a"});
}

// Runs `f` in a child. Returns the signal that ended it, 0 after a normal exit, -1 after an error.
template <class F>
int signal_of_child(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      f();
    } catch (...) {
      status = 1;
    }
    ::_exit(status);
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  return WEXITSTATUS(status) == 0 ? 0 : -1;
}

template <class F>
int signal_of_fault(const char* fault, F&& f) {
  return signal_of_child([&] {
    ::setenv("HADAL_FAULT", fault, 1);
    f();
  });
}

// A file-size limit stands in for a full disk.
TEST_F(FileTest, FailedWriteKeepsTheOldFileAndLeavesNoTemporary) {
  const fs::path path = folder_ / "a.txt";
  write_file_atomically(path, "old");
  const int status = signal_of_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string said = error_of([&] { write_file_atomically(path, std::string(5000, 'x')); });
    if (!said.starts_with("cannot write " + path.string()) || !said.ends_with(": File too large")) fail("{}", said);
  });
  EXPECT_EQ(status, 0) << "the child saw another error than the one expected";
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(names(), std::set<std::string>{"a.txt"});
}

TEST_F(FileTest, KilledAtAnyPointLeavesTheOldFileWhole) {
  const fs::path path = folder_ / "a.txt";
  for (const char* fault : {"write", "write:1", "write:2", "fsync:1", "rename:1"}) {
    write_file_atomically(path, "old");
    EXPECT_EQ(signal_of_fault(fault,
                              [&] {
                                AtomicFile file(path);
                                file.append("new ");
                                file.append("text");
                                file.commit();
                              }),
              SIGKILL)
        << fault;
    EXPECT_EQ(read_file(path), "old") << fault;
  }
}

TEST_F(FileTest, WhatAKilledWriterLeavesIsRemoved) {
  write_file_atomically(folder_ / "a.txt", "old");
  write_file_atomically(folder_ / "notes.tmp", "a user's");
  write_file_atomically(folder_ / "1.tmp", "a user's");
  EXPECT_EQ(signal_of_fault("rename", [&] { write_file_atomically(folder_ / "a.txt", "new"); }), SIGKILL);
  EXPECT_EQ(names().size(), 4u);
  remove_temporaries(folder_);
  EXPECT_EQ(names(), (std::set<std::string>{"a.txt", "notes.tmp", "1.tmp"}));
}

TEST_F(FileTest, OneProcessHoldsAFolder) {
  const auto take = [&] { const FolderLock lock(folder_); };
  {
    const FolderLock lock(folder_);
    EXPECT_EQ(signal_of_child(take), -1);
    EXPECT_EQ(error_of(take), folder_.string() + ": another process is working in this folder");
  }
  EXPECT_EQ(signal_of_child(take), 0) << "it is free again";
  EXPECT_EQ(error_of([&] { const FolderLock lock(folder_ / "none"); }),
            "cannot open " + (folder_ / "none").string() + ": No such file or directory");
}

TEST_F(FileTest, AnOpenFolderIsKnownAgain) {
  const fs::path a = folder_ / "a", b = folder_ / "b";
  fs::create_directory(a);
  const OpenFolder open(a);
  EXPECT_TRUE(open.in_place());
  write_file_atomically(a / "x", "x");
  EXPECT_TRUE(open.in_place());
  fs::rename(a, b);
  EXPECT_FALSE(open.in_place());
  fs::create_directory(a);
  EXPECT_FALSE(open.in_place()) << "another folder of that name";
  fs::remove(a);
  fs::create_directory_symlink(b, a);
  EXPECT_TRUE(open.in_place()) << "it leads to the same folder";
}

TEST_F(FileTest, AGrowingFileIsPutBack) {
  const fs::path path = folder_ / "lines";
  GrowingFile file(path, 0);
  file.append("one\n");
  EXPECT_FALSE(file.put_back());
  fs::remove(path);
  EXPECT_TRUE(file.put_back());
  file.append("two\n");
  write_file_atomically(path, "of somebody else");
  EXPECT_TRUE(file.put_back());
  EXPECT_FALSE(file.put_back());
  file.append("three\n");
  EXPECT_EQ(read_file(path), "one\ntwo\nthree\n");
}

TEST_F(FileTest, AFolderTakesTheNameOfAnother) {
  const auto make = [&](const char* name, const char* content) {
    fs::create_directory(folder_ / name);
    write_file_atomically(folder_ / name / "x", content);
  };
  make("first.tmp", "first");
  replace_folder(folder_ / "first.tmp", folder_ / "it");
  make("second.tmp", "second");
  replace_folder(folder_ / "second.tmp", folder_ / "it");
  EXPECT_EQ(read_file(folder_ / "it" / "x"), "second");
  EXPECT_EQ(names(), std::set<std::string>{"it"});
  EXPECT_NE(error_of([&] { replace_folder(folder_ / "none", folder_ / "that"); }), "");
}

TEST_F(FileTest, FaultCountsOnlyItsOwnPoint) {
  const fs::path path = folder_ / "a.txt";
  const auto write_two = [&] {
    write_file_atomically(path, "first");
    write_file_atomically(path, "second");
  };
  EXPECT_EQ(signal_of_fault("rename:3", write_two), 0) << "a point that is never reached";
  EXPECT_EQ(read_file(path), "second");
  EXPECT_EQ(signal_of_fault("somewhere:1", write_two), 0) << "a point of another name";
  EXPECT_EQ(signal_of_fault("rename:1:b.txt", write_two), 0) << "a path that is never written";
  EXPECT_EQ(signal_of_fault("rename:2:a.txt", write_two), SIGKILL);
  EXPECT_EQ(read_file(path), "first") << "killed before the second rename of that path";
  EXPECT_EQ(signal_of_fault("rename:2", write_two), SIGKILL);
  EXPECT_EQ(read_file(path), "first") << "killed before the second rename";
}

}  // namespace
}  // namespace hadal
