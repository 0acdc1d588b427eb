#include "lb/route_table.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "base/strings.h"

namespace fairlead::lb {
namespace {

using Table = RouteTable<int>;

int Find(const Table& table, std::string_view host, std::string_view path = "/", int listener = 0) {
  const Table::Entry* entry = table.Find(host, path, listener);
  return entry == nullptr ? -1 : entry->target;
}

TEST(RouteTable, ComparesHostsWithoutCasePortAndFinalDot) {
  Table table;
  table.Set("web.demo.example", {{"/", ~uint64_t{0}, 7}});
  EXPECT_EQ(Find(table, "web.demo.example"), 7);
  EXPECT_EQ(Find(table, "WEB.Demo.EXAMPLE:8080"), 7);
  EXPECT_EQ(Find(table, "web.demo.example."), 7);
  EXPECT_EQ(Find(table, "web.demo.exampl"), -1);
  EXPECT_EQ(Find(table, ""), -1);
}

TEST(RouteTable, LeavesBytesAboveAsciiAlone) {
  EXPECT_EQ(HostKey("\xC3\x84" "B[@Z`{").view(), "\xC3\x84" "b[@z`{");
}

TEST(RouteTable, KeepsTheBracketsOfAnIpv6Host) {
  Table table;
  table.Set("[::1]", {{"/", ~uint64_t{0}, 1}});
  EXPECT_EQ(Find(table, "[::1]:80"), 1);
}

TEST(RouteTable, PrefersExactHostThenLongestWildcardThenDefault) {
  Table table;
  table.Set("*", {{"/", ~uint64_t{0}, 1}});
  table.Set("*.example", {{"/", ~uint64_t{0}, 2}});
  table.Set("*.shop.example", {{"/", ~uint64_t{0}, 3}});
  table.Set("a.shop.example", {{"/", ~uint64_t{0}, 4}});
  EXPECT_EQ(Find(table, "a.shop.example"), 4);
  EXPECT_EQ(Find(table, "b.shop.example"), 3);
  EXPECT_EQ(Find(table, "x.y.shop.example"), 3);
  EXPECT_EQ(Find(table, "shop.example"), 2);
  EXPECT_EQ(Find(table, "example"), 1);
}

TEST(RouteTable, TakesTheLongestPathPrefixAndTheFirstOfEqualOnes) {
  Table table;
  table.Set("h", {{"/", ~uint64_t{0}, 1}, {"/api/v1", ~uint64_t{0}, 2}, {"/api", ~uint64_t{0}, 3}, {"/api", ~uint64_t{0}, 4}});
  EXPECT_EQ(Find(table, "h", "/api/v1/x"), 2);
  EXPECT_EQ(Find(table, "h", "/api/x"), 3);
  EXPECT_EQ(Find(table, "h", "/"), 1);
}

TEST(RouteTable, FallsThroughToAWiderHostWhenNoPrefixMatches) {
  Table table;
  table.Set("h.x", {{"/api", ~uint64_t{0}, 1}});
  table.Set("*.x", {{"/", ~uint64_t{0}, 2}});
  EXPECT_EQ(Find(table, "h.x", "/other"), 2);
}

TEST(RouteTable, ServesARouteOnItsListenersOnly) {
  Table table;
  table.Set("h", {{"/", 0b10, 1}});
  EXPECT_EQ(Find(table, "h", "/", 0), -1);
  EXPECT_EQ(Find(table, "h", "/", 1), 1);
}

TEST(RouteTable, TakesAHostOfMaximumLength) {
  std::string host(255, 'a');
  Table table;
  table.Set(host, {{"/", ~uint64_t{0}, 1}});
  EXPECT_EQ(Find(table, host), 1);
  EXPECT_EQ(Find(table, host + "a"), -1);  // longer than any name: only the default may match
}

TEST(RouteTable, EqualsAMapThroughRandomChanges) {
  SeededRandom random(1);
  Table table;
  std::map<std::string, int> model;
  for (int step = 0; step < 20'000; step++) {
    std::string host = Cat("host-", random.Below(300), ".example");
    if (random.OneIn(3)) {
      table.Set(host, {});
      model.erase(host);
    } else {
      table.Set(host, {{"/", ~uint64_t{0}, step}});
      model[host] = step;
    }
    std::string asked = Cat("host-", random.Below(300), ".example");
    auto expected = model.find(asked);
    ASSERT_EQ(Find(table, asked), expected == model.end() ? -1 : expected->second) << "step " << step;
  }
}

}  // namespace
}  // namespace fairlead::lb
