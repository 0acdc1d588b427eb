#include "lb/route_table.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "base/strings.h"
#include "lb/route_rule.h"

namespace fairlead::lb {
namespace {

using Table = RouteTable<int>;

int Find(const Table& table, std::string_view host, std::string_view path = "/", int listener = 0) {
  const HostKey key(host);
  const Table::Entry* entry = table.Find({.host = key.view(), .path = path}, listener);
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

// A rule's place of its own in a table, as Picture makes them.
struct Ruled {
  std::string rule;
  int target;
  int64_t priority = 0;
};
Table TableOf(const std::vector<Ruled>& rules) {
  discovery::RegexCache regexes;
  std::map<std::string, std::vector<Table::Entry>> by_host;
  for (const Ruled& ruled : rules) {
    auto parsed = discovery::ParseRule(ruled.rule);
    EXPECT_TRUE(parsed.ok()) << ruled.rule;
    const int64_t priority = ruled.priority != 0 ? ruled.priority : static_cast<int64_t>(ruled.rule.size());
    for (RulePlace& place : PlacesOf(parsed->rule, regexes))
      by_host[place.host].push_back({place.path_prefix, ~uint64_t{0}, ruled.target, priority, place.condition});
  }
  Table table;
  for (auto& [host, entries] : by_host) table.Set(host, std::move(entries));
  return table;
}

TEST(RouteTable, TheLongerRuleGoesFirst) {
  Table table = TableOf({{"Host(`h`)", 1}, {"PathPrefix(`/api`)", 2}, {"Host(`h`) && PathPrefix(`/api/v1`)", 3}});
  EXPECT_EQ(Find(table, "h", "/"), 1);
  EXPECT_EQ(Find(table, "h", "/api"), 2);  // 18 bytes against 9
  EXPECT_EQ(Find(table, "h", "/api/v1/x"), 3);
  EXPECT_EQ(Find(table, "other", "/api"), 2);
}

TEST(RouteTable, APriorityGoesBeforeLengthAndHost) {
  Table table = TableOf({{"Host(`h`)", 1}, {"Path(`/x`)", 2, 100'000'000}, {"Host(`h`) && PathPrefix(`/last`)", 3, -1}});
  table.Set("g", {{"/", ~uint64_t{0}, 4}});
  EXPECT_EQ(Find(table, "h", "/x"), 2);
  EXPECT_EQ(Find(table, "g", "/x"), 2);  // before the host form, too
  EXPECT_EQ(Find(table, "g", "/y"), 4);
  EXPECT_EQ(Find(table, "h", "/last"), 1);
}

TEST(RouteTable, HostFormsGoBeforeRulesAndRulesBeforeTheDefault) {
  Table table = TableOf({{"PathPrefix(`/api`) && Method(`GET`)", 1}});
  table.Set("h", {{"/", ~uint64_t{0}, 2}});
  EXPECT_EQ(table.Find({.host = "h", .path = "/api", .method = "GET"}, 0)->target, 2);
  EXPECT_EQ(table.Find({.host = "g", .path = "/api", .method = "GET"}, 0)->target, 1);
  EXPECT_EQ(table.Find({.host = "g", .path = "/api", .method = "PUT"}, 0), nullptr);
}

TEST(RouteTable, TheNextRouteServesWhereAConditionDoesNotHold) {
  Table table = TableOf({{"Host(`h`) && Method(`PUT`)", 1}, {"Host(`h`) && Query(`a`, `1`)", 2}, {"Host(`h`)", 3}});
  EXPECT_EQ(table.Find({.host = "h", .query = "a=1", .method = "PUT"}, 0)->target, 2);
  EXPECT_EQ(table.Find({.host = "h", .query = "a=2", .method = "PUT"}, 0)->target, 1);
  EXPECT_EQ(table.Find({.host = "h", .query = "a=2", .method = "GET"}, 0)->target, 3);
}

TEST(RouteTable, OfEqualPrioritiesTheNarrowerHostThenTheLongerPathThenTheFirstWins) {
  Table table = TableOf({{"Host(`*.x`)", 1, 5}, {"PathPrefix(`/p`)", 2, 5}, {"PathPrefix(`/p/q`)", 3, 5}, {"Host(`a.x`)", 4, 5},
                         {"Host(`a.x`) || Host(`b.y`)", 5, 5}});
  EXPECT_EQ(Find(table, "a.x", "/p/q"), 4);
  EXPECT_EQ(Find(table, "c.x", "/p/q"), 1);
  EXPECT_EQ(Find(table, "b.y", "/p/q"), 5);
  EXPECT_EQ(Find(table, "c", "/p/q"), 3);
  EXPECT_EQ(Find(table, "c", "/p"), 2);
}

TEST(RouteTable, ForgetsThePrioritiesOfWiderHostsWithThem) {
  Table table;
  table.Set("h", {{"/", ~uint64_t{0}, 1}});
  table.Set("*", {{"/", ~uint64_t{0}, 2, 100'000'000}});
  EXPECT_EQ(Find(table, "h"), 2);
  table.Set("*", {{"/", ~uint64_t{0}, 3}});
  EXPECT_EQ(Find(table, "h"), 1);
  table.Set("*", {});
  EXPECT_EQ(Find(table, "h"), 1);
  EXPECT_EQ(Find(table, "g"), -1);
}

TEST(RouteTable, FindsTheLongestOfManyPrefixes) {
  SeededRandom random(3);
  std::vector<std::string> prefixes = {"/"};
  std::vector<Table::Entry> entries = {{"/", ~uint64_t{0}, 0}};
  auto path = [&] {
    std::string text = "/";
    for (uint64_t i = 0; i < random.Below(6); i++) text += "ab/"[random.Below(3)];
    return text;
  };
  for (int i = 1; i < 200; i++) {
    prefixes.push_back(path());
    entries.push_back({prefixes.back(), ~uint64_t{0}, i});
  }
  Table table;
  table.Set("h", entries);
  for (int i = 0; i < 5'000; i++) {
    const std::string asked = path();
    size_t longest = 0;
    for (size_t p = 0; p < prefixes.size(); p++)
      if (asked.starts_with(prefixes[p]) && prefixes[p].size() > prefixes[longest].size()) longest = p;
    ASSERT_EQ(prefixes[static_cast<size_t>(Find(table, "h", asked))], prefixes[longest]) << asked;
  }
}

// Rules over few hosts, paths and methods, so that many meet.
std::string RandomRule(Random& random, int depth) {
  static constexpr const char* kMatchers[] = {
      "Host(`a.x`)", "Host(`b.x`)", "Host(`*.x`)", "Host(`*`)", "HostRegexp(`^a`)", "PathPrefix(`/p`)", "PathPrefix(`/p/q`)",
      "Path(`/p`)", "Method(`GET`)", "Query(`k`)", "ClientIP(`10.0.0.0/8`)"};
  if (depth == 0 || random.OneIn(3)) return Cat(random.OneIn(4) ? "!" : "", kMatchers[random.Below(std::size(kMatchers))]);
  const char* op = random.OneIn(2) ? " && " : " || ";
  std::string rule = random.OneIn(4) ? "!(" : "(";
  rule += RandomRule(random, depth - 1);
  for (uint64_t i = 0; i <= random.Below(2); i++) rule += Cat(op, RandomRule(random, depth - 1));
  return rule + ")";
}

// What goes first by the document: priority, then the host, the path and the age where its matchers name them. Age alone
// is unique, so whatever ties beyond the priority is left to the tests above.
TEST(RouteTable, EqualsAskingEveryRuleInTheOrderOfPriority) {
  SeededRandom random(5);
  for (int round = 0; round < 200; round++) {
    std::vector<Ruled> rules;
    for (int i = 0; i < 12; i++) rules.push_back({RandomRule(random, 3), i, static_cast<int64_t>(100 * random.Below(9) + 1) + i});
    std::ranges::sort(rules, std::greater(), &Ruled::priority);
    const Table table = TableOf(rules);
    discovery::RegexCache regexes;
    std::vector<discovery::Condition> conditions;
    for (const Ruled& ruled : rules) conditions.emplace_back(discovery::ParseRule(ruled.rule)->rule, regexes);
    for (const char* host : {"a.x", "b.x", "c.x", "a.b.x", "x", ""})
      for (const char* path : {"/", "/p", "/p/q/r"})
        for (const char* method : {"GET", "PUT"}) {
          const discovery::RequestView view{.host = host, .path = path, .query = random.OneIn(2) ? "k" : "", .method = method,
                                            .client_ip = IpAddress::V4(random.OneIn(2) ? 0x0a000001 : 0x0b000001)};
          int expected = -1;
          for (size_t i = 0; i < rules.size() && expected < 0; i++)
            if (conditions[i].Holds(view)) expected = rules[i].target;
          const Table::Entry* found = table.Find(view, 0);
          ASSERT_EQ(found == nullptr ? -1 : found->target, expected) << "round " << round << ": " << host << path << " " << method;
        }
  }
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
