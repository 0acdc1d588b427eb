// JSON as dockerd 20.10 and 29 wrote it, and the bodies that they take.
#include "runtime-shim/engine_json.h"

#include <gtest/gtest.h>

#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {
namespace {

TEST(EngineJson, AnInspectionTellsWhatAPlaceOnANetworkIsConfiguredToBe) {
  auto container = ParseContainer(R"({"Id":"c1","Name":"/web","NetworkSettings":{"Networks":{"shopnet":{
      "IPAMConfig":{"IPv4Address":"10.50.0.7","IPv6Address":"fd00::7"},"Links":["db:database"],"Aliases":["www","0123456789ab"],
      "NetworkID":"","EndpointID":"","DriverOpts":{"fairlead.vlan":"12"},"MacAddress":"02:00:00:00:00:07"}}}})");
  ASSERT_TRUE(container.ok()) << container.status();
  const NetworkAttachment& at = container->networks.at(0);
  EXPECT_EQ(at.wanted, *IpAddress::Parse("10.50.0.7"));
  EXPECT_EQ(at.wanted_v6, *IpAddress::Parse("fd00::7"));
  EXPECT_EQ(at.links, std::vector<std::string>{"db:database"});
  EXPECT_EQ(at.aliases, (std::vector<std::string>{"www", "0123456789ab"}));
  EXPECT_EQ(at.driver_opts, (Labels{{"fairlead.vlan", "12"}}));
}

TEST(EngineJson, WhatIsNoJsonOrOfAnotherKindIsAnErrorThatNamesTheQuestion) {
  for (const char* text : {"", "{", "{\"Id\":\"c1\"} x", "{\"Id\":\"\xff\"}", "{\"Id\":\"\\ud800\"}", "{\"Id\":01}"})
    EXPECT_EQ(Message(ParseContainer(text).status()), "inspection of a container: the engine's answer is no JSON") << text;
  // Nothing of the text goes unread, wanted or not.
  EXPECT_EQ(ParseContainer(R"({"Id":"c1","Mounts":[{"a":tru}]})").status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(Message(ParseContainer("[]").status()), "inspection of a container: the engine's answer is of an unexpected kind");
  EXPECT_EQ(Message(ParseContainerList("{}").status()), "list of containers: the engine's answer is of an unexpected kind");
  EXPECT_EQ(ParseContainer("{}").status().code(), StatusCode::kDataLoss);
}

TEST(EngineJson, WhatIsMissingOrOfAnotherKindIsTheDefault) {
  auto container = ParseContainer(R"({"Id":"c1","Name":7,"State":[],"Config":{"Labels":{"a":1,"b":"two"},"Env":null,"StopTimeout":"5",
      "StopSignal":null},"HostConfig":{"AutoRemove":"yes"},"NetworkSettings":{"Ports":{"80/tcp":null,"x":[]},"Networks":[]}})");
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(container->name, "");
  EXPECT_EQ(container->labels, (Labels{{"b", "two"}}));
  EXPECT_EQ(container->stop_timeout_s, 10U);
  EXPECT_EQ(container->stop_signal, "SIGTERM");
  EXPECT_FALSE(container->auto_remove);
}

TEST(EngineJson, NetworksComeByNameAndTheLastHealthCheckGivesTheReason) {
  auto container = ParseContainer(R"({"Id":"c1","State":{"Status":"running","Health":{"Status":"unhealthy","Log":[
      {"ExitCode":0,"Output":"fine"},{"ExitCode":1,"Output":" no answer "}]}},
      "NetworkSettings":{"Networks":{"zone":{"IPAddress":"10.2.0.2","IPPrefixLen":24},"area":{"IPAddress":"10.1.0.2","IPPrefixLen":99}}}})");
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(container->health_reason, "no answer");
  ASSERT_EQ(container->networks.size(), 2U);
  EXPECT_EQ(container->networks[0].network, "area");
  EXPECT_EQ(container->networks[0].ipv4.ToString(), "10.1.0.2/32");
}

TEST(EngineJson, OfAnEnvironmentOnlyWhatDialectsReadIsKept) {
  auto container = ParseContainer(R"({"Id":"c1","Name":"/web","Config":{"Env":["PATH=/bin","VIRTUAL_HOST=a.example","SERVICE_TAGS=a=b",
      "PASSWORD=x","SERVICE_NAME"]}})");
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(container->environment, (Labels{{"SERVICE_TAGS", "a=b"}, {"VIRTUAL_HOST", "a.example"}}));
}

TEST(EngineJson, AListTellsTheAddressesOfBothFamiliesThatAContainerWants) {
  auto list = ParseContainerList(R"([{"Id":"c1","Names":["/web"],"State":"created","NetworkSettings":{"Networks":{"shopnet":{
      "IPAMConfig":{"IPv6Address":"fd00::7"},"Links":null,"Aliases":null,"DriverOpts":null}}}}])");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_FALSE(list->at(0).networks.at(0).wanted.is_set());
  EXPECT_EQ(list->at(0).networks.at(0).Wanted(true), *IpAddress::Parse("fd00::7"));
}

