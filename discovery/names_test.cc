#include "discovery/names.h"

#include <gtest/gtest.h>

namespace fairlead::discovery {
namespace {

TEST(NameLabel, LowersAndKeepsUnderscores) {
  EXPECT_EQ(NameLabel("Shop_Web.1"), "shop_web-1");
  EXPECT_EQ(NameLabel("caf\xc3\xa9"), "caf--");
}

TEST(NameLabel, LongNamesEndInTheHashOfTheRawName) {
  EXPECT_EQ(NameLabel(std::string(63, 'a')), std::string(63, 'a'));
  // printf 'a%.0s' $(seq 64) | sha256sum
  EXPECT_EQ(NameLabel(std::string(64, 'a')), std::string(54, 'a') + "-ffe054fe");
  EXPECT_NE(NameLabel(std::string(64, 'A')), NameLabel(std::string(64, 'a')));
}

TEST(BranchLabel, FoldsRunsAndTrimsEnds) {
  EXPECT_EQ(BranchLabel("feature/ABC__42!"), "feature-abc-42");
  EXPECT_EQ(BranchLabel("--x--"), "x");
  EXPECT_EQ(BranchLabel("///"), "");
}

TEST(LabelTable, GivesTheLaterOfTwoNamesTheHashTail) {
  LabelTable table;
  EXPECT_EQ(table.Name("Web"), "web");
  const std::string later = table.Name("web");
  EXPECT_EQ(later, HashedLabel("web", "web"));
  EXPECT_EQ(later.size(), 3u + 1 + 8);
  EXPECT_EQ(table.Name("Web"), "web");
  EXPECT_EQ(table.Name("web"), later);
}

}  // namespace
}  // namespace fairlead::discovery
