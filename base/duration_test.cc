#include "base/duration.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

TEST(Duration, IsGosWithFractionsAndDaysOrBareSeconds) {
  EXPECT_EQ(ReadDuration("1m30s"), 90 * kSecond);
  EXPECT_EQ(ReadDuration("500ms"), 500 * kMillisecond);
  EXPECT_EQ(ReadDuration("1.5s"), 1500 * kMillisecond);
  EXPECT_EQ(ReadDuration("3us7ns"), 3007);
  EXPECT_EQ(ReadDuration("3\xc2\xb5s"), 3000);
  EXPECT_EQ(ReadDuration("7d"), 168 * kHour);
  EXPECT_EQ(ReadDuration("87600h"), 87'600 * kHour);
  EXPECT_EQ(ReadDuration("7"), 7 * kSecond);
  EXPECT_EQ(ReadDuration("0"), 0);
  for (const char* bad : {"", " ", "s", "5x", "-1s", "1.5", "1s2", "1..5s", "1s forever", "99999999999h"})
    EXPECT_EQ(ReadDuration(bad), std::nullopt) << bad;
}

TEST(Duration, IsWrittenAsItIsRead) {
  EXPECT_EQ(FormatDuration(90 * kSecond + 5 * kMillisecond), "1m30s5ms");
  EXPECT_EQ(FormatDuration(168 * kHour), "168h");
  EXPECT_EQ(FormatDuration(0), "0s");
  EXPECT_EQ(FormatDuration(kNever), "forever");
}

}  // namespace
}  // namespace fairlead
