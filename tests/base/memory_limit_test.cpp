// Limits of cgroups, both versions, from files.
#include "base/memory_limit.h"

#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "support/temp_folder.h"

namespace hadal {
namespace {

void put(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text << "\n";
}

TEST(MemoryLimit, LeastOfAGroupAndThoseAbove) {
  const test::TempFolder root;
  put(root / "memory.max", "max");
  put(root / "a/memory.max", "5000");
  put(root / "a/b/memory.max", "max");
  put(root / "memory/c/memory.limit_in_bytes", "3000");
  put(root / "memory/c/d/memory.limit_in_bytes", "9223372036854771712");
  const std::string at = root.path();
  EXPECT_EQ(cgroup_limit("0::/a/b\n", at), 5000u);
  EXPECT_EQ(cgroup_limit("0::/\n", at), SIZE_MAX);
  EXPECT_EQ(cgroup_limit("7:blkio:/a\n4:cpu,memory:/c/d\n0::/\n", at), 3000u);
  EXPECT_EQ(cgroup_limit("7:blkio:/a\n", at), SIZE_MAX);
  EXPECT_EQ(cgroup_limit("", at), SIZE_MAX);
}

TEST(MemoryLimit, ResidentGrowsWithWhatIsTouched) {
  const std::size_t before = resident_bytes();
  const std::vector<char> block(64 << 20, 1);
  EXPECT_GE(resident_bytes(), before + block.size() / 2);
  EXPECT_GE(peak_resident_bytes(), resident_bytes() / 2);
  EXPECT_GT(memory_limit().bytes, block.size());
}

}  // namespace
}  // namespace hadal
