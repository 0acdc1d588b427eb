#include "discovery/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  ContainerServices all = Describe(Container({{"fairlead.check", "http:/healthz"}, {"fairlead.drain", "10s"}}));
  EXPECT_THAT(all.services[0].problems, ElementsAre(HasSubstr("fairlead.check is not yet"), HasSubstr("fairlead.drain is not yet")));
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

}  // namespace
}  // namespace fairlead::discovery
