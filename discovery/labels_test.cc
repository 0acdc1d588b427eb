#include "discovery/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/strings.h"
#include "discovery/labels_dialect.h"

namespace fairlead::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

ContainerFacts Container(std::map<std::string, std::string> labels) {
  ContainerFacts facts;
  facts.name = "shop-web-1";
  facts.labels = std::move(labels);
  facts.exposed_ports = {{8080, "tcp"}};
  facts.where.addresses = {{Ip("172.17.0.2"), {}, "bridge", false}, {Ip("10.40.0.10"), {}, "shopnet", true}};
  facts.where.node_addresses = {Ip("192.0.2.1")};
  return facts;
}

ContainerServices Describe(const ContainerFacts& facts) {
  NameTables names;
  return DescribeServices(facts, names);
}

TEST(Labels, UnlabelledContainerIsAServiceOfItsName) {
  ContainerServices all = Describe(Container({}));
  ASSERT_EQ(all.services.size(), 1u);
  const ServiceEntry& entry = all.services[0];
  EXPECT_EQ(all.project, "default");
  EXPECT_EQ(entry.service, "shop-web-1");
  EXPECT_EQ(entry.ip, Ip("10.40.0.10"));
  EXPECT_EQ(entry.port, 8080);
  EXPECT_EQ(entry.address_rule, "address on Fairlead network shopnet");
  EXPECT_THAT(entry.problems, IsEmpty());
}

TEST(Labels, ComposeNamesServiceAndProject) {
  ContainerServices all =
      Describe(Container({{"com.docker.compose.service", "web"}, {"com.docker.compose.project", "Shop"}}));
  EXPECT_EQ(all.project, "shop");
  EXPECT_EQ(all.services[0].service, "web");
  EXPECT_EQ(all.services[0].project, "shop");
}

TEST(Labels, FairleadWinsOverCompose) {
  ContainerServices all = Describe(Container({{"com.docker.compose.service", "web"},
                                              {"com.docker.compose.project", "shop"},
                                              {"fairlead.service", "front"},
                                              {"fairlead.project", "demo"}}));
  EXPECT_EQ(all.project, "demo");
  EXPECT_EQ(all.services[0].service, "front");
}

TEST(Labels, ARuleIsARouteBesideHostAndPath) {
  ContainerServices all = Describe(Container({{"fairlead.rule", "Host(`a.example`) && !PathPrefix(`/admin`)"},
                                              {"fairlead.listener", "web"},
                                              {"fairlead.service.api.rule", "Method(`PUT`)"},
                                              {"fairlead.service.api.host", "api.example"}}));
  ASSERT_EQ(all.services.size(), 2u);
  EXPECT_THAT(all.services[0].routes, ElementsAre(RouteRule{{}, "/", {"web"}, "Host(`a.example`) && !PathPrefix(`/admin`)"}));
  EXPECT_THAT(all.services[1].routes, ElementsAre(RouteRule{{}, "/", {}, "Method(`PUT`)"}, RouteRule{{"api.example"}, "/", {}}));
  EXPECT_THAT(all.services[0].problems, IsEmpty());
}

TEST(Labels, ARuleThatCannotBeReadIsShownAndTheServiceStays) {
  ContainerServices all = Describe(Container({{"fairlead.rule", "Host('a')"}, {"fairlead.host", "a.example"}}));
  const ServiceEntry& entry = all.services[0];
  EXPECT_TRUE(entry.published());
  EXPECT_THAT(entry.routes, ElementsAre(RouteRule{{"a.example"}, "/", {}}));
  EXPECT_THAT(entry.problems, ElementsAre("label fairlead.rule: at byte 6: expected `text` or \"text\" (single quotes are no "
                                          "strings), found \"'a')\""));
}

TEST(Labels, ARuleInTraefikV2sFormIsUsedAndShown) {
  ContainerServices all = Describe(Container({{"fairlead.rule", "Host(`a`, `b`)"}}));
  EXPECT_THAT(all.services[0].routes, ElementsAre(RouteRule{{}, "/", {}, "Host(`a`, `b`)"}));
  EXPECT_THAT(all.services[0].problems,
              ElementsAre("label fairlead.rule: Host with 2 values is Traefik v2's form: write Host(…) || Host(…)"));
}

