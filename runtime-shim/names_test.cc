// Whose address it is, and which: what the engine tells, labels, networks of several subnets and families, replays.
#include "runtime-shim/plugin_fixture.h"

namespace fairlead::runtime {
namespace {

class NamesTest : public PluginFixture {
 protected:
  static constexpr const char* kGatewayType = "com.docker.network.gateway";

  std::string RequestPool(const std::string& subnet, const std::string& pool = "", bool v6 = false) {
    Json options = Json::object();
    if (!pool.empty()) options["pool"] = pool;
    return Text(Call("IpamDriver.RequestPool", {{"AddressSpace", "fairlead-local"}, {"Pool", subnet}, {"SubPool", ""},
                                                {"Options", options}, {"V6", v6}}), "PoolID");
  }
  Json Ask(const std::string& pool, const std::string& address = "", Json options = nullptr) {
    return Call("IpamDriver.RequestAddress", {{"PoolID", pool}, {"Address", address}, {"Options", options}});
  }
  Json AskGateway(const std::string& pool, const std::string& address) {
    return Ask(pool, address, {{"RequestAddressType", kGatewayType}});
  }
  static Json Data(const std::string& gateway, const std::string& subnet) {
    return {{"AddressSpace", "fairlead-local"}, {"Gateway", gateway}, {"Pool", subnet}};
  }
  void MakeNetwork(const std::string& id, const std::string& name, Json v4, Json v6 = Json::array()) {
    std::vector<Prefix> subnets;
    for (const Json& list : {v4, v6})
      for (const Json& data : list) subnets.push_back(*Prefix::Parse(Text(data, "Pool")));
    EXPECT_EQ(Call("NetworkDriver.CreateNetwork", {{"NetworkID", id}, {"Options", Json::object()}, {"IPv4Data", v4}, {"IPv6Data", v6}}),
              Json::object());
    engine_.network(id) = {.id = id, .name = name, .driver = "fairlead", .subnets = subnets};
    plugin_->NetworkSeen(engine_.network(id));
    worker_.Settle();
  }
  void PutPool(ipam::PoolSpec spec) { ASSERT_TRUE(worker_.Run(ipam_->PutPool(std::move(spec))).ok()); }
  std::string Told(const std::string& name, const std::string& address = "") {
    Json reply = RequestAddress(address, {{"com.docker.network.endpoint.name", name}});
    return Address(reply) + Text(reply, "Error");
  }
  void See(const std::string& id) {
    plugin_->ContainerSeen(engine_.container(id));
    worker_.Settle();
  }
};

TEST_F(NamesTest, ANameThatIsToldNeedsNoQuestionToTheEngine) {
  CreateNetwork();
  plugin_->NetworkSeen(engine_.network("net1"));
  CreateContainer("c1", "0123456789ab_shop-web-1", {{"com.docker.compose.project", "shop"}});
  See("c1");
  engine_.SetDown(true);
  EXPECT_EQ(LeaseAt(Told("0123456789ab_shop-web-1"))->key.name, "shop-web-1");
}

TEST_F(NamesTest, ALabelGivesTheAddress) {
  CreateNetwork();
  CreateContainer("c1", "web", {{"fairlead.ip", "10.50.0.44"}});
  EXPECT_EQ(Address(RequestAddress()), "10.50.0.44/24");
}

TEST_F(NamesTest, AScaledServiceDrawsASliceByItsContainersNumbers) {
  CreateNetwork();
  for (int i = 1; i <= 4; i++) {
    CreateContainer(Cat("c", i), Cat("shop-web-", i),
                    {{"fairlead.ip", "10.50.0.40-10.50.0.42"}, {"com.docker.compose.container-number", Cat(i)}});
    See(Cat("c", i));
  }
  EXPECT_EQ(Told("shop-web-2"), "10.50.0.41/24");
  EXPECT_EQ(Told("shop-web-1"), "10.50.0.40/24");
  EXPECT_NE(Told("shop-web-4").find("has 3 addresses of pool"), std::string::npos);
}

TEST_F(NamesTest, TheUsersOwnAddressWinsOverTheLabel) {
  CreateNetwork();
  CreateContainer("c1", "web", {{"fairlead.ip", "10.50.0.44"}});
  engine_.container("c1").networks[0].wanted = *IpAddress::Parse("10.50.0.77");
  EXPECT_EQ(Address(RequestAddress("10.50.0.77")), "10.50.0.77/24");
}

TEST_F(NamesTest, ALabelledAddressOfAnotherIsRefusedWithTheHoldersName) {
  CreateNetwork();
  CreateContainer("c1", "web", {{"fairlead.ip", "10.50.0.44"}});
  CreateContainer("c2", "thief", {{"fairlead.ip", "10.50.0.44"}});
  See("c1");
  See("c2");
  EXPECT_EQ(Told("web"), "10.50.0.44/24");
  EXPECT_NE(Told("thief").find("shopnet/host1/web"), std::string::npos);
}

TEST_F(NamesTest, ALabelledPoolGivesAddressAndGatewayOnTheNetworksOwnBridge) {
  CreateNetwork();
  PutPool({.name = "dmz", .prefixes = {{.prefix = *Prefix::Parse("10.60.0.0/24"), .gateway = *IpAddress::Parse("10.60.0.254")}}});
  CreateContainer("c1", "web", {{"fairlead.pool", "dmz"}, {"fairlead.ip", "10.60.0.9"}});
  std::string address = Address(RequestAddress());
  EXPECT_EQ(address, "10.60.0.9/24");
  CreateEndpoint("ep1", address);
  EXPECT_EQ(Text(Join("ep1"), "Gateway"), "10.60.0.254");
  const auto& gateways = driver_.networks["net1"].gateways;
  EXPECT_NE(std::ranges::find(gateways, *InterfaceAddress::Parse("10.60.0.254/24")), gateways.end());
  Call("NetworkDriver.Leave", {{"NetworkID", "net1"}, {"EndpointID", "ep1"}});
  Call("NetworkDriver.DeleteEndpoint", {{"NetworkID", "net1"}, {"EndpointID", "ep1"}});
  Call("IpamDriver.ReleaseAddress", {{"PoolID", pool_}, {"Address", "10.60.0.9"}});
  EXPECT_FALSE(ipam_->FindByAddress("dmz", *IpAddress::Parse("10.60.0.9"))->attached);
}

TEST_F(NamesTest, ALabelledPoolThatThereIsNotOrThatIsAnotherNetworksIsRefused) {
  CreateNetwork();
  PutPool({.name = "dmz", .prefixes = {{.prefix = *Prefix::Parse("10.60.0.0/24")}}});
  std::string dmz = RequestPool("10.60.0.0/24", "dmz");
  AskGateway(dmz, "10.60.0.1");
  MakeNetwork("net2", "dmznet", Json::array({Data("10.60.0.1/24", "10.60.0.0/24")}));
  CreateContainer("c1", "web", {{"fairlead.pool", "nobody"}});
  CreateContainer("c2", "app", {{"fairlead.pool", "dmz"}});
  See("c1");
  See("c2");
  EXPECT_NE(Told("web").find("there is no pool nobody"), std::string::npos);
  EXPECT_NE(Told("app").find("those of network dmznet"), std::string::npos);
}

TEST_F(NamesTest, OfANetworkOfSeveralSubnetsTheNamesOwnIsAnsweredWhicheverIsAsked) {
  PutPool({.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.70.1.0/30")}, {.prefix = *Prefix::Parse("10.70.2.0/24")}}});
  std::string first = RequestPool("10.70.1.0/30", "shop"), second = RequestPool("10.70.2.0/24", "shop");
  AskGateway(first, "10.70.1.1");
  AskGateway(second, "10.70.2.1");
  MakeNetwork("net1", "shopnet", Json::array({Data("10.70.1.1/30", "10.70.1.0/30"), Data("10.70.2.1/24", "10.70.2.0/24")}));
  std::set<std::string> gateways;
  for (int i = 1; i <= 3; i++) {
    CreateContainer("c", Cat("web-", i));
    std::string address = Address(Ask(first)), endpoint = Cat("ep", i);  // dockerd asks the first pool only
    ASSERT_NE(address, "");
    EXPECT_EQ(address, Address(Ask(first))) << "asked again";
    CreateEndpoint(endpoint, address);
    std::string gateway = Text(Join(endpoint), "Gateway");
    EXPECT_TRUE(InterfaceAddress::Parse(address)->prefix().Contains(*IpAddress::Parse(gateway)));
    gateways.insert(gateway);
    Call("NetworkDriver.DeleteEndpoint", {{"NetworkID", "net1"}, {"EndpointID", endpoint}});
    std::string ip = address.substr(0, address.find('/'));
    Call("IpamDriver.ReleaseAddress", {{"PoolID", first}, {"Address", ip}});
    auto lease = ipam_->FindByAddress("shop", *IpAddress::Parse(ip));
    ASSERT_TRUE(lease.has_value());
    EXPECT_FALSE(lease->attached);
  }
  EXPECT_TRUE(gateways.contains("10.70.2.1"));
}

TEST_F(NamesTest, ANetworkOfSomeOfAPoolsSubnetsGivesNoneOfTheOthers) {
  PutPool({.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.70.1.0/30")}, {.prefix = *Prefix::Parse("10.70.2.0/24")}}});
  pool_ = RequestPool("10.70.1.0/30", "shop");
  AskGateway(pool_, "10.70.1.1");
  MakeNetwork("net1", "shopnet", Json::array({Data("10.70.1.1/30", "10.70.1.0/30")}));
  EXPECT_EQ(Told("web"), "10.70.1.2/30");
  EXPECT_NE(Told("app").find("full"), std::string::npos);
}

TEST_F(NamesTest, OfAPoolForSeveralHostsOnlyThisOnesSubnetsAreUsed) {
  PutPool({.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.70.1.0/24"), .node = "host2"},
                                        {.prefix = *Prefix::Parse("10.70.2.0/24"), .node = "host1"}}});
  EXPECT_EQ(RequestPool("10.70.1.0/24", "shop"), "") << "it is another host's";
  pool_ = RequestPool("", "shop");
  AskGateway(pool_, "10.70.2.1");
  MakeNetwork("net1", "shopnet", Json::array({Data("10.70.2.1/24", "10.70.2.0/24")}));
  EXPECT_TRUE(Prefix::Parse("10.70.2.0/24")->Contains(InterfaceAddress::Parse(Told("web"))->address));
}

TEST_F(NamesTest, ADualStackContainerKeepsOneAddressOfEachFamily) {
  std::string v4 = RequestPool("10.50.0.0/24"), v6 = RequestPool("fd00:50::/64", "", true);
  AskGateway(v4, "10.50.0.1");
  AskGateway(v6, "fd00:50::1");
  MakeNetwork("net1", "shopnet", Json::array({Data("10.50.0.1/24", "10.50.0.0/24")}), Json::array({Data("fd00:50::1/64", "fd00:50::/64")}));
  CreateContainer("c1", "web");
  std::string address = Address(Ask(v4)), address6 = Address(Ask(v6));
  Json interface{{"Address", address}, {"AddressIPv6", address6}, {"MacAddress", ""}};
  Call("NetworkDriver.CreateEndpoint", {{"NetworkID", "net1"}, {"EndpointID", "ep1"}, {"Interface", interface}, {"Options", Json::object()}});
  Json joined = Join("ep1");
  EXPECT_EQ(Text(joined, "Gateway"), "10.50.0.1");
  EXPECT_EQ(Text(joined, "GatewayIPv6"), "fd00:50::1");
  Call("NetworkDriver.DeleteEndpoint", {{"NetworkID", "net1"}, {"EndpointID", "ep1"}});
  for (const std::string& text : {address, address6})
    Call("IpamDriver.ReleaseAddress", {{"PoolID", text == address ? v4 : v6}, {"Address", text.substr(0, text.find('/'))}});
  EXPECT_EQ(Address(Ask(v6)), address6);
  EXPECT_EQ(Address(Ask(v4)), address);
}

TEST_F(NamesTest, BothFamiliesArePinned) {
  std::string v4 = RequestPool("10.50.0.0/24"), v6 = RequestPool("fd00:50::/64", "", true);
  MakeNetwork("net1", "shopnet", Json::array({Data("10.50.0.1/24", "10.50.0.0/24")}), Json::array({Data("fd00:50::1/64", "fd00:50::/64")}));
  CreateContainer("c1", "web");
  engine_.container("c1").networks[0].wanted = *IpAddress::Parse("10.50.0.77");  // the user's
  ASSERT_TRUE(worker_.Run(plugin_->PinContainer(Json{{"container", "c1"}})).ok());
  const NetworkAttachment& at = engine_.container("c1").networks.at(0);
  EXPECT_EQ(at.wanted, *IpAddress::Parse("10.50.0.77"));
  EXPECT_EQ(at.wanted_v6, ipam_->Find({"shopnet", "host1", "web", true})->ip);
  EXPECT_EQ(Address(Ask(v6, at.wanted_v6.ToString())), Cat(at.wanted_v6.ToString(), "/64"));
}

TEST_F(NamesTest, ANetworkOfIpv6Alone) {
  std::string v6 = RequestPool("fd00:50::/64", "", true);
  AskGateway(v6, "fd00:50::1");
  MakeNetwork("net1", "shopnet", Json::array(), Json::array({Data("fd00:50::1/64", "fd00:50::/64")}));
  CreateContainer("c1", "web");
  std::string address = Address(Ask(v6));
  Json interface{{"Address", ""}, {"AddressIPv6", address}, {"MacAddress", ""}};
  Json made = Call("NetworkDriver.CreateEndpoint", {{"NetworkID", "net1"}, {"EndpointID", "ep1"}, {"Interface", interface}, {"Options", Json::object()}});
  EXPECT_FALSE(made.contains("Err")) << made;
  Json joined = Join("ep1");
  EXPECT_EQ(Text(joined, "GatewayIPv6"), "fd00:50::1");
  EXPECT_FALSE(joined.contains("Gateway"));
  EXPECT_FALSE(joined.contains("DisableGatewayService"));
}

// dockerd with RequiresRequestReplay, at its start: the pool, its gateway, its auxiliary addresses, then those of live
// endpoints. It answers nobody meanwhile.
TEST_F(NamesTest, AReplayGetsTheSamePoolAndEveryAddressAgainInWhateverOrder) {
  CreateNetwork();
  Call("IpamDriver.RequestAddress", {{"PoolID", pool_}, {"Address", "10.50.0.1"}, {"Options", nullptr}});
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  worker_.Advance(kSecond);
  std::string ip = address.substr(0, address.find('/'));
  StopAgent();
  StartAgent();
  engine_.SetDown(true);
  EXPECT_EQ(Address(Ask(pool_, ip)), address);
  EXPECT_EQ(RequestPool("10.50.0.0/24"), pool_);
  EXPECT_EQ(Address(AskGateway(pool_, "10.50.0.1")), "10.50.0.1/24");
  EXPECT_EQ(Address(Ask(pool_, ip)), address);
  EXPECT_EQ(LeaseAt(address)->key.name, "web");
  EXPECT_TRUE(LeaseAt(address)->attached);
}

TEST_F(NamesTest, AnAuxiliaryAddressIsReplayedAsWhatItIs) {
  pool_ = RequestPool("10.50.0.0/24");
  EXPECT_EQ(Address(Ask(pool_, "10.50.0.200")), "10.50.0.200/24");  // --aux-address
  MakeNetwork("net1", "shopnet", Json::array({Data("10.50.0.1/24", "10.50.0.0/24")}));
  EXPECT_TRUE(Ask(pool_, "10.50.0.200").contains("Error")) << "a container's --ip";
  engine_.SetDown(true);
  EXPECT_EQ(Address(Ask(pool_, "10.50.0.200")), "10.50.0.200/24");
}

TEST_F(NamesTest, TheRollbackOfAReplayTakesNothingFromALivingNetwork) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  EXPECT_EQ(Call("IpamDriver.ReleasePool", {{"PoolID", pool_}}), Json::object());
  StopContainer("c1", "ep1", address);
  EXPECT_EQ(StartContainer("c1", "ep2"), address);
}

TEST_F(NamesTest, ALiveAddressThatIsReplayedAfterOurRecordsWereLostIsNotTakenForAnAuxiliaryOne) {
  CreateNetwork();
  CreateContainer("c1", "web");
  std::string address = StartContainer("c1", "ep1");
  StopAgent();
  std::filesystem::remove(worker_.folder + "/plugin.db");
  StartAgent();
  engine_.SetDown(true);
  pool_ = RequestPool("10.50.0.0/24");
  EXPECT_EQ(Address(Ask(pool_, address.substr(0, address.find('/')))), address);
  EXPECT_EQ(Address(Ask(pool_, "10.50.0.99")), "10.50.0.99/24");
  EXPECT_TRUE(ipam_->FindPool("10.50.0.0/24")->prefixes.at(0).exclude.empty());
}

TEST_F(NamesTest, ASecondNetworkOnASubnetOfALivingOneIsRefused) {
  CreateNetwork();
  Json refused = Call("IpamDriver.RequestPool", {{"AddressSpace", "fairlead-local"}, {"Pool", "10.50.0.0/24"}, {"SubPool", ""},
                                                 {"Options", Json::object()}, {"V6", false}});
  EXPECT_NE(Text(refused, "Error").find("of network shopnet"), std::string::npos) << refused;
}

// A whole host that boots: dockerd starts everything at once and answers nobody until it is done.
TEST_F(NamesTest, FiftyContainersThatStartWithTheHostGetTheirOwnWherePinnedAndOneEachElsewhere) {
  CreateNetwork();
  plugin_->NetworkSeen(engine_.network("net1"));
  for (int i = 0; i < 50; i++) {
    CreateContainer(Cat("c", i), Cat("web-", i));
    if (i % 2 == 0) ASSERT_TRUE(worker_.Run(plugin_->PinContainer(Json{{"container", Cat("c", i)}})).ok());
  }
  StopAgent();
  StartAgent();
  engine_.SetSilent(true);
  engine_.SetDown(false);
  Nanos began = worker_.proactor->Now();
  std::set<std::string> given;
  for (int i = 0; i < 50; i++) {
    std::string wanted = engine_.container(Cat("c", i)).networks.at(0).wanted.ToString();
    Json reply = RequestAddress(wanted);
    ASSERT_NE(Address(reply), "") << reply;
    EXPECT_TRUE(given.insert(Address(reply)).second);
    if (wanted.empty()) continue;
    EXPECT_EQ(LeaseAt(Address(reply))->key.name, Cat("web-", i));
    EXPECT_EQ(Address(RequestAddress(wanted)), Address(reply)) << "asked again";
  }
  EXPECT_LT(worker_.proactor->Now() - began, 5 * kSecond);
}

}  // namespace
}  // namespace fairlead::runtime
