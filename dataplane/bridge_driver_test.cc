#include <gmock/gmock.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "dataplane/container_fixture.h"
#include "dataplane/dataplane.h"
#include "dataplane/interface_name.h"
#include "dataplane/reaper.h"

namespace fairlead::dataplane {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

#define ASSERT_OK(expr)                          \
  do {                                           \
    const ::fairlead::Status ok_status = (expr); \
    ASSERT_TRUE(ok_status.ok()) << ok_status;    \
  } while (false)

InterfaceAddress Address(std::string_view text) { return *InterfaceAddress::Parse(text); }

class BridgeDriverTest : public BridgeTest {
 protected:
  std::optional<Link> Find(std::string_view name) {
    auto link = netlink().FindLink(name);
    EXPECT_TRUE(link.ok() || link.status().code() == StatusCode::kNotFound) << link.status();
    return link.ok() ? std::optional(*link) : std::nullopt;
  }
  std::vector<std::string> AddressesOf(std::string_view name) {
    std::vector<std::string> texts;
    const std::vector<LinkAddress> there = netlink().ListAddresses(*Find(name)).value();
    for (const LinkAddress& address : there)
      if (!address.address.ToString().starts_with("fe80:")) texts.push_back(address.address.ToString());
    return texts;
  }
  size_t VethCount() { return netlink().ListLinks({.kind = "veth"}).value().size(); }
  // The driver's end waits for its reaper: what is left then is left for good.
  void Restart() { driver_.reset(), driver_ = MakeBridgeDriver(); }
  std::vector<std::string> Endpoints() {
    auto ids = driver_->ListEndpoints();
    EXPECT_TRUE(ids.ok()) << ids.status();
    return *ids;
  }
};

TEST_F(BridgeDriverTest, MakesItsOwnBridgeWithMarkMacMtuAndGateways) {
  network_.mtu = 1400;
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const auto bridge = Find("fl-0a1b2c3d");
  ASSERT_TRUE(bridge.has_value());
  EXPECT_TRUE(bridge->up);
  EXPECT_EQ(bridge->alias, "fairlead:" + network_.id);
  EXPECT_EQ(bridge->mac, BridgeMac(network_.id));
  EXPECT_EQ(bridge->mtu, 1400);
  EXPECT_THAT(AddressesOf(bridge->name), UnorderedElementsAre("10.40.0.1/24", "fd00:40::1/64"));
}

TEST_F(BridgeDriverTest, EnsuringTwiceIsEnsuringOnceAndFollowsChangedGateways) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  ASSERT_OK(driver_->EnsureNetwork(network_));
  EXPECT_EQ(AddressesOf("fl-0a1b2c3d").size(), 2u);
  network_.gateways = {Address("10.41.0.1/24")};
  ASSERT_OK(driver_->EnsureNetwork(network_));
  EXPECT_THAT(AddressesOf("fl-0a1b2c3d"), ElementsAre("10.41.0.1/24"));
}

TEST_F(BridgeDriverTest, KeepsItsMacAndMtuWhilePortsComeAndGo) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  ASSERT_OK(driver_->Attach(network_, MakeEndpoint(7, network_.id)).status());
  EXPECT_EQ(Find("fl-0a1b2c3d")->mac, BridgeMac(network_.id));
}

TEST_F(BridgeDriverTest, RemovesItsOwnBridgeAndFindsItGone) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  ASSERT_OK(driver_->RemoveNetwork(network_));
  EXPECT_FALSE(Find("fl-0a1b2c3d"));
  ASSERT_OK(driver_->RemoveNetwork(network_));
}

TEST_F(BridgeDriverTest, KnowsItsBridgeThatACrashLeftUnmarked) {
  network_.bridge = "br100";
  ASSERT_OK(netlink().CreateBridge({"br100", BridgeMac(network_.id), 0}));
  ASSERT_OK(driver_->EnsureNetwork(network_));
  EXPECT_EQ(Find("br100")->alias, "fairlead:" + network_.id);
}

TEST_F(BridgeDriverTest, RefusesABridgeNameThatTheKernelCannotHold) {
  network_.bridge = "bridge-of-16-byt";
  EXPECT_THAT(Message(driver_->EnsureNetwork(network_)), HasSubstr("bridge-of-16-byt is longer than 15 bytes"));
}

