#include "discovery/rule_match.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/strings.h"

namespace fairlead::discovery {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

bool NextField(const void* fields, std::string_view name, int& at, std::string_view& value) {
  const Fields& all = *static_cast<const Fields*>(fields);
  while (static_cast<size_t>(at) < all.size()) {
    const auto& [field, content] = all[static_cast<size_t>(at++)];
    if (!EqualsIgnoreCase(field, name)) continue;
    value = content;
    return true;
  }
  return false;
}

bool Holds(std::string_view rule, const RequestView& request) {
  StatusOr<ParsedRule> parsed = ParseRule(rule);
  EXPECT_TRUE(parsed.ok()) << rule << ": " << parsed.status();
  RegexCache regexes;
  return parsed.ok() && Condition(parsed->rule, regexes).Holds(request);
}

TEST(Condition, ComparesHosts) {
  EXPECT_TRUE(Holds("Host(`A.example`)", {.host = "a.example"}));
  EXPECT_FALSE(Holds("Host(`a.example`)", {.host = "b.a.example"}));
  EXPECT_TRUE(Holds("HostRegexp(`^a[0-9]`)", {.host = "a7.example"}));
  EXPECT_TRUE(Holds("HostRegexp(`xampl`)", {.host = "a7.example"}));  // unanchored
}

TEST(Condition, AWildcardIsExactlyOneMoreLabel) {
  EXPECT_TRUE(Holds("Host(`*.x`)", {.host = "a.x"}));
  EXPECT_FALSE(Holds("Host(`*.x`)", {.host = "x"}));
  EXPECT_FALSE(Holds("Host(`*.x`)", {.host = "a.b.x"}));
  EXPECT_FALSE(Holds("Host(`*.x`)", {.host = ".x"}));
  EXPECT_TRUE(Holds("Host(`*`)", {.host = ""}));
}

TEST(Condition, ComparesPaths) {
  EXPECT_TRUE(Holds("PathPrefix(`/products`)", {.path = "/products-for-sale"}));
  EXPECT_TRUE(Holds("Path(`/products`)", {.path = "/products"}));
  EXPECT_FALSE(Holds("Path(`/products`)", {.path = "/products/"}));
  EXPECT_TRUE(Holds("PathRegexp(`^/v[0-9]+/`)", {.path = "/v12/a"}));
  EXPECT_TRUE(Holds("Path(`/\xff`)", {.path = "/\xff"}));
}

TEST(Condition, ComparesMethods) {
  EXPECT_TRUE(Holds("Method(`get`)", {.method = "GET"}));
  EXPECT_FALSE(Holds("Method(`GET`)", {.method = "get"}));  // methods have case (RFC 9110 §9.1)
}

TEST(Condition, AsksEveryFieldOfAName) {
  const Fields fields = {{"X-Version", "1"}, {"Accept", "text/html"}, {"x-version", "2"}};
  const RequestView request{.next_field = NextField, .fields = &fields};
  EXPECT_TRUE(Holds("Header(`x-Version`, `2`)", request));
  EXPECT_FALSE(Holds("Header(`X-Version`, `3`)", request));
  EXPECT_FALSE(Holds("Header(`Accept`, `text`)", request));
  EXPECT_TRUE(Holds("HeaderRegexp(`Accept`, `html`)", request));
  EXPECT_FALSE(Holds("Header(`X-Other`, ``)", request));
}

TEST(Condition, ReadsQueriesAsGoDoes) {
  auto holds = [](std::string_view rule, std::string_view query) { return Holds(rule, {.query = query}); };
  EXPECT_TRUE(holds("Query(`a`)", "b=1&a"));
  EXPECT_TRUE(holds("Query(`a`)", "a="));
  EXPECT_FALSE(holds("Query(`a`)", "a=1"));
  EXPECT_TRUE(holds("Query(`a`, `1`)", "a=0&a=1"));
  EXPECT_TRUE(holds("Query(`a b`, `c&d`)", "a+b=c%26d"));
  EXPECT_TRUE(holds("Query(`a`, `1=2`)", "a=1=2"));
  EXPECT_FALSE(holds("Query(`a`, `1`)", "a=1;b=2"));
  EXPECT_FALSE(holds("QueryRegexp(`a`, `1`)", "a=1%zz"));
  EXPECT_FALSE(holds("QueryRegexp(`a`, ``)", "a=1%2"));
  EXPECT_TRUE(holds("QueryRegexp(`a`, `^[0-9]+$`)", "a=x&a=12"));
  EXPECT_FALSE(holds("Query(`a`)", ""));
  const std::string escaped(3000, '+'), blanks(3000, ' ');  // beyond what is decoded on the stack
  EXPECT_TRUE(holds(Cat("Query(`a`, `", blanks, "`)"), Cat("a=", escaped)));
}

TEST(Condition, ComparesTheClientsAddress) {
  const RequestView request{.client_ip = *IpAddress::Parse("10.1.2.3")};
  EXPECT_TRUE(Holds("ClientIP(`10.1.2.3`)", request));
  EXPECT_TRUE(Holds("ClientIP(`10.0.0.0/8`)", request));
  EXPECT_FALSE(Holds("ClientIP(`10.1.2.4`)", request));
  EXPECT_FALSE(Holds("ClientIP(`::/0`)", request));
  EXPECT_FALSE(Holds("ClientIP(`0.0.0.0/0`)", {}));  // not known
}

TEST(Condition, AsksAClientHello) {
  const RequestView hello{.host = "db.example", .alpn = std::string_view("\x02h2\x08http/1.1", 12)};
  EXPECT_TRUE(Holds("HostSNI(`db.example`) && ALPN(`h2`)", hello));
  EXPECT_TRUE(Holds("ALPN(`http/1.1`)", hello));
  EXPECT_FALSE(Holds("ALPN(`h`)", hello));
  EXPECT_TRUE(Holds("HostSNIRegexp(`^db`)", hello));
  EXPECT_FALSE(Holds("ALPN(`h2`)", {.alpn = "\x09h2"}));  // a length beyond the list
}

TEST(Condition, JoinsWithAndOrAndNot) {
  const RequestView request{.host = "a", .path = "/x", .method = "GET"};
  EXPECT_TRUE(Holds("Host(`a`) && !Path(`/y`)", request));
  EXPECT_FALSE(Holds("Host(`a`) && Path(`/y`) || Host(`b`)", request));
  EXPECT_TRUE(Holds("Host(`b`) || (Host(`a`) && (Path(`/y`) || Method(`GET`)))", request));
  EXPECT_FALSE(Holds("!(Host(`b`) || (Host(`a`) && (Path(`/y`) || Method(`GET`))))", request));
}

TEST(RegexCache, CompilesAPatternOnceAndForgetsThoseOutOfUse) {
  RegexCache regexes;
  auto first = regexes.Get("^a$");
  EXPECT_EQ(regexes.Get("^a$"), first);
  for (int i = 0; i < 1000; i++) (void)regexes.Get(Cat("b", i));
  EXPECT_LT(regexes.size(), 200u);
  EXPECT_EQ(regexes.Get("^a$"), first);
}

}  // namespace
}  // namespace fairlead::discovery
