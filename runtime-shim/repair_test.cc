// What verification lets go of and puts back: DockerPlugin::ForgetEndpoint, ForgetNetwork, RestoreNetwork.
#include "runtime-shim/plugin_fixture.h"

namespace fairlead::runtime {
namespace {

class RepairTest : public PluginFixture {
 protected:
  Status Forget(const std::string& endpoint) { return worker_.Run(plugin_->ForgetEndpoint(endpoint)); }
};

TEST_F(RepairTest, AForgottenEndpointLetsGoOfInterfaceRecordAndLeaseButNotOfTheName) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  ASSERT_TRUE(Forget("ep1").ok());
  EXPECT_TRUE(driver_.endpoints.empty());
  EXPECT_TRUE(plugin_->Snapshot().endpoints.empty());
  EXPECT_FALSE(LeaseAt(address)->attached);
  EXPECT_EQ(LeaseAt(address)->key.name, "web");
  engine_.container("c1").state = "exited";
  engine_.container("c1").networks[0].endpoint_id.clear();
  EXPECT_EQ(StartContainer("c1", "ep2"), address);
}

TEST_F(RepairTest, AnEndpointIsForgottenForGood) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  ASSERT_TRUE(Forget("ep1").ok());
  StopAgent();
  StartAgent();
  EXPECT_TRUE(plugin_->Snapshot().endpoints.empty());
  EXPECT_FALSE(LeaseAt(address)->attached);
}

TEST_F(RepairTest, ForgettingWhatIsGoneIsFine) {
  CreateNetwork();
  EXPECT_TRUE(Forget("nobody").ok());
  EXPECT_TRUE(worker_.Run(plugin_->ForgetNetwork("nobody")).ok());
}

TEST_F(RepairTest, TheLeaseOfAForgottenEndpointIsDetachedInAnotherPoolToo) {
  CreateNetwork();
  ASSERT_TRUE(worker_.Run(ipam_->PutPool({.name = "dmz", .prefixes = {{.prefix = *Prefix::Parse("10.60.0.0/24")}}})).ok());
  CreateContainer("c1", "web", {{"fairlead.pool", "dmz"}, {"fairlead.ip", "10.60.0.9"}});
  ASSERT_EQ(StartContainer("c1", "ep1"), "10.60.0.9/24");
  ASSERT_TRUE(Forget("ep1").ok());
  EXPECT_FALSE(ipam_->FindByAddress("dmz", *IpAddress::Parse("10.60.0.9"))->attached);
}

TEST_F(RepairTest, AForgottenNetworkLosesBridgeAndRecordsAndKeepsItsLeases) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  StopContainer("c1", "ep1", address);
  ASSERT_TRUE(worker_.Run(plugin_->ForgetNetwork("net1")).ok());
  EXPECT_FALSE(driver_.networks.contains("net1"));
  EXPECT_TRUE(plugin_->Snapshot().networks.empty());
  EXPECT_TRUE(plugin_->Snapshot().pools.empty());
  EXPECT_EQ(LeaseAt(address)->key.name, "web");
  CreateNetwork("net1");
  EXPECT_EQ(StartContainer("c1", "ep2"), address);
}

TEST_F(RepairTest, OnARestoredBridgeAreTheContainersThatStillHaveAnInterface) {
  CreateNetwork();
  CreateContainer("c1", "web");
  CreateContainer("c2", "db");
  StartContainer("c1", "ep1");
  StartContainer("c2", "ep2");
  driver_.endpoints.erase("ep2");
  driver_.attached.clear();
  ASSERT_TRUE(worker_.Run(plugin_->RestoreNetwork("net1")).ok());
  EXPECT_EQ(driver_.attached, (std::map<std::string, int>{{"ep1", 1}}));
}

TEST_F(RepairTest, ARestoredNetworkIsMadeAgainAsItWas) {
  CreateNetwork();
  const dataplane::NetworkSpec made = driver_.networks["net1"];
  driver_.networks.clear();
  ASSERT_TRUE(worker_.Run(plugin_->RestoreNetwork("net1")).ok());
  EXPECT_EQ(driver_.networks["net1"].bridge, "br1");
  EXPECT_EQ(driver_.networks["net1"].gateways, made.gateways);
  EXPECT_EQ(worker_.Run(plugin_->RestoreNetwork("nobody")).code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace fairlead::runtime