TEST_F(BridgeDriverTest, UsesAnExistingBridgeAndLeavesItAsItWas) {
  ASSERT_OK(netlink().CreateBridge({"br100", {}, 0}));
  ASSERT_OK(netlink().AddAddress(*Find("br100"), {Address("192.0.2.1/24"), 0}));
  ASSERT_OK(netlink().AddAddress(*Find("br100"), {Address("10.40.0.1/24"), 0}));
  network_.bridge = "br100";
  ASSERT_OK(driver_->EnsureNetwork(network_));
  EXPECT_EQ(Find("br100")->alias, "");
  EXPECT_THAT(AddressesOf("br100"), UnorderedElementsAre("192.0.2.1/24", "10.40.0.1/24", "fd00:40::1/64"));
  ASSERT_OK(driver_->RemoveNetwork(network_));
  ASSERT_TRUE(Find("br100"));
  EXPECT_THAT(AddressesOf("br100"), UnorderedElementsAre("192.0.2.1/24", "10.40.0.1/24")) << "ours alone is gone";
}

TEST_F(BridgeDriverTest, AttachedHostSidesNeverBecomeTheMacOfAnExistingBridge) {
  ASSERT_OK(netlink().CreateBridge({"br100", {}, 0}));
  ASSERT_OK(netlink().CreateVeth({"uplink", MacAddress({0x02, 0xff, 0, 0, 0, 1})}, {"lan", {}}, 0));
  ASSERT_OK(Change("uplink", {.up = true, .master = Find("br100")->index}));
  network_.bridge = "br100";
  ASSERT_OK(driver_->EnsureNetwork(network_));
  ASSERT_OK(driver_->Attach(network_, MakeEndpoint(7, network_.id)).status());
  EXPECT_EQ(Find("br100")->mac, Find("uplink")->mac);
}

TEST_F(BridgeDriverTest, RefusesABridgeNameThatIsNoBridge) {
  network_.bridge = "lo";
  EXPECT_THAT(Message(driver_->EnsureNetwork(network_)), HasSubstr("interface lo is no bridge"));
}

TEST_F(BridgeDriverTest, RefusesTheBridgeOfAnotherNetworkWhileThatOneHasEndpoints) {
  network_.bridge = "br100";
  ASSERT_OK(driver_->EnsureNetwork(network_));
  ASSERT_OK(driver_->Attach(network_, MakeEndpoint(7, network_.id)).status());
  NetworkSpec other = network_;
  other.id = "other";
  const Status refused = driver_->EnsureNetwork(other);
  EXPECT_EQ(refused.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(Message(refused), HasSubstr("bridge br100 belongs to network 0a1b2c3d"));
}

TEST_F(BridgeDriverTest, TakesOverAnEmptyBridgeThatALostNetworkLeft) {
  network_.bridge = "br100";
  ASSERT_OK(driver_->EnsureNetwork(network_));
  NetworkSpec next = network_;
  next.id = "next";
  next.gateways = {Address("10.41.0.1/24")};
  ASSERT_OK(driver_->EnsureNetwork(next));
  EXPECT_EQ(Find("br100")->alias, "fairlead:next");
  EXPECT_THAT(AddressesOf("br100"), ElementsAre("10.41.0.1/24"));
  ASSERT_OK(driver_->RemoveNetwork(network_));
  EXPECT_TRUE(Find("br100")) << "the lost network's removal is late and must not take the next one's bridge";
}

TEST_F(BridgeDriverTest, SaysNotYetOfOtherModes) {
  for (const char* mode : {"routed", "macvlan", "overlay"}) {
    network_.mode = mode;
    const Status status = driver_->EnsureNetwork(network_);
    EXPECT_EQ(status.code(), StatusCode::kUnimplemented);
    EXPECT_THAT(Message(status), HasSubstr(Cat("not yet: network mode ", mode)));
  }
}

TEST_F(BridgeDriverTest, AttachesAPairWithFixedNamesMacMtuAndMark) {
  network_.mtu = 1400;
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec endpoint = MakeEndpoint(0x1a2b, network_.id);
  const auto attachment = driver_->Attach(network_, endpoint);
  ASSERT_OK(attachment.status());
  EXPECT_EQ(attachment->host_interface, "flheeeeeeee1a2b");
  EXPECT_EQ(attachment->container_interface, "flceeeeeeee1a2b");
  const Link host = *Find(attachment->host_interface), container = *Find(attachment->container_interface);
  EXPECT_EQ(host.master, Find("fl-0a1b2c3d")->index);
  EXPECT_EQ(host.alias, "fairlead:" + endpoint.id);
  EXPECT_TRUE(host.up);
  EXPECT_EQ(host.mtu, 1400);
  EXPECT_EQ(container.mac, endpoint.mac);
  EXPECT_EQ(container.mtu, 1400);
  EXPECT_EQ(container.master, 0);
  EXPECT_THAT(Endpoints(), ElementsAre(endpoint.id));
}

TEST_F(BridgeDriverTest, TakesTheMtuOfAnExistingBridge) {
  ASSERT_OK(netlink().CreateBridge({"br100", {}, 1300}));
  network_.bridge = "br100";
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const auto attachment = driver_->Attach(network_, MakeEndpoint(7, network_.id));
  ASSERT_OK(attachment.status());
  EXPECT_EQ(Find(attachment->container_interface)->mtu, 1300);
}

TEST_F(BridgeDriverTest, AttachingAgainChangesNothing) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec endpoint = MakeEndpoint(7, network_.id);
  const int index = Find(driver_->Attach(network_, endpoint)->host_interface)->index;
  const auto again = driver_->Attach(network_, endpoint);
  ASSERT_OK(again.status());
  EXPECT_EQ(Find(again->host_interface)->index, index);
  EXPECT_EQ(VethCount(), 2u);
}

