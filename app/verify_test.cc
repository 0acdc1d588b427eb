// Every drift is found, repaired where that is safe, and left to a person with the command where it is not.
#include "app/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Verify : public testing::Test {
 protected:
  Verify() {
    agent.engine.network("n1") = {.id = "n1", .name = "shopnet", .driver = "fairlead", .subnets = {*Prefix::Parse("10.40.0.0/24")},
                                  .ipam_driver = "fairlead", .ipam_options = {{"pool", "shop"}}};
    agent.side.records.networks = {{.id = "n1", .name = "shopnet"}};
  }
  // A container of the engine; with an address it runs there.
  void Put(const std::string& name, const std::string& ip, const std::string& network = "shopnet") {
    runtime::NetworkAttachment at{.network = network};
    if (!ip.empty()) at.ipv4 = {ipam::Ip(ip), 24};
    agent.engine.container(name + "-id") = {.id = name + "-id", .name = name, .state = ip.empty() ? "exited" : "running", .networks = {at}};
  }
  void Lease(const std::string& name, const std::string& ip) { ASSERT_TRUE(agent.host.Acquire(name, ipam::Ip(ip)).ok()); }
  std::vector<Drift> Drifts() { return agent.host.Run(agent.reconciler->Verify()).value(); }
  std::string Kinds() {
    std::string kinds;
    for (const Drift& drift : Drifts()) kinds += Cat(kinds.empty() ? "" : " ", NameOf(drift.kind));
    return kinds;
  }
  // The outcomes of a repair, and nothing else is left than `left`.
  std::string Repair(const std::string& left = "") {
    auto repairs = agent.host.Run(agent.reconciler->RepairAll());
    std::string outcomes;
    for (const Reconciler::Repair& repair : *repairs)
      outcomes += Cat(outcomes.empty() ? "" : "; ", repair.outcome.ok() ? "done" : Message(repair.outcome));
    EXPECT_EQ(Kinds(), left);
    return outcomes;
  }
  bool Attached(const std::string& name) { return agent.host.ipam->Find(ipam::Key(name))->attached; }
  TestAgent agent;
};

TEST_F(Verify, NothingDiffersWhereEachContainerRunsAtItsOwnAddress) {
  Put("web", "10.40.0.10");
  Lease("web", "10.40.0.10");
  EXPECT_EQ(Kinds(), "");
  TestAgent::Ran ran = agent.Command({"verify"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.err, "no drifts\n");
}

TEST_F(Verify, ALeaseWhoseContainerIsGoneIsDetachedAndStaysTheNames) {
  Lease("web", "10.40.0.10");
  EXPECT_EQ(Kinds(), "lease-left");
  EXPECT_EQ(Repair(), "done");
  EXPECT_FALSE(Attached("web"));
}

TEST_F(Verify, ALeaseOfAContainerThatIsBeingStartedIsLeftAlone) {
  Put("web", "");
  Lease("web", "10.40.0.10");
  agent.engine.SetLocked("web-id", true);
  EXPECT_THAT(Repair("lease-left"), HasSubstr("being started or stopped; try again"));
  EXPECT_TRUE(Attached("web"));
  agent.engine.SetLocked("web-id", false);
  EXPECT_EQ(Repair(), "done");
}

// The list was taken before the container's address was asked for: what it lacks says nothing.
TEST_F(Verify, ALeaseThatChangedWhileTheEngineWasListedIsNotJudged) {
  Lease("web", "10.40.0.10");
  ASSERT_TRUE(agent.host.Detach(ipam::Ip("10.40.0.10")).ok());
  agent.side.on_endpoints = [&] { ASSERT_TRUE(agent.host.Acquire("web").ok()); };
  EXPECT_EQ(Kinds(), "");
}

TEST_F(Verify, AddressesOfOtherEnginesAreTheirs) {
  Lease("pod", "10.40.0.10");
  agent.side.elsewhere = ipam::Ip("10.40.0.10");
  EXPECT_EQ(Kinds(), "");
}

TEST_F(Verify, AContainerWithoutALeaseIsGivenTheOneOfItsAddress) {
  Put("web", "10.40.0.10");
  EXPECT_EQ(Kinds(), "no-lease");
  EXPECT_EQ(Repair(), "done");
  EXPECT_EQ(agent.host.ipam->Find(ipam::Key("web"))->ip, ipam::Ip("10.40.0.10"));
}

TEST_F(Verify, AContainerAwayFromItsOwnAddressRunsAtAStandIn) {
  Lease("web", "10.40.0.20");
  ASSERT_TRUE(agent.host.Detach(ipam::Ip("10.40.0.20")).ok());
  Put("web", "10.40.0.10");
  EXPECT_EQ(Repair("stand-in"), "done");
  EXPECT_EQ(agent.host.ipam->Find(ipam::Key("web"))->ip, ipam::Ip("10.40.0.20"));
  EXPECT_EQ(agent.host.ipam->FindByAddress("shop", ipam::Ip("10.40.0.10"))->stand_in_for, "web");
}

TEST_F(Verify, ADetachedLeaseUnderARunningContainerIsAttached) {
  Put("web", "10.40.0.10");
  Lease("web", "10.40.0.10");
  ASSERT_TRUE(agent.host.Detach(ipam::Ip("10.40.0.10")).ok());
  EXPECT_EQ(Kinds(), "lease-detached");
  EXPECT_EQ(Repair(), "done");
  EXPECT_TRUE(Attached("web"));
}

TEST_F(Verify, AProvisionalLeaseGetsTheNameThatTheEngineTells) {
  Put("web", "10.40.0.10");
  auto lease = agent.host.Run(agent.host.ipam->Acquire(
      {.pool = "shop", .key = ipam::Key("~1"), .wanted = ipam::Ip("10.40.0.10"), .provisional = true}));
  ASSERT_TRUE(lease.ok());
  EXPECT_EQ(Kinds(), "lease-unnamed");
  EXPECT_EQ(Repair(), "done");
  EXPECT_EQ(agent.host.ipam->FindByAddress("shop", ipam::Ip("10.40.0.10"))->key.name, "web");
}

TEST_F(Verify, WhatNeedsAPersonIsLeftWithTheCommand) {
  Put("web", "10.40.0.10");
  Lease("db", "10.40.0.10");
  Put("one", "10.40.0.30");
  Put("two", "10.40.0.30");
  EXPECT_THAT(Repair("anothers-lease two-at-one-address"), HasSubstr("a person is to do this: docker restart web"));
  EXPECT_EQ(agent.host.ipam->FindByAddress("shop", ipam::Ip("10.40.0.10"))->key.name, "db");
}

TEST_F(Verify, AnObservedLeaseOutlivesItsContainer) {
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->Reserve({.pool = "shop", .key = ipam::Key("old"), .observed = true})).ok());
  EXPECT_THAT(Repair("observed-gone"), HasSubstr("fairlead ip release old --network shopnet"));
  EXPECT_TRUE(agent.host.ipam->Find(ipam::Key("old")).has_value());
}