TEST(EngineJson, WritesTheBodiesOfDisconnectAndConnect) {
  EXPECT_EQ(Json::parse(DisconnectBody("c1")), Json::parse(R"({"Container":"c1","Force":true})"));
  EndpointSettings settings{.ipv4 = *IpAddress::Parse("10.50.0.150"), .ipv6 = *IpAddress::Parse("fd00::150"),
                            .aliases = {"www"}, .links = {"db:database"}, .driver_opts = {{"fairlead.vlan", "12"}},
                            .mac = *MacAddress::Parse("02:00:00:00:00:07")};
  EXPECT_EQ(Json::parse(ConnectBody("c1", settings)),
            Json::parse(R"({"Container":"c1","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.50.0.150","IPv6Address":"fd00::150"},
                "Aliases":["www"],"Links":["db:database"],"DriverOpts":{"fairlead.vlan":"12"},"MacAddress":"02:00:00:00:00:07"}})"));
}

TEST(EngineJson, ANetworkIsReadWithWhatItsSubnetsAndMembersAreConfiguredToBe) {
  auto network = ParseNetwork(R"({"Id":"n1","Name":"legacy","Driver":"bridge","Options":{"com.docker.network.bridge.name":"br100"},
      "IPAM":{"Driver":"default","Options":{"pool":"p"},"Config":[{"Subnet":"10.60.0.0/24","Gateway":"10.60.0.254",
        "IPRange":"10.60.0.128/25","AuxiliaryAddresses":{"printer":"10.60.0.9"}}]},
      "Containers":{"c1":{"Name":"web","EndpointID":"e1","MacAddress":"02:42:0a:3c:00:02","IPv4Address":"10.60.0.2/24","IPv6Address":""}}})");
  ASSERT_TRUE(network.ok());
  EXPECT_EQ(network->options.at("com.docker.network.bridge.name"), "br100");
  EXPECT_EQ(network->ipam_driver, "default");
  EXPECT_EQ(network->ipam_options.at("pool"), "p");
  const SubnetConfig& subnet = network->configs.at(0);
  EXPECT_EQ(subnet.gateway.ToString(), "10.60.0.254");
  EXPECT_EQ(subnet.range->ToString(), "10.60.0.128/25");
  EXPECT_EQ(subnet.auxiliary.at(0).ToString(), "10.60.0.9");
  EXPECT_EQ(network->members.at(0).ipv4.ToString(), "10.60.0.2/24");
  EXPECT_FALSE(network->members.at(0).ipv6.address.is_set());
  EXPECT_EQ(network->members.at(0).mac.ToString(), "02:42:0a:3c:00:02");
}

TEST(EngineJson, WritesTheBodyOfANetworkWithItsSubnets) {
  NetworkDetails network{.name = "shopnet", .driver = "fairlead", .ipam_driver = "fairlead"};
  network.configs = {{.subnet = *Prefix::Parse("10.40.0.0/24"), .gateway = *IpAddress::Parse("10.40.0.1")},
                     {.subnet = *Prefix::Parse("fd00:40::/64")}};
  network.options = {{"mode", "bridge"}};
  network.ipam_options = {{"pool", "shop"}};
  EXPECT_EQ(Json::parse(CreateNetworkBody(network)),
            Json::parse(R"({"Name":"shopnet","CheckDuplicate":true,"Driver":"fairlead","EnableIPv6":true,"Options":{"mode":"bridge"},
                "IPAM":{"Driver":"fairlead","Options":{"pool":"shop"},
                        "Config":[{"Subnet":"10.40.0.0/24","Gateway":"10.40.0.1"},{"Subnet":"fd00:40::/64"}]}})"));
}

TEST(EngineJson, ANetworkOfIpv6AloneWantsNoIpv4) {
  NetworkDetails network{.name = "six", .driver = "fairlead", .ipam_driver = "fairlead"};
  network.configs = {{.subnet = *Prefix::Parse("fd00:40::/64")}};
  Json body = Json::parse(CreateNetworkBody(network));
  EXPECT_EQ(body["EnableIPv4"], false);
  EXPECT_EQ(body["EnableIPv6"], true);
}

TEST(EngineJson, LeavesOutWhatTheEngineIsToChoose) {
  EXPECT_EQ(Json::parse(ConnectBody("c1", {.ipv4 = *IpAddress::Parse("10.50.0.150")})),
            Json::parse(R"({"Container":"c1","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.50.0.150"}}})"));
}

}  // namespace
}  // namespace fairlead::runtime