TEST(Labels, EveryValueArrives) {
  ContainerServices all = Describe(Container({{"fairlead.port", "http=8080, metrics=9090"},
                                              {"fairlead.protocol", "h2c"},
                                              {"fairlead.host", "Web.Example.com, *.shop.example"},
                                              {"fairlead.path", "/a,/b"},
                                              {"fairlead.listener", "web"},
                                              {"fairlead.weight", "7"},
                                              {"fairlead.branch", "feature/X"},
                                              {"fairlead.env", "prod"},
                                              {"fairlead.release", "v2"},
                                              {"fairlead.pool", "shop-prod"},
                                              {"fairlead.ip", "10.40.0.10"},
                                              {"fairlead.check", "none"}}));
  const ServiceEntry& entry = all.services[0];
  EXPECT_THAT(entry.ports, ElementsAre(Port{"http", 8080, "tcp"}, Port{"metrics", 9090, "tcp"}));
  EXPECT_EQ(entry.protocol, "h2c");
  EXPECT_THAT(entry.routes, ElementsAre(RouteRule{{"web.example.com", "*.shop.example"}, "/a", {"web"}},
                                        RouteRule{{"web.example.com", "*.shop.example"}, "/b", {"web"}}));
  EXPECT_EQ(entry.weight, 7u);
  EXPECT_EQ(all.branch, "feature-x");
  EXPECT_EQ(all.env, "prod");
  EXPECT_EQ(all.release, "v2");
  EXPECT_THAT(entry.problems, IsEmpty());
}

TEST(Labels, SeveralServicesOfOneContainer) {
  ContainerServices all = Describe(Container({{"fairlead.service.web.port", "8080"},
                                              {"fairlead.service.web.host", "a.example"},
                                              {"fairlead.service.admin.port", "9000"}}));
  ASSERT_EQ(all.services.size(), 2u);
  EXPECT_EQ(all.services[0].service, "admin");
  EXPECT_EQ(all.services[0].port, 9000);
  EXPECT_EQ(all.services[1].service, "web");
  EXPECT_THAT(all.services[1].routes, ElementsAre(RouteRule{{"a.example"}, "/", {}}));
}

TEST(Labels, PlainKeysBesideIdsKeepTheDefaultService) {
  ContainerServices all = Describe(Container({{"fairlead.port", "80"}, {"fairlead.service.admin.port", "9000"}}));
  ASSERT_EQ(all.services.size(), 2u);
  EXPECT_EQ(all.services[0].service, "shop-web-1");
}

TEST(Labels, ShowsWhatIsNotUnderstood) {
  ContainerServices all = Describe(Container({{"fairlead.prot", "80"}, {"fairlead.service.web.prt", "1"}}));
  EXPECT_THAT(all.services[0].problems,
              ElementsAre("label fairlead.prot is not understood (did you mean fairlead.port?)",
                          "label fairlead.service.web.prt is not understood (did you mean fairlead.service.web.port?)"));
}

TEST(Labels, RefusesWhatIsNotBuiltYet) {
  ContainerServices all = Describe(Container({{"fairlead.hold", "5s"}, {"fairlead.drain", "10s"}}));
  EXPECT_THAT(all.services[0].problems, ElementsAre(HasSubstr("fairlead.drain is not yet"), HasSubstr("fairlead.hold is not yet")));
}

