#include "app/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using testing::HasSubstr;

class Commands : public testing::Test {
 protected:
  Commands() { agent.Fill(); }
  std::string Out(std::vector<std::string> arguments) {
    TestAgent::Ran ran = agent.Command(std::move(arguments));
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(ran.err, "");
    return ran.out;
  }
  TestAgent agent;
};

TEST_F(Commands, StatusTellsTheAgentInAFewLines) {
  EXPECT_EQ(Out({"status"}),
            R"(node        host1, fairlead 0.1.0, up for 1h
engine      docker: connected, unix:/run/d.sock
catalog     revision 4 of epoch 7, complete
containers  3
services    2 of 2 ready; 2 of 4 endpoints ready
leases      2 attached, 1 detached, in 1 pool
)");
}

TEST_F(Commands, ServicesShowWhoIsReadyAndThatThereAreProblems) {
  EXPECT_EQ(Out({"service", "ls"}),
            R"(NAME            READY  HOSTS               NOTE
legacy.default  1/1    legacy.example.com
web.demo        1/3    web.demo.example    3 problems
)");
  EXPECT_EQ(Out({"service", "ls", "-q"}), "legacy.default\nweb.demo\n");
  EXPECT_EQ(Out({"service", "ls", "-o", "name"}), "legacy.default\nweb.demo\n");
}

TEST_F(Commands, AServiceIsToldWithItsRoutesEndpointsAndProblems) {
  std::string out = Out({"service", "inspect", "web"});
  EXPECT_THAT(out, HasSubstr("legacy.example.com       /     web.demo  all        label   shadowed by legacy.default\n"));
  EXPECT_THAT(out, HasSubstr("demo-web-2  10.40.0.11:80  unhealthy: HTTP 500     1       host1  1h "));
  EXPECT_THAT(out, HasSubstr("demo-web-3  label fairlead.hots is not understood (did you mean fairlead.host?)\n"));
}

TEST_F(Commands, EndpointsShowWhyTheyTakeNoTraffic) {
  EXPECT_EQ(Out({"endpoint", "ls"}),
            R"(SERVICE         NAME           ADDRESS        STATUS                  WEIGHT  NODE   AGE
legacy.default  10.0.0.5:8080  10.0.0.5:8080  ready                   1       -
web.demo        demo-web-1     10.40.0.10:80  ready                   1       host1  1h
web.demo        demo-web-2     10.40.0.11:80  unhealthy: HTTP 500     1       host1  1h
web.demo        demo-web-3     -              not published: no port  1       host1  1h
)");
}

TEST_F(Commands, RoutesShowWhoShadowsWhom) {
  EXPECT_EQ(Out({"route", "ls"}),
            R"(HOST                           PATH  SERVICE         LISTENERS  SOURCE  NOTE
legacy.default.lb.fl.internal  /     legacy.default  all        zone
legacy.example.com             /     legacy.default  all        file
legacy.example.com             /     web.demo        all        label   shadowed by legacy.default
web.demo.example               /     web.demo        all        label
web.demo.lb.fl.internal        /     web.demo        all        zone
)");
}

TEST_F(Commands, LeasesPoolsAndNodesAreListed) {
  EXPECT_EQ(Out({"ip", "ls"}),
            R"(NAME        ADDRESS     NETWORK  POOL  STATE     AGE
demo-web-1  10.40.0.10  shopnet  shop  attached  59m59s
demo-web-2  10.40.0.11  shopnet  shop  attached  59m59s
old         10.40.0.20  shopnet  shop  detached  59m59s
)");
  EXPECT_EQ(Out({"pool", "ls"}),
            R"(NAME  PROJECT  PREFIXES      SIZE  ATTACHED  DETACHED  QUARANTINED  RESERVED  FREE
shop  -        10.40.0.0/24  253   2         1         0            0         250
)");
  EXPECT_EQ(Out({"node", "ls"}), "NAME   SITE  ADDRESSES   CONTAINERS\nhost1  sh    192.0.2.10  3\n");
}

TEST_F(Commands, JsonIsTheApis) {
  auto printed = nlohmann::json::parse(Out({"ip", "ls", "-o", "json"}));
  EXPECT_EQ(printed[2]["name"], "old");
  EXPECT_EQ(printed[2]["state"], "detached");
  EXPECT_EQ(printed[2]["since"], "2023-11-14T22:13:21Z");
  EXPECT_THAT(Out({"pool", "ls", "-o", "yaml"}), HasSubstr("  prefixes:\n    - attached: 2\n      cidr: \"10.40.0.0/24\"\n"));
}