TEST_F(BridgeDriverTest, AttachingAgainLeavesAContainerSideThatHasMoved) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const Container container = Start(7);
  ASSERT_OK(driver_->Attach(network_, MakeEndpoint(7, network_.id)).status());
  ASSERT_OK(container.With([](Netlink&, const Link& eth0) {
    return eth0.up ? OkStatus() : Internal("eth0 went down");
  }));
}

TEST_F(BridgeDriverTest, AttachPutsAPortBackThatWasTakenOutOfTheBridge) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec endpoint = MakeEndpoint(7, network_.id);
  const std::string host = driver_->Attach(network_, endpoint)->host_interface;
  ASSERT_OK(Change(host, {.up = false, .master = 0}));
  ASSERT_OK(driver_->Attach(network_, endpoint).status());
  EXPECT_TRUE(Find(host)->up);
  EXPECT_EQ(Find(host)->master, Find("fl-0a1b2c3d")->index);
}

TEST_F(BridgeDriverTest, RefusesANameThatSomebodyElseHolds) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec endpoint = MakeEndpoint(7, network_.id);
  ASSERT_OK(netlink().CreateVeth({HostInterface(endpoint.id), {}}, {"peer", {}}, 0));
  ASSERT_OK(Change(HostInterface(endpoint.id), {.alias = "somebody else's"}));
  const Status refused = driver_->Attach(network_, endpoint).status();
  EXPECT_EQ(refused.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(Message(refused), HasSubstr("somebody else's"));
}

TEST_F(BridgeDriverTest, RefusesToAttachWithoutABridge) {
  EXPECT_EQ(driver_->Attach(network_, MakeEndpoint(7, network_.id)).status().code(), StatusCode::kNotFound);
}

TEST_F(BridgeDriverTest, DetachedLinkIsGoneForEveryCallAtOnceAndDeletedBehind) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec endpoint = MakeEndpoint(7, network_.id);
  const Container container = Start(7);
  ASSERT_OK(driver_->Detach(endpoint.id));
  if (const auto host = Find(HostInterface(endpoint.id))) {
    EXPECT_FALSE(host->up);
    EXPECT_EQ(host->master, 0);
  }
  EXPECT_THAT(Endpoints(), IsEmpty());
  ASSERT_OK(driver_->Detach(endpoint.id));
  Restart();
  EXPECT_FALSE(Find(HostInterface(endpoint.id)));
  EXPECT_EQ(container.With([](Netlink&, const Link&) { return OkStatus(); }).code(), StatusCode::kNotFound);
}

TEST_F(BridgeDriverTest, DetachingWhatNeverWasIsFine) { ASSERT_OK(driver_->Detach("never-was")); }

TEST_F(BridgeDriverTest, DetachLeavesALinkThatIsNotOurs) {
  ASSERT_OK(netlink().CreateVeth({HostInterface("e"), {}}, {"peer", {}}, 0));
  ASSERT_OK(driver_->Detach("e"));
  Restart();
  EXPECT_TRUE(Find(HostInterface("e")));
}

