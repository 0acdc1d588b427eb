// Conversations with dockerd 20.10 as they were recorded, request by request.
#include "runtime-shim/docker_plugin.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "runtime-shim/plugin_fixture.h"

namespace fairlead::runtime {
namespace {

class DockerPluginTest : public PluginFixture {
 protected:
  // Of the plugin's own records; leases are elsewhere.
  void SetDiskFull(bool full) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open((worker_.folder + "/plugin.db").c_str(), &db), SQLITE_OK);
    for (const char* change : {"INSERT", "UPDATE", "DELETE"}) {
      std::string sql = full ? Cat("CREATE TRIGGER full_", change, " BEFORE ", change, " ON object BEGIN SELECT RAISE(FAIL, 'full'); END")
                             : Cat("DROP TRIGGER full_", change);
      EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    }
    sqlite3_close(db);
  }
};

TEST_F(DockerPluginTest, AnswersWhatItIs) {
  EXPECT_EQ(Call("Plugin.Activate"), Json::parse(R"({"Implements":["NetworkDriver","IpamDriver"]})"));
  EXPECT_EQ(Call("NetworkDriver.GetCapabilities"), Json::parse(R"({"Scope":"local","ConnectivityScope":"local"})"));
  EXPECT_EQ(Call("IpamDriver.GetCapabilities"), Json::parse(R"({"RequiresMACAddress":false,"RequiresRequestReplay":false})"));
}

TEST_F(DockerPluginTest, ErrorsUseTheKeyThatEachDriversClientReads) {
  EXPECT_TRUE(Call("IpamDriver.RequestAddress", {{"PoolID", "nobody"}}).contains("Error"));
  EXPECT_TRUE(Call("NetworkDriver.Join", {{"EndpointID", "nobody"}}).contains("Err"));
  EXPECT_TRUE(Call("NetworkDriver.Unheard").contains("Err"));
}

TEST_F(DockerPluginTest, AStartGetsAddressMacInterfaceGatewayAndTheRouteToTheNameServer) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = Address(RequestAddress());
  Json created = CreateEndpoint("ep1", address);
  EXPECT_EQ(Text(created["Interface"], "MacAddress"), ipam::MacOf({"shopnet", "host1", "web"}).ToString());
  EXPECT_EQ(Join("ep1"), Json::parse(R"({"InterfaceName":{"SrcName":"flcep1","DstPrefix":"eth"},"Gateway":"10.50.0.1",
      "StaticRoutes":[{"Destination":"169.254.53.53/32","RouteType":1,"NextHop":""}]})"));
}

TEST_F(DockerPluginTest, GivesTheSameAddressAfterRemovalAndANewContainerOfThatName) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string first = StartContainer("c1", "ep1");
  StopContainer("c1", "ep1", first);
  engine_.Remove("c1");
  CreateContainer("c2", "other");
  EXPECT_NE(StartContainer("c2", "ep2"), first);
  CreateContainer("c3", "web");
  EXPECT_EQ(StartContainer("c3", "ep3"), first);
}

TEST_F(DockerPluginTest, OfSeveralCandidatesTheLockedOneAsks) {
  CreateNetwork();
  CreateContainer("c1", "stopped");
  CreateContainer("c2", "web");
  engine_.SetLocked("c2", true);
  std::string address = Address(RequestAddress());
  EXPECT_EQ(LeaseAt(address)->key.name, "web");
  EXPECT_FALSE(LeaseAt(address)->provisional);
}

TEST_F(DockerPluginTest, OfSeveralCandidatesThoseThatAnswerLateOnABusyHostDoNotAsk) {
  CreateNetwork();
  for (const char* id : {"c1", "c2", "c3"}) CreateContainer(id, Cat("web-", id));
  engine_.SetSlow("c1", 60 * kMillisecond);
  engine_.SetLocked("c2", true);
  engine_.SetSlow("c3", 300 * kMillisecond);
  EXPECT_EQ(LeaseAt(Address(RequestAddress()))->key.name, "web-c2");
}

TEST_F(DockerPluginTest, AnAmbiguousStartIsProvisionalUntilJoinTellsTheName) {
  CreateNetwork();
  for (const char* id : {"c1", "c2"}) {
    CreateContainer(id, Cat("web-", id));
    engine_.SetLocked(id, true);
  }
  std::string address = StartContainer("c2", "ep2");
  EXPECT_TRUE(LeaseAt(address)->provisional);
  worker_.Advance(kSecond);
  EXPECT_EQ(LeaseAt(address)->key, (ipam::LeaseKey{"shopnet", "host1", "web-c2"}));
  EXPECT_FALSE(LeaseAt(address)->provisional);
  EXPECT_EQ(driver_.announced["ep2"], 1);
}

