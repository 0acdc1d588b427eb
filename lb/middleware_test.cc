#include "lb/middleware.h"

#include <gtest/gtest.h>

namespace fairlead::lb {
namespace {

// The answer to a request of this client: 0 where it goes on.
int AnswerTo(const discovery::IpAllowList& options, std::string_view client) {
  discovery::RegexCache regexes;
  MiddlewareChain chain({MiddlewareChain::Compile("lan@file", options, regexes)});
  http::RequestHead head;
  head.method = "GET";
  head.path = "/";
  MiddlewareRun run;
  run.Begin(head);
  run.client = *IpAddress::Parse(client);
  chain.Run(run);
  return run.status;
}

TEST(IpAllowList, OfAnIPv6ClientItsSubnetIsAskedForWhereThatIsWanted) {
  discovery::IpAllowList list{.ranges = {Prefix(*IpAddress::Parse("2001:db8:1::"), 128), Prefix(*IpAddress::Parse("10.0.0.7"), 32)}};
  EXPECT_EQ(AnswerTo(list, "2001:db8:1::5"), 403);
  list.v6_subnet = 64;
  EXPECT_EQ(AnswerTo(list, "2001:db8:1::5"), 0);
  EXPECT_EQ(AnswerTo(list, "2001:db8:1:0:ffff::"), 0);
  EXPECT_EQ(AnswerTo(list, "2001:db8:2::5"), 403);
  EXPECT_EQ(AnswerTo(list, "10.0.0.7"), 0);
  EXPECT_EQ(AnswerTo(list, "10.0.0.8"), 403);
}

}  // namespace
}  // namespace fairlead::lb