TEST_F(BridgeDriverTest, AttachesAnEndpointRightAfterItsDetach) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec endpoint = MakeEndpoint(7, network_.id);
  ASSERT_OK(driver_->Attach(network_, endpoint).status());
  ASSERT_OK(driver_->Detach(endpoint.id));
  ASSERT_OK(driver_->Attach(network_, endpoint).status());
  Restart();
  EXPECT_TRUE(Find(HostInterface(endpoint.id))->up) << "the reaper took the old pair alone";
}

TEST_F(BridgeDriverTest, FindsItsEndpointsAgainAfterARestart) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  ASSERT_OK(driver_->Attach(network_, MakeEndpoint(7, network_.id)).status());
  Restart();
  EXPECT_THAT(Endpoints(), ElementsAre(MakeEndpoint(7, network_.id).id));
}

TEST_F(BridgeDriverTest, TellsWhichEndpointsNoContainerHas) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const Container container = Start(7);
  const EndpointSpec waiting = MakeEndpoint(8, network_.id);
  ASSERT_OK(driver_->Attach(network_, waiting).status());
  EXPECT_EQ(Endpoints().size(), 2u);
  EXPECT_THAT(*driver_->ListUnplaced(), ElementsAre(waiting.id));
}

TEST_F(BridgeDriverTest, ReconcileRemovesLeftoversOfACrashAndNothingElse) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec wanted = MakeEndpoint(7, network_.id), left = MakeEndpoint(8, network_.id);
  ASSERT_OK(driver_->Attach(network_, wanted).status());
  ASSERT_OK(driver_->Attach(network_, left).status());
  // A crash between creating a pair and marking it.
  const EndpointSpec half = MakeEndpoint(9, network_.id);
  ASSERT_OK(netlink().CreateVeth({HostInterface(half.id), {}}, {ContainerInterface(half.id), {}}, 0));
  // Others: a veth with an alias of its own under a name like ours, and one with another name.
  ASSERT_OK(netlink().CreateVeth({"flh000000000001", {}}, {"peer1", {}}, 0));
  ASSERT_OK(Change("flh000000000001", {.alias = "not ours"}));
  ASSERT_OK(netlink().CreateVeth({"veth0", {}}, {"peer2", {}}, 0));

  const auto removed = driver_->Reconcile({wanted.id});
  ASSERT_OK(removed.status());
  EXPECT_EQ(*removed, 2);
  EXPECT_EQ(*driver_->Reconcile({wanted.id}), 0);
  Restart();
  EXPECT_TRUE(Find(HostInterface(wanted.id)));
  EXPECT_FALSE(Find(HostInterface(left.id)));
  EXPECT_FALSE(Find(HostInterface(half.id)));
  EXPECT_TRUE(Find("flh000000000001"));
  EXPECT_TRUE(Find("veth0"));
}

TEST_F(BridgeDriverTest, AttachReplacesAPairThatACrashLeftHalfMade) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const EndpointSpec endpoint = MakeEndpoint(7, network_.id);
  ASSERT_OK(netlink().CreateVeth({HostInterface(endpoint.id), {}}, {ContainerInterface(endpoint.id), {}}, 0));
  const auto attachment = driver_->Attach(network_, endpoint);
  ASSERT_OK(attachment.status());
  EXPECT_EQ(Find(attachment->container_interface)->mac, endpoint.mac);
}

TEST_F(BridgeDriverTest, DeletesWhatACrashLeftCondemned) {
  driver_.reset();
  ASSERT_OK(netlink().CreateVeth({"flh000000000001", {}}, {"flc000000000001", {}}, 0));
  ASSERT_OK(Change("flh000000000001", {.group = kCondemnedGroup}));
  Restart();
  driver_.reset();
  EXPECT_FALSE(Find("flh000000000001"));
}

TEST_F(BridgeDriverTest, ContainersReachEachOtherAndTheGatewayInBothFamilies) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const Container a = Start(7), b = Start(8);
  for (const char* address : {"10.40.0.", "fd00:40::"}) {
    auto ip = [&](int last) { return *IpAddress::Parse(Cat(address, last)); };
    const auto asker = a.Udp(ip(7)), server = b.Udp(ip(8));
    ASSERT_OK(asker.status());
    ASSERT_OK(server.status());
    EXPECT_EQ(Ask(**asker, **server), (*server)->local().ToString());
    const auto gateway = UdpSocket::Open(SocketAddress(ip(1), 0));
    ASSERT_OK(gateway.status());
    EXPECT_EQ(Ask(**asker, **gateway), (*gateway)->local().ToString());
  }
}