TEST_F(Verify, WhoAnswersOutsideIsNamed) {
  auto mac = *MacAddress::Parse("02:00:00:00:00:07");
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->MarkForeign("shop", ipam::Ip("10.40.0.66"), mac)).ok());
  EXPECT_THAT(Repair("foreign"), HasSubstr("find 02:00:00:00:00:07 at the switch"));
}

TEST_F(Verify, InterfacesAndEndpointsAreComparedBothWays) {
  const std::string unknown(64, 'a');
  agent.side.kernel_endpoints = {unknown, "another-engines-endpoint"};
  agent.side.records.endpoints = {{.id = "e1", .network_id = "n1", .addresses = {}, .mac = {}, .interface_name = "flc1"}};
  EXPECT_EQ(Kinds(), "unknown-interface interface-gone");
  agent.host.Run(agent.reconciler->RepairAll()).value();
  EXPECT_THAT(agent.side.removed, testing::ElementsAre(unknown));
  EXPECT_THAT(agent.side.forgotten, testing::ElementsAre("e1"));
}

TEST_F(Verify, NetworksBridgesAndPoolsAreCompared) {
  agent.engine.network("n2") = agent.engine.network("n1");
  agent.engine.network("n2").id = "n2";
  agent.engine.network("n2").name = "lost";
  agent.side.records.networks.push_back({.id = "n3", .name = "gone"});
  agent.side.missing_bridges = {"n1"};
  agent.side.file_pools = {ipam::Shop("10.41.0.0/24")};
  EXPECT_EQ(Kinds(), "network-gone network-unknown bridge-gone pool-differs");
  agent.host.Run(agent.reconciler->RepairAll()).value();
  EXPECT_THAT(agent.side.forgotten, testing::ElementsAre("n3"));
  EXPECT_THAT(agent.side.restored, testing::ElementsAre("n1"));
}

TEST_F(Verify, ByItselfItRepairsOnlyWhatHasBeenSoForAWhile) {
  Lease("web", "10.40.0.10");
  auto reconcile = [&] {
    agent.host.Run([](Reconciler* r) -> io::Task<bool> {
      co_await r->Reconcile();
      co_return true;
    }(agent.reconciler.get()));
  };
  reconcile();
  EXPECT_TRUE(Attached("web"));
  agent.host.clock.Advance(Reconciler::kSettled);
  reconcile();
  EXPECT_FALSE(Attached("web"));
}

TEST_F(Verify, WithoutTheEngineNothingIsKnownAndNothingRepaired) {
  Lease("web", "10.40.0.10");
  agent.engine.SetDown(true);
  EXPECT_EQ(agent.Command({"verify"}).code, 5);
  TestAgent::Ran ran = agent.Command({"verify", "--repair"});
  EXPECT_EQ(ran.code, 5);
  EXPECT_THAT(ran.err, HasSubstr("networks are not known"));
  agent.StopServing();
  EXPECT_TRUE(Attached("web"));
}

TEST_F(Verify, TheCommandTellsEachDriftAndEndsWithOneWhileAnyIsLeft) {
  Put("web", "10.40.0.10");
  Lease("db", "10.40.0.10");
  Lease("gone", "10.40.0.50");
  TestAgent::Ran ran = agent.Command({"verify"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("lease-left      shopnet/host1/gone         attached at 10.40.0.50, and no container of the engine is there"));
  EXPECT_THAT(ran.out, HasSubstr("anothers-lease  shopnet/web at 10.40.0.10  10.40.0.10 is shopnet/host1/db's"));
  ran = agent.Command({"verify", "--repair"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("detach it: the address stays the name's"));
  EXPECT_THAT(ran.out, HasSubstr("\nleft:\n"));
  agent.StopServing();
  agent.engine.Remove("web-id");
  ASSERT_TRUE(agent.host.Detach(ipam::Ip("10.40.0.10")).ok());
  EXPECT_EQ(agent.Command({"verify"}).code, 0);
}

}  // namespace
}  // namespace fairlead::app
