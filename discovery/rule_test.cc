#include "discovery/rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/strings.h"
#include "discovery/rule_fuzz.h"

namespace fairlead::discovery {
namespace {

using testing::HasSubstr;

// A rule, or "error: …"; with v2's forms the warnings behind it.
std::string Canonical(std::string_view text) {
  StatusOr<ParsedRule> parsed = ParseRule(text);
  if (!parsed.ok()) return Cat("error: ", Message(parsed.status()));
  std::string out = PrintRule(parsed->rule);
  for (const std::string& warning : parsed->warnings) out += Cat("\n  ", warning);
  return out;
}

struct Line {
  std::string_view in, out;
};

void Check(std::initializer_list<Line> lines) {
  for (const Line& line : lines) {
    EXPECT_EQ(Canonical(line.in), line.out) << line.in;
    (void)TryRule(line.in);
  }
}

TEST(Rule, EveryMatcherHasOneForm) {
  Check({
      {"Host(`Shop.Example.COM.`)", "Host(`shop.example.com`)"},
      {"Host(\"a.example\")", "Host(`a.example`)"},
      {"Host(`*.example`)", "Host(`*.example`)"},
      {"Host(`*`)", "Host(`*`)"},
      {"Host(`[2001:db8::1]`)", "Host(`[2001:db8::1]`)"},
      {"HostRegexp(`^.+\\.[a-z]{2,3}$`)", "HostRegexp(`^.+\\.[a-z]{2,3}$`)"},
      {"Path(`/products`)", "Path(`/products`)"},
      {"PathPrefix(`/products`)", "PathPrefix(`/products`)"},
      {"PathRegexp(`^/v[0-9]+/`)", "PathRegexp(`^/v[0-9]+/`)"},
      {"Method(`get`)", "Method(`GET`)"},
      {"Header(`X-Version`, `2`)", "Header(`X-Version`, `2`)"},
      {"HeaderRegexp(`Accept` , `json`)", "HeaderRegexp(`Accept`, `json`)"},
      {"Query(`mobile`)", "Query(`mobile`)"},
      {"Query(`mobile`, ``)", "Query(`mobile`)"},
      {"Query(`mobile`, `true`)", "Query(`mobile`, `true`)"},
      {"QueryRegexp(`mobile`)", "Query(`mobile`)"},
      {"QueryRegexp(`page`, `^[0-9]+$`)", "QueryRegexp(`page`, `^[0-9]+$`)"},
      {"ClientIP(`10.0.0.7`)", "ClientIP(`10.0.0.7`)"},
      {"ClientIP(`10.1.2.3/8`)", "ClientIP(`10.0.0.0/8`)"},
      {"ClientIP(`2001:DB8::/32`)", "ClientIP(`2001:db8::/32`)"},
      {"HostSNI(`DB.example`)", "HostSNI(`db.example`)"},
      {"HostSNIRegexp(`^db-[0-9]+\\.`)", "HostSNIRegexp(`^db-[0-9]+\\.`)"},
      {"ALPN(`h2`)", "ALPN(`h2`)"},
  });
}

TEST(Rule, NamesOfMatchersHaveFourForms) {
  Check({
      {"pathprefix(`/a`)", "PathPrefix(`/a`)"},
      {"PATHPREFIX(`/a`)", "PathPrefix(`/a`)"},
      {"Pathprefix(`/a`)", "PathPrefix(`/a`)"},
      {"clientip(`10.0.0.1`)", "ClientIP(`10.0.0.1`)"},
      {"hostsni(`*`)", "HostSNI(`*`)"},
      {"pathPrefix(`/a`)", "error: at byte 1: there is no matcher pathPrefix; did you mean PathPrefix?"},
      {"Hots(`a`)", "error: at byte 1: there is no matcher Hots; did you mean Host?"},
      {"Geographically(`a`)",
       "error: at byte 1: there is no matcher Geographically; there are Host, HostRegexp, Path, PathPrefix, PathRegexp, Method, "
       "Header, HeaderRegexp, Query, QueryRegexp, ClientIP, HostSNI, HostSNIRegexp, ALPN"},
  });
}

TEST(Rule, AndBindsTighterThanOrAndNotGoesToTheMatchers) {
  Check({
      {"Host(`a`)||Host(`b`)&&Path(`/`)", "Host(`a`) || (Host(`b`) && Path(`/`))"},
      {"(Host(`a`) || Host(`b`)) && Path(`/`)", "(Host(`a`) || Host(`b`)) && Path(`/`)"},
      {"Host(`a`) || (Host(`b`) || Host(`c`))", "Host(`a`) || Host(`b`) || Host(`c`)"},
      {"(Host(`a`) && ((Path(`/`))))", "Host(`a`) && Path(`/`)"},
      {"!Host(`a`)", "!Host(`a`)"},
      {"!!Host(`a`)", "Host(`a`)"},
      {"! ( Host(`a`) && Path(`/x`) )", "!Host(`a`) || !Path(`/x`)"},
      {"!(Host(`a`) || Path(`/x`)) || Path(`/y`)", "(!Host(`a`) && !Path(`/x`)) || Path(`/y`)"},
      {"!(Host(`a`) && !(Path(`/x`) || !Path(`/y`)))", "!Host(`a`) || Path(`/x`) || !Path(`/y`)"},
      {"\tHost(`a`)\n  && Path(`/`)\r\n", "Host(`a`) && Path(`/`)"},
  });
}

TEST(Rule, LiteralsAreGoStrings) {
  Check({
      {R"(Header(`X`, "tab\there"))", R"(Header(`X`, "tab\x09here"))"},
      {R"(Header(`X`, "\x41\101\u00e9\U0001F600\\\""))", "Header(`X`, `AA\u00e9\U0001F600\\\"`)"},
      {"Header(`X`, \"a`b\")", "Header(`X`, \"a`b\")"},
      {"Path(`/a\\b`)", "Path(`/a\\b`)"},
      {"Path(`/\xff`)", "Path(`/\xff`)"},
      {"Host('a')", "error: at byte 6: expected `text` or \"text\" (single quotes are no strings), found \"'a')\""},
      {"Host(`a)", "error: at byte 6: expected the ` that ends this text"},
      {"Host(\"a)", "error: at byte 6: expected the \" that ends this text on its line"},
      {R"(Host("\q"))",
       R"(error: at byte 7: expected \n, \t, \\, \", \x and two digits, or \u and four; or write the text in backquotes)"},
      {R"(Host("\x1"))", "error: at byte 7: expected 2 hexadecimal digits"},
      {R"(Host("\400"))", "error: at byte 7: the byte is above \\377"},
      {R"(Host("\ud800"))", "error: at byte 7: there is no such character in Unicode"},
  });
}

TEST(Rule, AnErrorNamesThePlaceAndWhatBelongsThere) {
  Check({
      {"", "error: the rule is empty; write it as in Host(`shop.example.com`)"},
      {"  ", "error: the rule is empty; write it as in Host(`shop.example.com`)"},
      {"Host", "error: at byte 5: expected (, found the end"},
      {"Host(", "error: at byte 6: expected `text` or \"text\", found the end"},
      {"Host()", "error: at byte 6: expected `text` or \"text\", found \")\""},
      {"Host(a)", "error: at byte 6: expected `text` or \"text\", found \"a)\""},
      {"Host(`a`", "error: at byte 9: expected , or ), found the end"},
      {"Host(`a`,)", "error: at byte 10: expected `text` or \"text\", found \")\""},
      {"Host(`a`) Path(`/`)", "error: at byte 11: expected &&, || or the end, found \"Path(`/`)\""},
      {"Host(`a`) & Path(`/`)", "error: at byte 11: expected &&, || or the end, found \"& Path(`/`)\""},
      {"Host(`a`) &&", "error: at byte 13: expected a matcher, as in Host(`shop.example.com`), ! or (, found the end"},
      {"|| Host(`a`)", "error: at byte 1: expected a matcher, as in Host(`shop.example.com`), ! or (, found \"|| Host(`a`)\""},
      {"(Host(`a`)", "error: at byte 11: expected &&, || or ), found the end"},
      {"Host(`a`))", "error: at byte 10: expected &&, || or the end, found \")\""},
      {"Header(`X`)", "error: at byte 1: Header takes 2 values, not 1"},
      {"Query(`a`, `b`, `c`)", "error: at byte 1: Query takes 1 or 2 values, not 3"},
      {"PathRegexp(`a`, `b`)", "error: at byte 1: PathRegexp takes 1 value, not 2"},
      {"Host(`a`) && HostSNI(`b`)",
       "error: at byte 14: HostSNI is of TCP, and what stands before is not: a rule is of one of them"},
  });
}

TEST(Rule, RefusesWhatNoRequestCouldMeet) {
  Check({
      {"Host(``)", "error: at byte 1: \"\" is no host; write a name without port, as in shop.example.com"},
      {"Host(`a..b`)", "error: at byte 1: \"a..b\" is no host; write a name without port, as in shop.example.com"},
      {"Host(`a..`)", "error: at byte 1: \"a.\" is no host; write a name without port, as in shop.example.com"},
      {"Host(`a:80`)", "error: at byte 1: \"a:80\" is no host; write a name without port, as in shop.example.com"},
      {"Host(`*a`)", "error: at byte 1: \"*a\": a wildcard is \"*\" or \"*.\" and a name"},
      {"Host(`b\u00fccher.example`)",
       "error: at byte 1: \"b\u00fccher.example\" holds letters beyond ASCII; write the name in punycode, as in "
       "xn--bcher-kva.example"},
      {"Path(`a`)", "error: at byte 1: \"a\" begins with no /, so no path would match it"},
      {"Method(`GET POST`)", "error: at byte 1: \"GET POST\" is no method, as in GET"},
      {"Header(`X:`, `1`)", "error: at byte 1: \"X:\" is no name of a header field, as in X-Version"},
      {"Query(``)", "error: at byte 1: an empty key; write it as in Query(`page`)"},
      {"ClientIP(`10.0.0.0/33`)", "error: at byte 1: \"10.0.0.0/33\" is neither an address nor a range, as in 10.0.0.0/8"},
      {"PathRegexp(`(`)", "error: at byte 1: \"(\" is no regular expression of RE2: missing ): ("},
      {"PathRegexp(`(a)\\1`)", "error: at byte 1: \"(a)\\1\" is no regular expression of RE2: invalid escape sequence: \\1"},
  });
}

TEST(Rule, TakesTraefikV2sFormsWithAWarning) {
  Check({
      {"Host(`a`, `b`)", "Host(`a`) || Host(`b`)\n  Host with 2 values is Traefik v2's form: write Host(…) || Host(…)"},
      {"!Method(`GET`, `HEAD`)",
       "!Method(`GET`) && !Method(`HEAD`)\n  Method with 2 values is Traefik v2's form: write Method(…) || Method(…)"},
      {"HeadersRegexp(`X`, `a`)", "HeaderRegexp(`X`, `a`)\n  Traefik v2's name HeadersRegexp: write HeaderRegexp"},
      {"Headers(`X`, `a`)", "Header(`X`, `a`)\n  Traefik v2's name Headers: write Header"},
      {"HostRegexp(`{sub:[a-z]+}.example.com`)",
       "HostRegexp(`^(?:[a-z]+)\\.example\\.com$`)\n  \"{sub:[a-z]+}.example.com\" is Traefik v2's form: write "
       "HostRegexp(`^(?:[a-z]+)\\.example\\.com$`)"},
      {"Path(`/a/{id:[0-9]{3}}/b`)",
       "PathRegexp(`^\\/a\\/(?:[0-9]{3})\\/b$`)\n  \"/a/{id:[0-9]{3}}/b\" is Traefik v2's form: write "
       "PathRegexp(`^\\/a\\/(?:[0-9]{3})\\/b$`)"},
      {"PathPrefix(`/a/{id}`)",
       "PathRegexp(`^\\/a\\/(?:[^/]+)`)\n  \"/a/{id}\" is Traefik v2's form: write PathRegexp(`^\\/a\\/(?:[^/]+)`)"},
      {"HostRegexp(`^[a-z]{2,3}$`)", "HostRegexp(`^[a-z]{2,3}$`)"},  // a count of v3, no name
      {"HostRegexp(`{a:{b:c}}`)", "HostRegexp(`{a:{b:c}}`)"},
  });
}

TEST(Rule, HasLimitsWithNames) {
  auto nested = [](int depth) {
    std::string open(static_cast<size_t>(depth), '('), close(static_cast<size_t>(depth), ')');
    return Cat(open, "Host(`a`)", close);
  };
  EXPECT_EQ(Canonical(nested(kMaxRuleDepth)), "Host(`a`)");
  EXPECT_THAT(Canonical(nested(kMaxRuleDepth + 1)), HasSubstr("at byte 33: parentheses nest deeper than 32"));
  std::string values = "Host(`a`)";
  for (size_t i = 1; i < kMaxRuleValues; i++) values += "||Host(`a`)";
  EXPECT_TRUE(ParseRule(values).ok());
  EXPECT_THAT(Canonical(values + "||Host(`a`)"), HasSubstr("more than 256 values in one rule"));
  EXPECT_THAT(Canonical(Cat("Path(`/", std::string(kMaxRuleBytes, 'a'), "`)")), HasSubstr("a rule of 8201 bytes; at most 8192"));
  EXPECT_THAT(Canonical(Cat("PathRegexp(`", std::string(kMaxRegexBytes + 1, 'a'), "`)")), HasSubstr("of 1025 bytes; at most 1024"));
  EXPECT_THAT(Canonical("PathRegexp(`((a{1000}){1000}){1000}`)"), HasSubstr("is no regular expression of RE2"));
  EXPECT_EQ(Canonical(Cat(std::string(5000, '!'), "Host(`a`)")), "Host(`a`)");
}

TEST(Rule, KnowsWhatItIsFor) {
  EXPECT_EQ(ParseRule("Host(`a`) && ClientIP(`10.0.0.1`)")->protocol, RuleProtocol::kHttp);
  EXPECT_EQ(ParseRule("ClientIP(`10.0.0.1`) && ALPN(`h2`)")->protocol, RuleProtocol::kTcp);
  EXPECT_EQ(ParseRule("ClientIP(`10.0.0.1`)")->protocol, RuleProtocol::kAny);
}

TEST(RuleCorpus, KeepsItsProperties) {
  int inputs = 0, rules = 0;
  for (const auto& entry : std::filesystem::directory_iterator(FAIRLEAD_RULE_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (size_t bytes = 0; bytes < text.size(); bytes++) (void)TryRule(text.substr(0, bytes));
    rules += TryRule(text);
    ++inputs;
  }
  EXPECT_GE(inputs, 12);
  EXPECT_GE(rules, 10);
}

}  // namespace
}  // namespace fairlead::discovery
