// A network that exists is taken over without being touched, whole or not at all.
#include "app/adopt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Adopt : public testing::Test {
 protected:
  Adopt() {
    runtime::NetworkDetails& legacy = agent.engine.network("n1");
    legacy = {.id = "n1", .name = "legacy", .driver = "bridge", .subnets = {*Prefix::Parse("10.60.0.0/24")}};
    legacy.configs = {{.subnet = *Prefix::Parse("10.60.0.0/24"), .gateway = ipam::Ip("10.60.0.254"), .range = *Prefix::Parse("10.60.0.0/25"),
                       .auxiliary = {ipam::Ip("10.60.0.9")}}};
    legacy.options = {{"com.docker.network.bridge.name", "br100"}};
    Put("web", "10.60.0.2");
    Put("db", "10.60.0.3");
    Put("job", "");
  }
  void Put(const std::string& name, const std::string& ip) {
    runtime::NetworkAttachment at{.network = "legacy"};
    if (!ip.empty()) at.ipv4 = {ipam::Ip(ip), 24};
    agent.engine.container(name + "-id") = {.id = name + "-id", .name = name, .state = ip.empty() ? "exited" : "running", .networks = {at}};
  }
  std::string AddressOf(const std::string& name, const std::string& network = "legacy") {
    auto lease = agent.host.ipam->Find({network, "host1", name, false});
    return lease ? lease->ip.ToString() : "";
  }
  TestAgent::Ran Run(std::vector<std::string> words) {
    TestAgent::Ran ran = agent.Command(std::move(words));
    agent.StopServing();
    return ran;
  }
  void Follow() {
    agent.host.Run([](Adopter* adopter) -> io::Task<bool> {
      co_await adopter->Follow();
      co_return true;
    }(agent.adopter.get()));
  }
  TestAgent agent;
};

TEST_F(Adopt, TheSubnetsBecomeAPoolAndEachAddressIsReservedForItsName) {
  TestAgent::Ran ran = Run({"adopt", "legacy"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "NAME  ADDRESS    STATE           RUNNING\n"
            "db    10.60.0.3  observed        yes\n"
            "web   10.60.0.2  observed        yes\n"
            "job   -          no address now  no\n");
  EXPECT_THAT(ran.err, HasSubstr("fairlead network create legacy --pool legacy"));
  const ipam::PrefixSpec& prefix = agent.host.ipam->FindPool("legacy")->prefixes.at(0);
  EXPECT_EQ(prefix.gateway.ToString(), "10.60.0.254");
  EXPECT_EQ(prefix.ranges.at(0).second.ToString(), "10.60.0.127");
  EXPECT_EQ(prefix.exclude.at(0).ToString(), "10.60.0.9");
  EXPECT_EQ(AddressOf("web"), "10.60.0.2");
  EXPECT_TRUE(agent.host.ipam->Find({"legacy", "host1", "web", false})->observed);
  EXPECT_EQ(agent.engine.connects + agent.engine.disconnects, 0u);
  EXPECT_EQ(Run({"adopt", "legacy"}).out, ran.out);  // once more changes nothing
}

TEST_F(Adopt, ANameTakesItsAddressAlongToTheNewNetwork) {
  EXPECT_EQ(Run({"adopt", "--bridge", "br100", "--to", "shopnet2", "--pool", "p"}).code, 0);
  EXPECT_EQ(AddressOf("web", "shopnet2"), "10.60.0.2");
  auto lease = agent.host.Run(agent.host.ipam->Acquire({.pool = "p", .key = {"shopnet2", "host1", "web", false}}));
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(lease->ip.ToString(), "10.60.0.2");
  EXPECT_FALSE(lease->observed);
  EXPECT_THAT(Run({"adopt", "legacy", "--to", "shopnet2", "--pool", "p"}).out, HasSubstr("web   10.60.0.2  managed"));
}

TEST_F(Adopt, ConflictsAreAllNamedAndNothingIsDone) {
  ipam::PoolSpec pool{.name = "p", .prefixes = {ipam::Cidr("10.60.0.0/24")}};  // whose gateway is 10.60.0.1
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->PutPool(pool)).ok());
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->Acquire({.pool = "p", .key = ipam::Key("other"), .wanted = ipam::Ip("10.60.0.3")})).ok());
  Put("router", "10.60.0.1");
  TestAgent::Ran ran = Run({"adopt", "legacy"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("nothing was changed: 10.60.0.3 of db is leased to shopnet/host1/other; 10.60.0.1 of router is the gateway"));
  EXPECT_EQ(AddressOf("web"), "");
}