TEST_F(DockerPluginTest, ANameThatTheEventsToldIsNotAskedForAgain) {
  CreateNetwork();
  for (const char* id : {"c1", "c2"}) {
    CreateContainer(id, Cat("web-", id));
    engine_.SetLocked(id, true);
  }
  std::string address = StartContainer("c2", "ep2");
  ASSERT_TRUE(LeaseAt(address)->provisional);
  ContainerDetails started = engine_.container("c2");
  started.networks[0].ipv4 = *InterfaceAddress::Parse(address);
  uint64_t before = engine_.network_inspections;
  plugin_->ContainerSeen(started);
  worker_.Advance(5 * kSecond);
  EXPECT_EQ(LeaseAt(address)->key.name, "web-c2");
  EXPECT_EQ(engine_.network_inspections, before);
  EXPECT_EQ(plugin_->stats().network.named, 1u);
  EXPECT_EQ(driver_.announced["ep2"], 1);
}

TEST_F(DockerPluginTest, ForAnEndpointThatIsGoneAgainNobodyIsAsked) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  StopContainer("c1", "ep1", address);
  uint64_t before = engine_.network_inspections;
  worker_.Advance(5 * kSecond);
  EXPECT_EQ(engine_.network_inspections, before);
  EXPECT_EQ(driver_.announced["ep1"], 0);
}

// What Join and DeleteEndpoint write, they write behind their answers.
TEST_F(DockerPluginTest, ACrashBeforeAJoinIsWrittenLosesNothing) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = Address(RequestAddress());
  CreateEndpoint("ep1", address);
  SetDiskFull(true);
  EXPECT_FALSE(Join("ep1").contains("Err"));
  StopAgent();
  SetDiskFull(false);
  StartAgent();
  EXPECT_TRUE(driver_.endpoints.contains("ep1"));
  EXPECT_TRUE(LeaseAt(address)->attached);
  StopContainer("c1", "ep1", address);
  EXPECT_FALSE(LeaseAt(address)->attached);
}

TEST_F(DockerPluginTest, AnEndpointWhoseRemovalCouldNotBeWrittenGivesItsAddressBackOnceTheDiskHasRoom) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  SetDiskFull(true);
  StopContainer("c1", "ep1", address);
  SetDiskFull(false);
  worker_.Advance(3 * kSecond);
  EXPECT_EQ(StartContainer("c1", "ep2"), address);
  EXPECT_TRUE(driver_.endpoints.contains("ep2"));
}

TEST_F(DockerPluginTest, WhereContainersWereStartedThePacketFilterIsLookedAtAgain) {
  CreateNetwork();
  CreateContainer("c1", "web");
  StartContainer("c1", "ep1");
  EXPECT_EQ(driver_.rechecked["net1"], 0);  // not while dockerd waits
  worker_.Advance(kClaimTimeout);
  EXPECT_EQ(driver_.rechecked["net1"], 1);  // once, not every time
}

TEST_F(DockerPluginTest, ABootingEngineThatAnswersNobodyGetsProvisionalAddressesInTime) {
  CreateNetwork();
  CreateContainer("c1", "web");
  StopContainer("c1", "ep1", StartContainer("c1", "ep1"));  // the network's name is known since
  engine_.SetSilent(true);
  uint64_t lists = engine_.lists;
  std::set<std::string> addresses;
  for (int i = 0; i < 4; i++) addresses.insert(Address(RequestAddress()));
  EXPECT_EQ(addresses.size(), 4u);
  EXPECT_FALSE(addresses.contains(""));
  EXPECT_EQ(engine_.lists, lists + 1) << "one of them waits, the others know";
  engine_.SetSilent(false);
  plugin_->ContainerSeen(engine_.container("c1"));
  EXPECT_EQ(LeaseAt(Address(RequestAddress()))->key.name, "web");
}

TEST_F(DockerPluginTest, TheNameThatNewerEnginesTellIsTaken) {
  CreateNetwork();
  std::string address = Address(RequestAddress("", {{"com.docker.network.endpoint.name", "told"}}));
  EXPECT_EQ(LeaseAt(address)->key.name, "told");
}

TEST_F(DockerPluginTest, AskingAgainBeforeTheEndpointGivesTheSameAddress) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = Address(RequestAddress());
  EXPECT_EQ(Address(RequestAddress()), address);  // the answer was lost, or dockerd died before it used it
}

TEST_F(DockerPluginTest, ASecondLiveContainerOfOneCanonicalNameGetsAnAddressOfItsOwn) {
  CreateNetwork();
  Labels compose{{"com.docker.compose.project", "shop"}};
  CreateContainer("c1", "shop-web-1", compose);
  std::string first = StartContainer("c1", "ep1");
  CreateContainer("c2", "0123456789ab_shop-web-1", compose);
  EXPECT_NE(StartContainer("c2", "ep2"), first);
}

TEST_F(DockerPluginTest, ComposesTemporaryNameHasTheAddressOfTheName) {
  CreateNetwork();
  Labels compose{{"com.docker.compose.project", "shop"}};
  CreateContainer("c1", "shop-web-1", compose);
  std::string first = StartContainer("c1", "ep1");
  StopContainer("c1", "ep1", first);
  engine_.Remove("c1");
  CreateContainer("c2", "0123456789ab_shop-web-1", compose);
  EXPECT_EQ(StartContainer("c2", "ep2"), first);
}

