// Conversations with dockerd 20.10 as they were recorded, request by request.
#include "runtime-shim/docker_plugin.h"

#include <gtest/gtest.h>

#include "ipam/memory_lease_store.h"
#include "runtime-shim/json_fields.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

class DockerPluginTest : public testing::Test {
 protected:
  void SetUp() override { StartAgent(); }
  void TearDown() override { StopAgent(); }

  void StartAgent() {
    store_ = *PluginStore::Open(worker_.folder + "/plugin.db");
    ipam_ = std::make_unique<ipam::Ipam>(leases_, offload_, *worker_.proactor, worker_.clock);
    ASSERT_TRUE(worker_.Run(ipam_->Load()).ok());
    PluginConfig config{.node = "host1", .driver = "fairlead", .dns_address = *IpAddress::Parse("169.254.53.53")};
    plugin_ = std::make_unique<DockerPlugin>(
        config, DockerPlugin::Parts{*worker_.proactor, worker_.clock, random_, engine_, *ipam_, *store_, offload_, driver_, offload_});
    ASSERT_TRUE(worker_.Run(plugin_->Start()).ok());
  }
  void StopAgent() {
    worker_.Run(StopPlugin(*plugin_));
    plugin_.reset();
    ipam_.reset();
    store_.reset();
  }
  static io::Task<bool> StopPlugin(DockerPlugin& plugin) {
    co_await plugin.Stop();
    co_return true;
  }

  Json Call(const std::string& call, const Json& request = nullptr) {
    http::Request http{.method = "POST", .target = "/" + call, .headers = {}, .body = request.is_null() ? "" : request.dump()};
    http::RequestContext context{*worker_.proactor, {}, {}};
    http::Reply reply = worker_.Run(plugin_->Handle(http, context));
    EXPECT_EQ(reply.status, 200);
    return Json::parse(reply.body);
  }
  std::string Address(const Json& reply) { return Text(reply, "Address"); }

  // `docker network create --subnet 10.50.0.0/24 --gateway 10.50.0.1 shopnet`
  void CreateNetwork(const std::string& id = "net1") {
    pool_ = Text(Call("IpamDriver.RequestPool", {{"AddressSpace", "fairlead-local"}, {"Pool", "10.50.0.0/24"},
                                                 {"SubPool", ""}, {"Options", Json::object()}, {"V6", false}}), "PoolID");
    Call("IpamDriver.RequestAddress", {{"PoolID", pool_}, {"Address", "10.50.0.1"},
                                       {"Options", {{"RequestAddressType", "com.docker.network.gateway"}}}});
    Json made = Call("NetworkDriver.CreateNetwork",
                     {{"NetworkID", id},
                      {"Options", {{"com.docker.network.enable_ipv6", false}, {"com.docker.network.generic", {{"bridge", "br1"}}}}},
                      {"IPv4Data", Json::array({{{"AddressSpace", "fairlead-local"}, {"Gateway", "10.50.0.1/24"}, {"Pool", "10.50.0.0/24"}}})},
                      {"IPv6Data", Json::array()}});
    EXPECT_EQ(made, Json::object());
    engine_.network(id) = {.id = id, .name = "shopnet", .driver = "fairlead", .subnets = {*Prefix::Parse("10.50.0.0/24")}};
  }
  // `docker create`: on the network by configuration only.
  void CreateContainer(const std::string& id, const std::string& name, Labels labels = {}) {
    ContainerDetails& c = engine_.container(id);
    c.id = id;
    c.name = name;
    c.state = "created";
    c.labels = std::move(labels);
    c.networks = {NetworkAttachment{.network = "shopnet"}};
  }
  Json RequestAddress(const std::string& address = "", Json options = nullptr) {
    return Call("IpamDriver.RequestAddress", {{"PoolID", pool_}, {"Address", address}, {"Options", options}});
  }
  Json CreateEndpoint(const std::string& endpoint, const std::string& address) {
    return Call("NetworkDriver.CreateEndpoint", {{"NetworkID", "net1"}, {"EndpointID", endpoint}, {"Options", Json::object()},
                                                 {"Interface", {{"Address", address}, {"AddressIPv6", ""}, {"MacAddress", ""}}}});
  }
  Json Join(const std::string& endpoint) {
    return Call("NetworkDriver.Join", {{"NetworkID", "net1"}, {"EndpointID", endpoint}, {"SandboxKey", "/x"}, {"Options", Json::object()}});
  }
  // The whole start of a container; gives its address.
  std::string StartContainer(const std::string& id, const std::string& endpoint) {
    std::string address = Address(RequestAddress());
    CreateEndpoint(endpoint, address);
    Join(endpoint);
    ContainerDetails& c = engine_.container(id);
    c.state = "running";
    c.networks[0].endpoint_id = endpoint;
    c.networks[0].network_id = "net1";
    engine_.network("net1").members.push_back({endpoint, c.name});
    return address;
  }
  void StopContainer(const std::string& id, const std::string& endpoint, const std::string& address) {
    Json which{{"NetworkID", "net1"}, {"EndpointID", endpoint}};
    EXPECT_EQ(Call("NetworkDriver.RevokeExternalConnectivity", which), Json::object());
    EXPECT_EQ(Call("NetworkDriver.Leave", which), Json::object());
    EXPECT_EQ(Call("NetworkDriver.DeleteEndpoint", which), Json::object());
    Json release{{"PoolID", pool_}, {"Address", address.substr(0, address.find('/'))}};
    EXPECT_EQ(Call("IpamDriver.ReleaseAddress", release), Json::object());
    engine_.container(id).state = "exited";
    engine_.container(id).networks[0].endpoint_id.clear();
    std::erase_if(engine_.network("net1").members, [&](const NetworkMember& m) { return m.endpoint_id == endpoint; });
  }
  std::optional<ipam::Lease> LeaseAt(const std::string& address) {
    return ipam_->FindByAddress("10.50.0.0/24", InterfaceAddress::Parse(address)->address);
  }

  Worker worker_;
  InlineOffload offload_;
  SeededRandom random_{1};
  ScriptedEngine engine_{*worker_.proactor};
  RememberingDriver driver_;
  ipam::MemoryLeaseStore leases_;
  std::unique_ptr<PluginStore> store_;
  std::unique_ptr<ipam::Ipam> ipam_;
  std::unique_ptr<DockerPlugin> plugin_;
  std::string pool_;
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
