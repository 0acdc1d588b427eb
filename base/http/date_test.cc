#include "base/http/date.h"

#include <gtest/gtest.h>

namespace fairlead::http {
namespace {

TEST(HttpDate, HasTheFormOfTheRfc) {
  EXPECT_EQ(HttpDate(784111777 * kSecond), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(HttpDate(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(HttpDate(1709251199 * kSecond + 999), "Thu, 29 Feb 2024 23:59:59 GMT");
}

}  // namespace
}  // namespace fairlead::http