TEST_F(Adopt, AnAdoptionThatFailsHalfWayLeavesNothing) {
  const uint64_t before = agent.host.ipam->Leases().size();
  for (int at = 1; at <= 3; at++) {  // the pool, the first lease, the second
    agent.store.FailCommit(static_cast<uint64_t>(at), ipam::MemoryLeaseStore::Fault::kFull);
    EXPECT_EQ(Run({"adopt", "legacy"}).code, 4);
    EXPECT_EQ(agent.host.ipam->Leases().size(), before);
    EXPECT_EQ(agent.host.ipam->FindPool("legacy"), nullptr);
    EXPECT_TRUE(agent.adopter->networks().empty());
  }
  EXPECT_EQ(Run({"adopt", "legacy"}).code, 0);
}

TEST_F(Adopt, WhatCannotBeAdoptedSaysWhy) {
  struct Case {
    std::vector<std::string> words;
    int code;
    std::string message;
  };
  agent.engine.network("n2") = {.id = "n2", .name = "host", .driver = "host"};
  agent.engine.network("n3") = {.id = "n3", .name = "shopnet", .driver = "fairlead"};
  agent.engine.network("n4") = {.id = "n4", .name = "bridge", .driver = "bridge", .subnets = {*Prefix::Parse("172.17.0.0/16")}};
  agent.engine.network("n5") = {.id = "n5", .name = "half", .driver = "bridge", .subnets = {*Prefix::Parse("10.40.0.0/16")}};
  for (const Case& c : std::vector<Case>{{{"adopt", "nope"}, 3, "the engine has no network nope"},
                                         {{"adopt", "--bridge", "br9"}, 3, "no network of the engine is on bridge br9"},
                                         {{"adopt"}, 2, "adopt which network?"},
                                         {{"adopt", "host"}, 4, "has no subnets"},
                                         {{"adopt", "shopnet"}, 4, "Fairlead's already"},
                                         {{"adopt", "bridge"}, 4, "fairlead adopt bridge --to NEWNETWORK"},
                                         {{"adopt", "half"}, 4, "10.40.0.0/16 of network half overlaps 10.40.0.0/24 of pool shop"},
                                         {{"adopt", "legacy", "--pool", "shop"}, 4, "pool shop has 10.40.0.0/24, not the subnets"}}) {
    TestAgent::Ran ran = Run(c.words);
    EXPECT_EQ(ran.code, c.code) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(c.message));
  }
}

TEST_F(Adopt, ObservedLeasesFollowTheOldNetworkEvenWhereTwoChangePlaces) {
  ASSERT_EQ(Run({"adopt", "legacy"}).code, 0);
  Put("web", "10.60.0.3");
  Put("db", "10.60.0.2");
  Put("new", "10.60.0.4");
  EXPECT_TRUE(agent.adopter->OutOfStep("legacy", "web", ipam::Ip("10.60.0.3")));
  Follow();
  EXPECT_EQ(AddressOf("web"), "10.60.0.3");
  EXPECT_EQ(AddressOf("db"), "10.60.0.2");
  EXPECT_EQ(AddressOf("new"), "10.60.0.4");
  EXPECT_FALSE(agent.adopter->OutOfStep("legacy", "web", ipam::Ip("10.60.0.3")));
}

TEST_F(Adopt, AnAdoptedNetworkIsFollowedAfterARestart) {
  ASSERT_EQ(Run({"adopt", "legacy"}).code, 0);
  Adopter again(agent.parts, agent.files, *agent.host.offload, "adopted.json");
  ASSERT_TRUE(agent.host.Run(again.Load()).ok());
  EXPECT_EQ(again.networks().at("legacy").pool, "legacy");
}

TEST_F(Adopt, AManagedLeaseDoesNotFollowTheOldNetwork) {
  ASSERT_EQ(Run({"adopt", "legacy"}).code, 0);
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->Acquire({.pool = "legacy", .key = {"legacy", "host1", "web", false}})).ok());
  Put("web", "10.60.0.77");
  Follow();
  EXPECT_EQ(AddressOf("web"), "10.60.0.2");
}

}  // namespace
}  // namespace fairlead::app
