#include "base/http/message.h"

#include <gtest/gtest.h>

namespace fairlead::http {
namespace {

TEST(Request, SplitsPathAndQuery) {
  Request request{.target = "/v1/leases?pool=shop%20prod&all&note=a+b%2Bc&pool=second&odd=%4&%6eame=x"};
  EXPECT_EQ(request.path(), "/v1/leases");
  EXPECT_EQ(request.query("pool"), "shop prod");
  EXPECT_EQ(request.query("all"), "");
  EXPECT_EQ(request.query("note"), "a b+c");
  EXPECT_EQ(request.query("odd"), "%4");
  EXPECT_EQ(request.query("name"), "x");
  EXPECT_EQ(request.query("none"), "");
  EXPECT_EQ(Request{.target = "/plain"}.query("a"), "");
  EXPECT_EQ(Request{.target = "/plain"}.path(), "/plain");
}

TEST(Request, FindsTheFirstHeaderInAnyCase) {
  Request request{.headers = {{"X-One", "1"}, {"x-one", "2"}}};
  EXPECT_EQ(request.header("x-ONE"), "1");
  EXPECT_EQ(request.header("x-two"), "");
}

TEST(ReasonPhrase, IsEmptyForAnUnknownStatus) {
  EXPECT_EQ(ReasonPhrase(431), "Request Header Fields Too Large");
  EXPECT_EQ(ReasonPhrase(599), "");
}

}  // namespace
}  // namespace fairlead::http
