#include "discovery/nginx_multiports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"

namespace fairlead::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Read(const std::string& text, std::vector<std::string>* problems = nullptr) {
  std::vector<std::string> lines, noted;
  auto paths = ParseMultiports(text, problems == nullptr ? noted : *problems);
  if (!paths.ok()) return {Cat("error: ", Message(paths.status()))};
  for (const VirtualPath& path : *paths) lines.push_back(Join({path.host, path.path, path.port, path.proto, path.dest}, "|"));
  return lines;
}

TEST(Multiports, AreHostsPathsAndTheirPorts) {
  EXPECT_THAT(Read("www.example.com:\n"
                   "api.example.com:\n"
                   "  \"/\":\n"
                   "    port: 8080\n"
                   "  /admin:\n"
                   "    port: \"9090\"\n"
                   "    proto: grpc\n"
                   "    dest: /\n"),
              ElementsAre("www.example.com||||", "api.example.com|/|8080||", "api.example.com|/admin|9090|grpc|/"));
}

TEST(Multiports, MayBeJson) {
  EXPECT_THAT(Read(R"({"a.example": {"/": {"port": 8080}, "/b": null}, "b.example": {}})"),
              ElementsAre("a.example|/|8080||", "a.example|/b|||", "b.example||||"));
}

TEST(Multiports, PortsOfTheProxyAreOfTheHostAndNotYet) {
  std::vector<std::string> problems;
  EXPECT_THAT(Read("a.example: {external_http_port: 8000, /: {}}", &problems), ElementsAre("a.example|/|||"));
  EXPECT_THAT(problems, ElementsAre(HasSubstr("external_http_port of \"a.example\" is not yet supported")));
}

TEST(Multiports, WhatIsNoSuchMapIsAnErrorThatSaysWhere) {
  EXPECT_THAT(Read("a.example"), ElementsAre("error: is no map of hosts"));
  EXPECT_THAT(Read("a.example: 8080"), ElementsAre("error: \"a.example\" is no map of paths"));
  EXPECT_THAT(Read("a.example: {/: 8080}"), ElementsAre(HasSubstr("\"/\" of \"a.example\" is no map of port, proto and dest")));
  EXPECT_THAT(Read("a.example: {/: {prot: http}}"), ElementsAre(HasSubstr("has \"prot\", which is none of port, proto, dest")));
  EXPECT_THAT(Read("a.example: {/: {port: [80]}}"), ElementsAre(HasSubstr("port is no text")));
  EXPECT_THAT(Read("a.example: {}\nb.example: {\n"), ElementsAre(HasSubstr("error: line ")));
}

TEST(Multiports, HaveALimit) {
  std::string text;
  for (size_t i = 0; i < kMaxMultiportsPaths; i++) text += Cat("h", i, ".example: {}\n");
  EXPECT_EQ(Read(text).size(), kMaxMultiportsPaths);
  EXPECT_THAT(Read(text + "one.more: {}\n"), ElementsAre("error: has more than 64 paths"));
  EXPECT_THAT(Read(std::string(kMaxMultiportsBytes + 1, 'x')), ElementsAre(HasSubstr("is longer than 16384 bytes")));
}

// A container's environment is anybody's text: what is nested, or names itself again and again, ends in an error.
TEST(Multiports, HostileTextIsAnError) {
  EXPECT_THAT(Read(std::string(kMaxMultiportsBytes, '[')), ElementsAre(HasSubstr("error:")));
  std::string bomb = "a: &a {/: {}}\n";
  for (char c = 'b'; c <= 'z'; c++) bomb += Cat(std::string(1, c), ": &", std::string(1, c), " {/1: *", std::string(1, static_cast<char>(c - 1)), ", /2: *",
                                                std::string(1, static_cast<char>(c - 1)), "}\n");
  EXPECT_THAT(Read(bomb), ElementsAre(HasSubstr("error:")));
}

}  // namespace
}  // namespace fairlead::discovery