TEST_F(Commands, WhyFollowsAUrlToTheContainer) {
  EXPECT_EQ(Out({"why", "http://web.demo.example/"}),
            R"(✔ listener: web at 0.0.0.0:80  (configuration)
✔ route: web.demo.example/ leads to web.demo  (label)
✔ service: web.demo: 1 of 3 endpoints may take traffic
  ✔ endpoint: demo-web-1 at 10.40.0.10:80: running  (node host1, for 1h)
    ✔ rule: address on Fairlead network shopnet  (node host1)
    ✔ lease: 10.40.0.10 belongs to shopnet/host1/demo-web-1 in pool shop, attached  (lease store, for 59m59s)
  ✖ endpoint: demo-web-2 at 10.40.0.11:80: unhealthy: HTTP 500  (node host1, for 1h)
    ✔ rule: address on Fairlead network shopnet  (node host1)
    ✔ lease: 10.40.0.11 belongs to shopnet/host1/demo-web-2 in pool shop, attached  (lease store, for 59m59s)
  ✖ endpoint: demo-web-3: not published: no port  (node host1, for 1h)
    · note: label fairlead.hots is not understood (did you mean fairlead.host?)  (node host1)
    · note: rejected: differs in host from container demo-web-1  (node host1)
)");
}

// A container of service "api" with these rules, beside those of the fixture.
discovery::EndpointRow Ruled(std::vector<std::string> rules) {
  discovery::EndpointRow row = Container("demo-api-1", "10.40.0.30");
  row.services[0].service = "api";
  row.services[0].routes.clear();
  for (std::string& rule : rules)
    row.services[0].routes.push_back({.hosts = {}, .path_prefix = "/", .listeners = {}, .rule = std::move(rule), .priority = 0});
  return row;
}

TEST_F(Commands, RoutesShowRulesWhereTheyStand) {
  agent.catalog.Upsert(Ruled({"(Host(`a.example`) || Host(`b.example`)) && Method(`PUT`)", "HostSNI(`c.example`)"}));
  std::string out = Out({"route", "ls", "-o", "wide"});
  EXPECT_THAT(out, HasSubstr("(Host(`a.example`) || Host(`b.example`)) && Method(`PUT`)"));
  EXPECT_THAT(out, HasSubstr("not in use: HostSNI(`c.example`): it asks for connections of TLS, and api.demo speaks http: use Host"));
  auto routes = nlohmann::json::parse(Out({"route", "ls", "-o", "json"}));
  EXPECT_EQ(routes[0]["host"], "a.example");
  EXPECT_EQ(routes[0]["rule"], "(Host(`a.example`) || Host(`b.example`)) && Method(`PUT`)");
  EXPECT_EQ(routes[0]["priority"], 57);
  EXPECT_EQ(routes[0]["fault"], nullptr);
  EXPECT_EQ(routes[1]["host"], "api.demo.lb.fl.internal");
  EXPECT_EQ(routes[1]["rule"], nullptr);
}

TEST_F(Commands, WhyTellsWhichRulesWereTriedAndWhichOneWon) {
  agent.catalog.Upsert(Ruled({"Host(`a.example`) && Method(`PUT`) && Query(`x`, `1`)", "Host(`a.example`)", "Host(`a.example`) && Header(`X-V`, `2`)"}));
  std::string out = Out({"why", "http://a.example/"});
  EXPECT_THAT(out, HasSubstr("✔ route: Host(`a.example`) (priority 17) leads to api.demo  (label)\n"
                             "  · route: tried first, priority 53, does not hold: Host(`a.example`) && Method(`PUT`) && Query(`x`, `1`) of "
                             "api.demo  (label)\n"
                             "  · route: tried first, priority 39, does not hold: Host(`a.example`) && Header(`X-V`, `2`) of api.demo  (label)\n"));
  EXPECT_THAT(Out({"why", "http://a.example/?x=1", "--method", "PUT"}),
              HasSubstr("✔ route: Host(`a.example`) && Method(`PUT`) && Query(`x`, `1`) (priority 53) leads to api.demo  (label)\n✔ service"));
  EXPECT_THAT(Out({"why", "http://a.example/", "--header", "x-v: 2"}), HasSubstr("✔ route: Host(`a.example`) && Header(`X-V`, `2`)"));
  EXPECT_THAT(agent.Command({"why", "http://a.example/", "--header", "x"}).err, HasSubstr("\"x\" is no field, as in X-Version: 2"));
}

