#include "base/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"

namespace fairlead {
namespace {

using testing::ElementsAre;

TEST(Strings, CatJoinsTextAndNumbers) { EXPECT_EQ(Cat("pool ", std::string("a"), ' ', 3, " of ", uint64_t{18}), "pool a 3 of 18"); }

TEST(Strings, ParseNumberTakesTheWholeTextOrNothing) {
  EXPECT_EQ(ParseNumber<uint16_t>("65535"), 65535);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "0x1", "65536", "1.0"})
    EXPECT_FALSE(ParseNumber<uint16_t>(bad).has_value()) << bad;
}

TEST(Strings, SplitKeepsEmptyPieces) {
  EXPECT_THAT(Split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(Split("", ','), ElementsAre(""));
}

TEST(Strings, TrimTakesBlanksAndTabsOnly) {
  EXPECT_EQ(Trim(" \t a b\t "), "a b");
  EXPECT_EQ(Trim(" \t"), "");
  EXPECT_EQ(Trim("\na"), "\na");
}

TEST(Strings, LowerAsciiLeavesOtherBytesAlone) { EXPECT_EQ(LowerAscii(std::string_view("\xC3\x84Z[@")), "\xC3\x84z[@"); }

TEST(Strings, NearestIsTheOneThatWasMeantOrNone) {
  std::vector<std::string_view> keys{"listeners", "services", "routes"};
  EXPECT_EQ(Nearest("listenres", keys), "listeners");
  EXPECT_EQ(Nearest("zzz", keys), "");
}

TEST(Strings, EditDistanceIsSymmetricAndZeroForEqual) {
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(EditDistance("sitting", "kitten"), 3u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("abc", "abc"), 0u);
}

TEST(Random, ASeedReplaysAndBelowStaysBelow) {
  SeededRandom a(7), b(7), c(8);
  bool differs = false;
  for (int i = 0; i < 1000; i++) {
    uint64_t value = a.Next();
    EXPECT_EQ(value, b.Next());
    differs |= value != c.Next();
    EXPECT_LT(a.Below(10), 10u);
    (void)b.Below(10);
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace fairlead