TEST(Labels, SayHowAnEndpointIsChecked) {
  const std::pair<const char*, HealthCheck> kValues[] = {
      {"http:/healthz?deep=1", {.kind = CheckKind::kHttp, .target = "/healthz?deep=1"}},
      {"http", {.kind = CheckKind::kHttp, .target = "/"}},
      {"tcp", {.kind = CheckKind::kTcp}},
      {"grpc", {.kind = CheckKind::kGrpc}},
      {"grpc:shop.Cart", {.kind = CheckKind::kGrpc, .target = "shop.Cart"}},
      {"none", {}},
  };
  for (const auto& [value, check] : kValues) {
    ContainerServices all = Describe(Container({{"fairlead.check", value}, {"fairlead.port", "80"}}));
    EXPECT_EQ(all.services[0].check, check) << value;
    EXPECT_THAT(all.services[0].problems, IsEmpty());
  }
  for (const char* value : {"", "icmp", "http:healthz", "http:/a b", "tcp:80", "none:x"}) {
    ContainerServices all = Describe(Container({{"fairlead.check", value}, {"fairlead.port", "80"}}));
    EXPECT_EQ(all.services[0].check.kind, CheckKind::kReachable) << value;
    EXPECT_THAT(all.services[0].problems, ElementsAre(HasSubstr("label fairlead.check: \"")));
  }
}

TEST(Labels, WithoutACheckAPortMustBeReachableOnceUnlessTheEngineChecks) {
  ContainerFacts facts = Container({{"fairlead.port", "80"}});
  EXPECT_EQ(Describe(facts).services[0].check.kind, CheckKind::kReachable);
  facts.engine_checks = true;
  EXPECT_EQ(Describe(facts).services[0].check.kind, CheckKind::kNone);
  facts.engine_checks = false;
  facts.labels["fairlead.protocol"] = "udp";
  EXPECT_EQ(Describe(facts).services[0].check.kind, CheckKind::kNone) << "a datagram refuses nothing for certain";
}

TEST(Labels, BadValuesAreShownAndNotGuessed) {
  ContainerServices all = Describe(Container({{"fairlead.port", "70000"},
                                              {"fairlead.protocol", "quic"},
                                              {"fairlead.host", "a b"},
                                              {"fairlead.weight", "-1"}}));
  const ServiceEntry& entry = all.services[0];
  EXPECT_FALSE(entry.published());
  EXPECT_EQ(entry.protocol, "http");
  EXPECT_EQ(entry.weight, 1u);
  EXPECT_THAT(entry.routes, IsEmpty());
  EXPECT_THAT(entry.problems, ElementsAre(HasSubstr("\"quic\""), HasSubstr("\"-1\""), HasSubstr("\"70000\" is no port"),
                                          HasSubstr("\"a b\" is no host name"), "not published: no port"));
}

TEST(Labels, TheLowestExposedPortOfTheRightTransportCounts) {
  ContainerFacts facts = Container({});
  facts.exposed_ports = {{9000, "tcp"}, {53, "udp"}, {80, "tcp"}};
  EXPECT_EQ(Describe(facts).services[0].port, 80);
  facts.labels = {{"fairlead.protocol", "udp"}};
  EXPECT_EQ(Describe(facts).services[0].ports, (std::vector<Port>{{"", 53, "udp"}}));
}

TEST(Labels, ComposeOneOffIsShownButNotRouted) {
  ContainerServices all = Describe(Container({{"com.docker.compose.oneoff", "True"}}));
  EXPECT_FALSE(all.services[0].published());
  EXPECT_THAT(all.services[0].problems, ElementsAre("not routed: compose one-off container"));
}

TEST(Labels, RoutesOfOneServiceHaveALimitInEveryDialect) {
  std::string hosts = "h0.example";
  for (size_t i = 1; i < kMaxRoutesPerService; i++) hosts += Cat(",h", i, ".example");
  for (const char* dialect : {"fairlead", "nginx-proxy"}) {
    ContainerFacts facts = Container({});
    (dialect == std::string_view("fairlead") ? facts.labels["fairlead.host"] : facts.environment["VIRTUAL_HOST"]) = hosts;
    EXPECT_EQ(Describe(facts).services[0].routes.size(), 1u) << dialect;
    (dialect == std::string_view("fairlead") ? facts.labels["fairlead.host"] : facts.environment["VIRTUAL_HOST"]) += ",one.more";
    EXPECT_THAT(Describe(facts).services[0].routes, IsEmpty()) << dialect;
    EXPECT_THAT(Describe(facts).services[0].problems, ElementsAre("more than 64 routes of one service: none is used"));
  }
  ContainerFacts facts = Container({});
  for (size_t i = 0; i <= kMaxRoutesPerService; i++) facts.labels[Cat("traefik.http.routers.r", i, ".rule")] = "Host(`a`)";
  EXPECT_THAT(Describe(facts).services[0].routes, IsEmpty());
  EXPECT_THAT(Describe(facts).services[0].problems, ElementsAre("more than 64 routes of one service: none is used"));
}