// What Docker does to a host: bridged packets pass FORWARD, and its policy is DROP. An own namespace has its own tables.
TEST_F(BridgeDriverTest, ContainersReachEachOtherWhereDockerFiltersBridges) {
  std::ifstream sysctl("/proc/sys/net/bridge/bridge-nf-call-iptables");
  ASSERT_TRUE(sysctl.is_open()) << "this test needs br_netfilter: modprobe br_netfilter";
  std::ofstream("/proc/sys/net/bridge/bridge-nf-call-iptables") << 1;
  for (const char* command : {"iptables -P FORWARD DROP", "ip6tables -P FORWARD DROP"}) ASSERT_EQ(std::system(command), 0);
  const auto rules = [&] { return std::system("iptables -S FORWARD | grep -q fl-0a1b2c3d") == 0; };
  ASSERT_OK(driver_->EnsureNetwork(network_));
  EXPECT_TRUE(rules());
  const Container a = Start(7), b = Start(8);
  for (const char* address : {"10.40.0.", "fd00:40::"}) {
    const auto asker = a.Udp(*IpAddress::Parse(Cat(address, 7))), server = b.Udp(*IpAddress::Parse(Cat(address, 8)));
    EXPECT_EQ(Ask(**asker, **server), (*server)->local().ToString());
  }
  // Somebody reloads the firewall.
  for (const char* command : {"iptables -F FORWARD", "ip6tables -F FORWARD"}) ASSERT_EQ(std::system(command), 0);
  ASSERT_OK(driver_->EnsureNetwork(network_));
  EXPECT_FALSE(rules());  // costs 10 ms to find out: not before every attach
  ASSERT_OK(driver_->RecheckFilter(network_));
  EXPECT_TRUE(rules());
  ASSERT_OK(driver_->RemoveNetwork(network_));
  EXPECT_FALSE(rules());
}

TEST_F(BridgeDriverTest, AnnounceReplacesAStaleEntryOfPeersAndOfTheHost) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  const Container peer = Start(7), moved = Start(8);
  const EndpointSpec endpoint = MakeEndpoint(8, network_.id);
  {  // the port forwards from here on: announcements are not repeated
    const auto asker = peer.Udp(*IpAddress::Parse("10.40.0.7")), server = moved.Udp(*IpAddress::Parse("10.40.0.8"));
    ASSERT_EQ(Ask(**asker, **server), (*server)->local().ToString());
  }
  const MacAddress older({0x02, 0x99, 0, 0, 0, 1});
  auto spoil = [&](Netlink& there, const Link& link) -> Status {
    for (const InterfaceAddress& address : endpoint.addresses)
      RETURN_IF_ERROR(there.SetNeighbour(link, {address.address, older, NUD_STALE}));
    return OkStatus();
  };
  auto check = [&](Netlink& there, const Link& link) -> Status {
    for (int family : {AF_INET, AF_INET6}) {
      ASSIGN_OR_RETURN(const auto entries, there.ListNeighbours(link, family));
      for (const Neighbour& entry : entries)
        if (entry.mac == older) return Internal(entry.address.ToString(), " still has the older MAC");
    }
    return OkStatus();
  };
  ASSERT_OK(peer.With(spoil));
  ASSERT_OK(spoil(netlink(), *Find("fl-0a1b2c3d")));
  ASSERT_OK(driver_->Announce(network_, endpoint));
  // The kernel may hand frames over a little after the send returns.
  Status seen = peer.With(check);
  for (int tries = 0; tries < 10'000 && !seen.ok(); ++tries) seen = peer.With(check);
  EXPECT_TRUE(seen.ok()) << seen;
  EXPECT_TRUE(check(netlink(), *Find("fl-0a1b2c3d")).ok());
}

TEST_F(BridgeDriverTest, TwoHundredEndpointsComeAndGoWithoutTrace) {
  ASSERT_OK(driver_->EnsureNetwork(network_));
  for (int n = 2; n < 202; ++n) ASSERT_OK(driver_->Attach(network_, MakeEndpoint(n, network_.id)).status());
  EXPECT_EQ(Endpoints().size(), 200u);
  for (int n = 2; n < 202; ++n) ASSERT_OK(driver_->Detach(MakeEndpoint(n, network_.id).id));
  EXPECT_THAT(Endpoints(), IsEmpty());
  driver_.reset();
  EXPECT_EQ(VethCount(), 0u);
}

}  // namespace
}  // namespace fairlead::dataplane