TEST_F(Commands, WhyTellsWhichRulesDidNotHoldWhereNothingArrives) {
  agent.catalog.Upsert(Ruled({"ClientIP(`10.0.0.0/8`) && PathPrefix(`/in`)"}));
  TestAgent::Ran ran = agent.Command({"why", "http://nobody.example/in/x"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("tried first, priority 43, does not hold: ClientIP(`10.0.0.0/8`) && PathPrefix(`/in`) of api.demo"));
  EXPECT_THAT(Out({"why", "http://nobody.example/in/x", "--client", "10.1.2.3"}), HasSubstr("leads to api.demo"));
}

TEST_F(Commands, WhyEndsWithOneWhereNothingArrives) {
  TestAgent::Ran ran = agent.Command({"why", "http://web.demo.exampel/"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("✖ route: none matches web.demo.exampel/: the balancer answers 404; the nearest host with "
                                 "a route is web.demo.example\n"));
}

TEST_F(Commands, ReleaseAsksAndNeedsADetachedLease) {
  TestAgent::Ran nobody = agent.Command({"ip", "release", "old"});
  EXPECT_EQ(nobody.code, 2);
  EXPECT_THAT(nobody.err, HasSubstr("-y does it without asking"));
  EXPECT_EQ(agent.Command({"ip", "release", "old"}, false).code, 1);
  TestAgent::Ran attached = agent.Command({"ip", "release", "demo-web-1", "-y"});
  EXPECT_EQ(attached.code, 4);
  EXPECT_THAT(attached.err, HasSubstr("stop its container first"));
  EXPECT_EQ(Out({"ip", "release", "old", "-y"}), "released 10.40.0.20 of shopnet/host1/old\n");
  EXPECT_THAT(Out({"ip", "history", "10.40.0.20"}), HasSubstr("old   shopnet  shop  2023-11-14T22:13:21Z  2023-11-14T22:13:21Z\n"));
}

TEST_F(Commands, WhatIsNotThereIsThreeWithTheNearestName) {
  TestAgent::Ran ran = agent.Command({"service", "inspect", "wbe"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.err, "fairlead: there is no service wbe; did you mean web?\n  try: fairlead service ls\n");
  EXPECT_EQ(agent.Command({"ip", "inspect", "odl"}).err, "fairlead: there is no lease of odl; did you mean old?\n  try: fairlead ip ls\n");
  EXPECT_EQ(agent.Command({"pool", "inspect", "shp"}).code, 3);
  EXPECT_EQ(agent.Command({"why", "demo-wep-1"}).code, 3);
  EXPECT_EQ(agent.Command({"ip", "history", "10.99.0.1"}).code, 3);
}

TEST(EmptyAgent, SaysOnStderrThatThereIsNothing) {
  TestAgent agent;
  agent.balancer = {};
  TestAgent::Ran ran = agent.Command({"service", "ls"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "no services\n");
  EXPECT_EQ(agent.Command({"service", "ls", "-o", "json"}).out, "[]\n");
}

TEST(Usage, WrongWordsAreTwoWithWhatWasMeant) {
  struct Case {
    std::vector<std::string> words;
    std::string message;
  };
  for (const Case& wrong : std::vector<Case>{{{"servce", "ls"}, "there is no command servce; did you mean service?"},
                                             {{"service", "lss"}, "service has no lss; there is ls, inspect"},
                                             {{"service"}, "what about service? there is ls, inspect"},
                                             {{"--api", "unix:/x", "servce"}, "there is no command servce; did you mean service?"},
                                             {{"xds", "bootstrap"}, "xds: not yet: this version cannot do it"},
                                             {{"endpoint", "drain", "web", "1.2.3.4"}, "endpoint drain: not yet: this version cannot do it"},
                                             {{"service", "ls", "-o", "yml"}, "--output: \"yml\" is none of table, wide, json, yaml, name"},
                                             {{"service", "inspect"}, "NAME is required"}}) {
    TestAgent::Ran ran = TestAgent::RunAlone(wrong.words);
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.err, "fairlead: " + wrong.message + "\n");
  }
  EXPECT_EQ(TestAgent::RunAlone({}).code, 2);
  EXPECT_EQ(TestAgent::RunAlone({"--version"}).out, "fairlead 0.1.0\n");
  EXPECT_EQ(TestAgent::RunAlone({"ip", "--help"}).code, 0);
}

TEST(Usage, AnAgentThatDoesNotAnswerIsFiveWithTheAddress) {
  TestAgent::Ran ran = TestAgent::RunAlone({"service", "ls", "--api", "unix:/tmp/fairlead-none.sock"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_EQ(ran.err, "fairlead: no agent answers at unix:/tmp/fairlead-none.sock: No such file or directory; is it running?\n"
                     "  try: fairlead agent, or for trial fairlead up\n");
  EXPECT_EQ(TestAgent::RunAlone({"--api", "nonsense", "service", "ls"}).code, 2);
}

TEST(Lint, TellsTheKindOfFileAndEndsWithTwoOnFaults) {
  std::string path = testing::TempDir() + "fairlead_lint_compose.yaml";
  std::ofstream(path) << "services:\n  web:\n    image: nginx\n    labels: [\"fairlead.hots=a.example\"]\n";
  TestAgent::Ran ran = TestAgent::RunAlone({"lint", path});
  EXPECT_EQ(ran.code, 2);
  EXPECT_EQ(ran.out, path + ":4: service web: label fairlead.hots is not understood (did you mean fairlead.host?)\n");
  EXPECT_EQ(ran.err, "1 fault in this compose file\n");
  std::remove(path.c_str());
  EXPECT_EQ(TestAgent::RunAlone({"lint", path}).code, 3);
}

}  // namespace
}  // namespace fairlead::app
