#include "lb/route_rule.h"

#include <gtest/gtest.h>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

// "host/prefix" for each place, with "?" where something is left to ask.
std::string Places(std::string_view text) {
  discovery::RegexCache regexes;
  auto parsed = discovery::ParseRule(text);
  EXPECT_TRUE(parsed.ok()) << text << ": " << parsed.status();
  std::string out;
  for (const RulePlace& place : PlacesOf(parsed->rule, regexes))
    out += Cat(out.empty() ? "" : " ", place.host, place.path_prefix, place.condition != nullptr ? "?" : "");
  return out;
}

TEST(RulePlaces, HostsAndPrefixesLeaveNothingToAsk) {
  EXPECT_EQ(Places("Host(`a`)"), "a/");
  EXPECT_EQ(Places("Host(`a`) || Host(`b`)"), "a/ b/");
  EXPECT_EQ(Places("(Host(`a`) || Host(`b`)) && PathPrefix(`/x`)"), "a/x b/x");
  EXPECT_EQ(Places("PathPrefix(`/x`)"), "*/x");
  EXPECT_EQ(Places("Host(`*`)"), "*/");
  EXPECT_EQ(Places("Host(`*`) && PathPrefix(`/x`)"), "*/x");
  EXPECT_EQ(Places("HostSNI(`db.x`)"), "db.x/");
  EXPECT_EQ(Places("HostSNI(`*`)"), "*/");
}

TEST(RulePlaces, TheRestIsAskedUnderHostAndPath) {
  EXPECT_EQ(Places("Host(`a`) && Method(`GET`)"), "a/?");
  EXPECT_EQ(Places("Host(`a`) && !PathPrefix(`/x`)"), "a/?");
  EXPECT_EQ(Places("Host(`a`) && PathPrefix(`/x`) && Query(`q`)"), "a/x?");
  EXPECT_EQ(Places("Host(`a`) && PathPrefix(`/x`) && PathPrefix(`/x/y`)"), "a/x/y?");
  EXPECT_EQ(Places("Host(`a`) && Path(`/x`)"), "a/x?");
  EXPECT_EQ(Places("Host(`a`) && (PathPrefix(`/x`) || PathPrefix(`/y`))"), "a/?");
  EXPECT_EQ(Places("Host(`*.a`)"), "*.a/?");  // one label, where the host form takes any number
  EXPECT_EQ(Places("HostRegexp(`^a`)"), "*/?");
  EXPECT_EQ(Places("!Host(`a`)"), "*/?");
  EXPECT_EQ(Places("Host(`a`) || Method(`GET`)"), "*/?");
}

TEST(RulePlaces, EachHostGetsWhatTheRuleSaysOfIt) {
  EXPECT_EQ(Places("Host(`a`) || (Host(`b`) && PathPrefix(`/x`))"), "a/ b/x");
  EXPECT_EQ(Places("(Host(`a`) || Host(`b`)) && !Host(`b`)"), "a/");
  EXPECT_EQ(Places("(Host(`a1`) || Host(`b1`)) && HostRegexp(`^a`)"), "a1/");
  EXPECT_EQ(Places("Host(`a.x`) && Host(`*.x`)"), "a.x/");
  EXPECT_EQ(Places("Host(`a`) && (Host(`a`) || Method(`GET`))"), "a/");
}

TEST(RulePlaces, ARuleThatNoRequestMeetsHasNone) {
  EXPECT_EQ(Places("Host(`a`) && Host(`b`)"), "");
  EXPECT_EQ(Places("Host(`a`) && !Host(`a`)"), "");
  RuleBook book;
  EXPECT_EQ(book.Get("Host(`a`) && Host(`b`)")->fault, "no request can meet the rule");
}

TEST(RuleBook, ReadsARuleOnceAndForgetsThoseOutOfUse) {
  RuleBook book;
  auto rule = book.Get("Host(`a`) && PathRegexp(`x`)");
  EXPECT_EQ(book.Get("Host(`a`) && PathRegexp(`x`)"), rule);
  for (int i = 0; i < 500; i++) (void)book.Get(Cat("Host(`h", i, "`)"));
  EXPECT_EQ(book.Get("Host(`a`) && PathRegexp(`x`)"), rule);
  EXPECT_EQ(book.Get("Host(")->fault, "at byte 6: expected `text` or \"text\", found the end");
}

}  // namespace
}  // namespace fairlead::lb
