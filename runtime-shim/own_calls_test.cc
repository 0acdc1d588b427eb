#include "runtime-shim/own_calls.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

TEST(OwnCalls, TheSecretIsMadeOnceAndForRootAlone) {
  Worker worker;
  io::SystemFiles files;
  SeededRandom random(1);
  std::string path = worker.folder + "/authz.secret";
  auto made = OwnCallSecret(files, path, random);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->size(), 32u);
  EXPECT_EQ(*OwnCallSecret(files, path, random), *made);
  struct stat status{};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u) << std::oct << (status.st_mode & 0777);
}

TEST(OwnCalls, ADamagedSecretIsMadeAnew) {
  Worker worker;
  io::SystemFiles files;
  SeededRandom random(1);
  std::string path = worker.folder + "/authz.secret";
  ASSERT_TRUE(files.WriteAtomically(path, "short").ok());
  EXPECT_EQ(OwnCallSecret(files, path, random)->size(), 32u);
  EXPECT_EQ(*files.Read(path + ".damaged"), "short");
}

}  // namespace
}  // namespace fairlead::runtime
