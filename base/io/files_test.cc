#include "base/io/files.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

namespace fairlead::io {
namespace {

class SystemFilesTest : public testing::Test {
 protected:
  SystemFilesTest() {
    char folder[] = "/tmp/fairlead-files-XXXXXX";
    EXPECT_NE(mkdtemp(folder), nullptr);
    folder_ = folder;
  }
  ~SystemFilesTest() override { std::filesystem::remove_all(folder_); }
  std::string Path() const { return folder_ + "/lines"; }

  SystemFiles files;
  std::string folder_;
};

TEST_F(SystemFilesTest, LinesAreAddedAtTheEndOfAFileOfOurOwn) {
  ASSERT_TRUE(files.AppendLine(Path(), "one").ok());
  ASSERT_TRUE(files.AppendLine(Path(), "two").ok());
  EXPECT_EQ(*files.Read(Path()), "one\ntwo\n");
  struct stat facts{};
  ASSERT_EQ(stat(Path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
}

TEST_F(SystemFilesTest, ALineThatACrashToreIsEndedFirst) {
  ASSERT_TRUE(files.WriteAtomically(Path(), "one\ntw").ok());
  ASSERT_TRUE(files.AppendLine(Path(), "three").ok());
  EXPECT_EQ(*files.Read(Path()), "one\ntw\nthree\n");
}

// The file may not grow beyond four bytes, as on a disk with no more room: the write is cut short, then fails.
TEST_F(SystemFilesTest, ALineThatDoesNotFitLeavesNothing) {
  ASSERT_TRUE(files.AppendLine(Path(), "1").ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small{4, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  Status status = files.AppendLine(Path(), "three");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(*files.Read(Path()), "1\n");
}

TEST_F(SystemFilesTest, TheTailIsTheLastBytes) {
  EXPECT_EQ(files.ReadTail(Path(), 4).status().code(), StatusCode::kNotFound);
  ASSERT_TRUE(files.AppendLine(Path(), "123456").ok());
  EXPECT_EQ(*files.ReadTail(Path(), 4), "456\n");
  EXPECT_EQ(*files.ReadTail(Path(), 100), "123456\n");
}

}  // namespace
}  // namespace fairlead::io