TEST(Labels, ServicesOfOneContainerHaveALimitThatIsSaidOnce) {
  ContainerFacts facts = Container({});
  facts.environment["SERVICE_NAME"] = "web";
  for (uint16_t port = 1; port <= kMaxServicesPerContainer + 9; port++) facts.exposed_ports.emplace_back(port, "tcp");
  ContainerServices all = Describe(facts);
  EXPECT_EQ(all.services.size(), kMaxServicesPerContainer);
  EXPECT_THAT(all.services[0].problems, ElementsAre("more than 32 services of one container: the rest is left out"));
}

TEST(Labels, ADurationIsSomeTimeAndNoSlipOfThePen) {
  EXPECT_EQ(DurationOf(" 1.5s "), 1500 * kMillisecond);
  for (const char* bad : {"", " ", "0", "0s", "1x", "99999h"}) EXPECT_EQ(DurationOf(bad), std::nullopt) << bad;
}

TEST(Labels, OfAnEnvironmentOnlyWhatDialectsReadIsAsked) {
  for (const char* name : {"VIRTUAL_HOST", "NETWORK_ACCESS", "CERT_NAME", "SERVICE_NAME", "SERVICE_80_CHECK_HTTP"})
    EXPECT_TRUE(IsDialectVariable(name)) << name;
  for (const char* name : {"PATH", "PASSWORD", "SERVICE", "MY_SERVICE_NAME", "virtual_host", ""}) EXPECT_FALSE(IsDialectVariable(name)) << name;
}

TEST(Labels, TwoRawNamesNeverShareALabel) {
  NameTables names;
  EXPECT_EQ(DescribeServices(Container({{"fairlead.service", "Web"}}), names).services[0].service, "web");
  EXPECT_EQ(DescribeServices(Container({{"fairlead.service", "web"}}), names).services[0].service, HashedLabel("web", "web"));
}

TEST(AddressRules, PreferFairleadThenAnyNetworkThenPublishedThenHost) {
  Reachability where;
  where.node_addresses = {Ip("192.0.2.1")};
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").rule, "not published: no address");
  where.host_network = true;
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").ip, Ip("192.0.2.1"));
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").rule, "node address: --network host");
  where.published_ports = {{80, "udp", {}, 5000}, {80, "tcp", Ip("0.0.0.0"), 32768}};
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").port, 32768);
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").ip, Ip("192.0.2.1"));
  where.addresses = {{Ip("172.17.0.2"), {}, "bridge", false}};
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").rule, "address on network bridge");
  where.addresses.push_back({Ip("10.40.0.10"), {}, "shopnet", true});
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").ip, Ip("10.40.0.10"));
  EXPECT_EQ(ChooseAddress(where, 0, "tcp").rule, "not published: no port");
}

TEST(AddressRules, PublishedOnOneAddressIsReachedThere) {
  Reachability where;
  where.published_ports = {{80, "tcp", Ip("127.0.0.1"), 8080}};
  EXPECT_EQ(ChooseAddress(where, 80, "tcp").ip, Ip("127.0.0.1"));
}

TEST(Labels, ADialectThatIsSwitchedOffSaysNothing) {
  ContainerFacts facts{.name = "web", .labels = {{"traefik.http.routers.r.rule", "Host(`t.example`)"}}, .exposed_ports = {{80, "tcp"}},
                       .environment = {{"VIRTUAL_HOST", "n.example"}}, .where = {}, .dialects = {"nginx-proxy"}};
  NameTables names;
  const ContainerServices found = DescribeServices(facts, names);
  ASSERT_EQ(found.services.size(), 1u);
  ASSERT_EQ(found.services[0].routes.size(), 1u);
  EXPECT_EQ(found.services[0].routes[0].hosts, std::vector<std::string>{"n.example"});
}

}  // namespace
}  // namespace fairlead::discovery
