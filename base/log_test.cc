#include "base/log.h"

#include <gtest/gtest.h>

namespace fairlead {
namespace {

std::string Logged(std::string_view event, std::initializer_list<LogField> fields, LogLevel level = LogLevel::kInfo) {
  testing::internal::CaptureStderr();
  Log(level, event, fields);
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesOneLineWithFields) {
  std::string line = Logged("lease acquired", {{"pool", "shop"}, {"count", 3}, {"new", true}});
  EXPECT_NE(line.find(" info lease acquired pool=shop count=3 new=true\n"), std::string::npos) << line;
}

TEST(Log, QuotesWhatWouldBreakTheLine) {
  std::string line = Logged("x", {{"a", "two words"}, {"b", "line\nbreak"}, {"c", "\x01\""}, {"d", ""}});
  EXPECT_NE(line.find(R"(a="two words" b="line\nbreak" c="\x01\"" d="")"), std::string::npos) << line;
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) { EXPECT_EQ(Logged("x", {}, LogLevel::kDebug), ""); }

}  // namespace
}  // namespace fairlead
