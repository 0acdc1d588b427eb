#include "discovery/middleware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace fairlead::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string FaultOf(std::string kind, NamedValues options) {
  const auto parsed = ParseMiddleware({"m", std::move(kind), std::move(options)});
  return parsed.ok() ? "" : std::string(Message(parsed.status()));
}

template <class Options>
Options Read(std::string kind, NamedValues options) {
  auto parsed = ParseMiddleware({"m", std::move(kind), std::move(options)});
  EXPECT_TRUE(parsed.ok()) << Message(parsed.status());
  return parsed.ok() ? std::get<Options>(parsed->options) : Options();
}

const std::string kHash = "$2y$05$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBGu8Tp7tUzK6";

TEST(Middleware, ListsAreCommasOrIndices) {
  EXPECT_THAT(Read<StripPrefix>("stripprefix", {{"prefixes", "/a, /b"}}).prefixes, ElementsAre("/a", "/b"));
  EXPECT_THAT(Read<StripPrefixRegex>("stripprefixregex", {{"regex[0]", "^/a{1,2}"}, {"regex[1]", "^/b"}}).regexes,
              ElementsAre("^/a{1,2}", "^/b"));
}

TEST(Middleware, WhatIsNotUnderstoodMakesNoDefinition) {
  EXPECT_THAT(FaultOf("ipallowlist", {{"sourcerange", "10.0.0.0/8"}, {"sourcerang", "x"}}), HasSubstr("ipallowlist.sourcerang: is not understood"));
  EXPECT_THAT(FaultOf("ipallowlist", {{"ipstrategy.ipv6subnet", "129"}, {"sourcerange", "::/0"}}), HasSubstr("no number from 1 to 128"));
  EXPECT_THAT(FaultOf("ipalowlist", {}), HasSubstr("did you mean ipallowlist?"));
  EXPECT_THAT(FaultOf("addprefix+basicauth", {}), HasSubstr("several kinds"));
  EXPECT_THAT(FaultOf("forwardauth", {{"address", "http://a"}}), HasSubstr("not yet supported"));
  EXPECT_THAT(FaultOf("headers", {{"framedeny", "perhaps"}}), HasSubstr("neither true nor false"));
}

TEST(Middleware, NoFieldBreaksAMessage) {
  EXPECT_THAT(FaultOf("headers", {{"customrequestheaders.X-A", "a\r\nX-B: c"}}), HasSubstr("cannot carry"));
  EXPECT_THAT(FaultOf("headers", {{"customresponseheaders.X-A:", "a"}}), HasSubstr("no name of a field"));
  for (const char* name : {"Connection", "content-length", "Transfer-Encoding", "Upgrade", "TE"})
    EXPECT_THAT(FaultOf("headers", {{Cat("customrequestheaders.", name), "a"}}), HasSubstr("the balancer's own")) << name;
  EXPECT_THAT(FaultOf("basicauth", {{"headerfield", "Transfer-Encoding"}, {"users", Cat("a:", kHash)}}), HasSubstr("the balancer's own"));
  EXPECT_THAT(FaultOf("basicauth", {{"realm", "a\"b"}, {"users", Cat("a:", kHash)}}), HasSubstr("quote"));
}

TEST(Middleware, OnlyHashesThatCanBeVerifiedInTimeAreUsers) {
  EXPECT_THAT(Read<BasicAuth>("basicauth", {{"users", Cat("a:", kHash, ",b:", kHash)}}).users, ElementsAre(Pair("a", kHash), Pair("b", kHash)));
  const std::string apr1 = "$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/", sha1 = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";
  EXPECT_THAT(Read<BasicAuth>("basicauth", {{"users", Cat("a:", apr1, ",b:", sha1)}}).users, ElementsAre(Pair("a", apr1), Pair("b", sha1)));
  for (const std::string& wrong : {apr1 + "x", apr1.substr(0, 20), "$apr1$$" + apr1.substr(15), "$apr1$H6uskkkWX" + apr1.substr(14), sha1 + "=",
                                   std::string("{SHA}"), std::string("$6$salt$x"), std::string("{SSHA}AAAA")})
    EXPECT_THAT(FaultOf("basicauth", {{"users", "a:" + wrong}}), HasSubstr("htpasswd -nB a")) << wrong;
  EXPECT_THAT(FaultOf("basicauth", {{"users", Cat("a:$2y$31", kHash.substr(6))}}), HasSubstr("of a cost up to 14"));
  EXPECT_THAT(FaultOf("basicauth", {{"users", Cat("a:$", kHash)}}), HasSubstr("$ is not doubled"));
  EXPECT_THAT(FaultOf("basicauth", {{"users", "a:secret"}}), testing::Not(HasSubstr("secret")));
  EXPECT_NE(FaultOf("basicauth", {}), "");
  EXPECT_EQ(Read<BasicAuth>("basicauth", {{"usersfile", "/etc/fairlead/users"}}).users_file, "/etc/fairlead/users");
  EXPECT_THAT(FaultOf("basicauth", {{"usersfile", "users"}}), HasSubstr("no absolute path"));
}

TEST(Middleware, ACountOfOptionsHasALimit) {
  NamedValues many;
  for (int i = 0; i < 300; i++) many.emplace_back(Cat("customrequestheaders.X-", i), "1");
  EXPECT_THAT(FaultOf("headers", many), HasSubstr("more than 256 options"));
}

TEST(Middleware, SecurityFieldsAreWhatTraefikSays) {
  const Headers headers = Read<Headers>("headers", {{"browserxssfilter", "true"}, {"contenttypenosniff", "true"},
                                                    {"customframeoptionsvalue", "SAMEORIGIN"}, {"framedeny", "true"},
                                                    {"stsincludesubdomains", "true"}, {"stsseconds", "10"}});
  EXPECT_THAT(headers.response, ElementsAre(Pair("X-Frame-Options", "SAMEORIGIN"), Pair("X-Content-Type-Options", "nosniff"),
                                            Pair("X-XSS-Protection", "1; mode=block")));
  EXPECT_EQ(headers.sts, "max-age=10; includeSubDomains");
}

std::string Parts(std::string_view replacement, const std::string& regex) {
  auto parts = ParseTemplate(replacement, regex);
  if (!parts.ok()) return std::string(Message(parts.status()));
  std::string text;
  for (const TemplatePart& part : *parts) text += part.group >= 0 ? Cat("<", part.group, ">") : part.text;
  return text;
}

TEST(Middleware, TemplatesAreGos) {
  EXPECT_EQ(Parts("/a/$1", "(x)(y)"), "/a/<1>");
  EXPECT_EQ(Parts("${1}x$2", "(x)(y)"), "<1>x<2>");
  EXPECT_EQ(Parts("$1x", "(x)"), "");           // group "1x", which is none
  EXPECT_EQ(Parts("$$1", "(x)"), "$1");
  EXPECT_EQ(Parts("$name-${0}", "(?P<name>x)"), "<1>-<0>");
  EXPECT_EQ(Parts("$9 $ ${", "(x)"), " $ ${");
  EXPECT_THAT(Parts("a", "("), HasSubstr("no regular expression"));
}

TEST(Middleware, ReferencesHaveTheirProvider) {
  EXPECT_EQ(QualifiedMiddleware(" Auth ", "docker"), "auth@docker");
  EXPECT_EQ(QualifiedMiddleware("auth@file", "docker"), "auth@file");
}

}  // namespace
}  // namespace fairlead::discovery
