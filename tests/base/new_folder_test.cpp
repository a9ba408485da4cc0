#include "base/new_folder.h"

#include <gtest/gtest.h>

#include <set>

#include "support/temp_folder.h"

namespace hadal {
namespace {

using test::error_of;
using test::TempFolder;

std::set<std::string> names(const fs::path& folder) {
  std::set<std::string> all;
  for (const auto& entry : fs::directory_iterator(folder)) all.insert(entry.path().filename());
  return all;
}

TEST(NewFolder, GetsItsNameWhenItIsWhole) {
  const TempFolder folder;
  {
    NewFolder made(folder / "above" / "out/");
    write_file_atomically(made.temporary() / "x", "x");
    EXPECT_FALSE(fs::exists(folder / "above" / "out"));
    made.commit();
  }
  EXPECT_EQ(names(folder / "above"), std::set<std::string>{"out"});
  EXPECT_EQ(read_file(folder / "above" / "out" / "x"), "x");
}

TEST(NewFolder, LeavesNothingWithoutCommit) {
  const TempFolder folder;
  {
    const NewFolder made(folder / "out");
    write_file_atomically(made.temporary() / "x", "x");
  }
  EXPECT_EQ(names(folder.path()), std::set<std::string>{});
}

TEST(NewFolder, AnEmptyFolderMayBeThereAndNothingElse) {
  const TempFolder folder;
  fs::create_directory(folder / "out");
  {
    NewFolder made(folder / "out");
    write_file_atomically(made.temporary() / "x", "x");
    made.commit();
  }
  EXPECT_EQ(names(folder / "out"), std::set<std::string>{"x"});
  EXPECT_NE(error_of([&] { const NewFolder made(folder / "out"); }).find("not an empty folder"), std::string::npos);
  EXPECT_NE(error_of([&] { const NewFolder made(folder / "out" / "x"); }).find("not an empty folder"),
            std::string::npos);
  EXPECT_NE(error_of([&] { const NewFolder made(""); }), "");
  NewFolder late(folder / "late");
  fs::create_directory(folder / "late");
  write_file_atomically(folder / "late" / "x", "somebody else's");
  EXPECT_NE(error_of([&] { late.commit(); }), "");
  EXPECT_EQ(names(folder / "late"), std::set<std::string>{"x"});
}

TEST(NewFolder, LeftoversOfKilledProcessesGo) {
  const TempFolder folder;
  for (const char* name : {"out.123.tmp", "out.mine.tmp", "out.123.tmp2", "other.123.tmp"})
    fs::create_directory(folder / name);
  const NewFolder one(folder / "out");
  EXPECT_EQ(names(folder.path()),
            (std::set<std::string>{one.temporary().filename(), "out.mine.tmp", "out.123.tmp2", "other.123.tmp"}));
  fs::create_directory(folder / "out.77.tmp");
  const FolderLock in_use(folder / "out.77.tmp");
  fs::rename(one.temporary(), folder / "aside");
  const NewFolder two(folder / "out");
  EXPECT_TRUE(fs::exists(folder / "out.77.tmp")) << "another process writes it";
}

}  // namespace
}  // namespace hadal