TEST_F(DockerPluginTest, RefusingAnEndpointsAddressToAnotherLeavesItAttached) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  EXPECT_TRUE(CreateEndpoint("thief", address).contains("Err"));
  Call("NetworkDriver.DeleteEndpoint", {{"NetworkID", "net1"}, {"EndpointID", "thief"}});
  Call("IpamDriver.ReleaseAddress", {{"PoolID", pool_}, {"Address", address.substr(0, address.find('/'))}});
  EXPECT_TRUE(LeaseAt(address)->attached);
}

TEST_F(DockerPluginTest, ARestartInTheMiddleOfAStartGoesOn) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = Address(RequestAddress());
  StopAgent();
  StartAgent();
  EXPECT_EQ(Address(RequestAddress()), address);  // dockerd got no answer and asks again
  CreateEndpoint("ep1", address);
  StopAgent();
  StartAgent();
  EXPECT_EQ(Text(Join("ep1")["InterfaceName"], "SrcName"), "flcep1");
}

TEST_F(DockerPluginTest, ARebootOfTheHostLetsGoOfItsEndpoints) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  StopAgent();
  driver_.endpoints.clear();
  driver_.networks.clear();
  StartAgent();
  EXPECT_FALSE(LeaseAt(address)->attached);
  EXPECT_TRUE(driver_.networks.contains("net1"));
}

TEST_F(DockerPluginTest, AnEndpointThatWasLeftWhileTheAgentWasAwayIsLetGo) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  StopAgent();
  driver_.unplaced = {"ep1"};  // dockerd put the interface back; nobody heard its Leave
  StartAgent();
  EXPECT_FALSE(LeaseAt(address)->attached);
  EXPECT_TRUE(driver_.endpoints.empty());
}

TEST_F(DockerPluginTest, EveryCallMayBeRepeated) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = Address(RequestAddress());
  EXPECT_EQ(CreateEndpoint("ep1", address), CreateEndpoint("ep1", address));
  EXPECT_EQ(Join("ep1"), Join("ep1"));
  StopContainer("c1", "ep1", address);
  StopContainer("c1", "ep1", address);
  EXPECT_FALSE(LeaseAt(address)->attached);
}

TEST_F(DockerPluginTest, AnAddressThatNoEndpointTookIsDetached) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = Address(RequestAddress());
  worker_.Advance(2 * kClaimTimeout);
  EXPECT_FALSE(LeaseAt(address)->attached);
}

TEST_F(DockerPluginTest, ANameThatAFullDiskHeldBackIsSettledLater) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  worker_.Advance(kSecond);
  ContainerDetails renamed = engine_.container("c1");
  renamed.name = "shop";
  renamed.networks[0].ipv4 = *InterfaceAddress::Parse(address);
  leases_.FailCommit(1, ipam::MemoryLeaseStore::Fault::kFull);
  plugin_->ContainerSeen(renamed);
  worker_.Settle();
  EXPECT_EQ(LeaseAt(address)->key.name, "web");
  worker_.Advance(kClaimTimeout);
  EXPECT_EQ(LeaseAt(address)->key.name, "shop");
}

TEST_F(DockerPluginTest, RemovingTheNetworkKeepsTheReservations) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  StopContainer("c1", "ep1", address);
  Call("IpamDriver.ReleaseAddress", {{"PoolID", pool_}, {"Address", "10.50.0.1"}});
  EXPECT_EQ(Call("IpamDriver.ReleasePool", {{"PoolID", pool_}}), Json::object());
  EXPECT_EQ(Call("NetworkDriver.DeleteNetwork", {{"NetworkID", "net1"}}), Json::object());
  EXPECT_TRUE(driver_.networks.empty());
  CreateNetwork("net1");
  EXPECT_EQ(StartContainer("c1", "ep2"), address);
}

TEST_F(DockerPluginTest, ARenameMovesTheAddressOfAStoppedContainer) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  plugin_->ContainerSeen(engine_.container("c1"));
  StopContainer("c1", "ep1", address);
  engine_.container("c1").name = "shop";
  plugin_->ContainerSeen(engine_.container("c1"));
  worker_.Settle();
  EXPECT_EQ(LeaseAt(address)->key.name, "shop");
}

TEST_F(DockerPluginTest, RefusesWhatItCannotDoByName) {
  Json refused = Call("NetworkDriver.CreateNetwork",
                      {{"NetworkID", "n"}, {"Options", {{"com.docker.network.generic", {{"mode", "macvlan"}}}}}});
  EXPECT_NE(Text(refused, "Err").find("macvlan: not yet"), std::string::npos);
  Json unknown = Call("IpamDriver.RequestPool", {{"Pool", ""}, {"Options", {{"pool", "nobody"}}}});
  EXPECT_NE(Text(unknown, "Error").find("pool nobody is not known"), std::string::npos);
}

}  // namespace
}  // namespace fairlead::runtime
