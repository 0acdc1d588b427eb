#include "base/net/netlink.h"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <linux/neighbour.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <thread>

#include "base/net/netns_fixture.h"

namespace fairlead {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

MacAddress Mac(std::string_view text) { return *MacAddress::Parse(text); }
InterfaceAddress Address(std::string_view text) { return *InterfaceAddress::Parse(text); }

// Capabilities belong to a thread: what runs here has none, the test keeps its own.
Status WithoutCapabilities(const std::function<Status()>& body) {
  Status status;
  std::thread([&] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2]{};
    status = syscall(SYS_capset, &header, none) == 0 ? body() : ErrnoStatus(errno, "capset");
  }).join();
  return status;
}

class NetlinkTest : public NetnsTest {
 protected:
  Link Find(std::string_view name) {
    auto link = netlink().FindLink(name);
    EXPECT_TRUE(link.ok()) << link.status();
    return link.ok() ? *link : Link{};
  }
};

TEST_F(NetlinkTest, CreatesABridgeWithMacAndMtu) {
  ASSERT_TRUE(netlink().CreateBridge({"br100", Mac("02:00:00:00:01:00"), 1400}).ok());
  const Link bridge = Find("br100");
  EXPECT_EQ(bridge.kind, "bridge");
  EXPECT_EQ(bridge.mac, Mac("02:00:00:00:01:00"));
  EXPECT_EQ(bridge.mtu, 1400);
  EXPECT_FALSE(bridge.up);
}

TEST_F(NetlinkTest, CreatesAVethPairWithNamesMacsAndMtuAtOnce) {
  ASSERT_TRUE(netlink().CreateVeth({"left", Mac("02:00:00:00:00:01")}, {"right", Mac("02:00:00:00:00:02")}, 1400).ok());
  for (const auto& [name, mac] : {std::pair{"left", "02:00:00:00:00:01"}, std::pair{"right", "02:00:00:00:00:02"}}) {
    const Link end = Find(name);
    EXPECT_EQ(end.kind, "veth");
    EXPECT_EQ(end.mac, Mac(mac));
    EXPECT_EQ(end.mtu, 1400);
  }
}

TEST_F(NetlinkTest, CreatesTheSecondEndOfAPairInAnotherNamespace) {
  const auto there = NetworkNamespace::Create();
  ASSERT_TRUE(there.ok()) << there.status();
  ASSERT_TRUE(netlink().CreateVeth({"left", {}}, {"right", Mac("02:00:00:00:00:02"), there->fd()}, 1400).ok());
  EXPECT_EQ(Find("left").kind, "veth");
  EXPECT_EQ(netlink().FindLink("right").status().code(), StatusCode::kNotFound);
  const Status found = there->Run([]() -> Status {
    ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
    ASSIGN_OR_RETURN(const Link right, inside->FindLink("right"));
    return right.mac == Mac("02:00:00:00:00:02") && right.mtu == 1400 ? OkStatus() : Internal("another MAC or MTU");
  });
  EXPECT_TRUE(found.ok()) << found;
}

TEST_F(NetlinkTest, ChangesEverythingOfALinkInOneMessage) {
  ASSERT_TRUE(netlink().CreateBridge({"br100", {}, 0}).ok());
  ASSERT_TRUE(netlink().CreateVeth({"left", {}}, {"right", {}}, 0).ok());
  const Link bridge = Find("br100");
  ASSERT_TRUE(Change("left", {.up = true, .master = bridge.index, .name = "port", .alias = "mine", .mac = Mac("fe:00:00:00:00:01"),
                              .mtu = 1300, .group = 7}).ok());
  const Link port = Find("port");
  EXPECT_TRUE(port.up);
  EXPECT_EQ(port.master, bridge.index);
  EXPECT_EQ(port.alias, "mine");
  EXPECT_EQ(port.mac, Mac("fe:00:00:00:00:01"));
  EXPECT_EQ(port.mtu, 1300);
  EXPECT_EQ(port.group, 7u);
}

TEST_F(NetlinkTest, ListsTheLinksOfAKindAndOfABridge) {
  ASSERT_TRUE(netlink().CreateBridge({"br100", {}, 0}).ok());
  ASSERT_TRUE(netlink().CreateVeth({"left", {}}, {"right", {}}, 0).ok());
  ASSERT_TRUE(Change("right", {.master = Find("br100").index}).ok());
  auto names = [&](const LinkFilter& filter) {
    std::vector<std::string> names;
    auto links = netlink().ListLinks(filter);
    EXPECT_TRUE(links.ok()) << links.status();
    for (const Link& link : *links) names.push_back(link.name);
    return names;
  };
  EXPECT_THAT(names({.kind = "bridge"}), ElementsAre("br100"));
  EXPECT_THAT(names({.kind = "veth"}), testing::UnorderedElementsAre("left", "right"));
  EXPECT_THAT(names({.master = Find("br100").index}), ElementsAre("right"));
  EXPECT_THAT(names({}), testing::IsSupersetOf({"lo", "br100", "left", "right"}));
}

TEST_F(NetlinkTest, DeletesALinkOnceAndThenFindsItGone) {
  ASSERT_TRUE(netlink().CreateVeth({"left", {}}, {"right", {}}, 0).ok());
  const Link left = Find("left");
  EXPECT_TRUE(netlink().DeleteLink(left).ok());
  EXPECT_TRUE(netlink().DeleteLink(left).ok());
  EXPECT_EQ(netlink().FindLink("right").status().code(), StatusCode::kNotFound);
}

TEST_F(NetlinkTest, DeletesAGroupAndNothingElse) {
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(netlink().CreateBridge({name, {}, 0}).ok());
  ASSERT_TRUE(Change("a", {.group = 77}).ok());
  ASSERT_TRUE(Change("b", {.group = 77}).ok());
  EXPECT_TRUE(netlink().DeleteGroup(77).ok());
  EXPECT_TRUE(netlink().DeleteGroup(77).ok()) << "an empty group is fine";
  auto left = netlink().ListLinks({.kind = "bridge"});
  ASSERT_TRUE(left.ok());
  ASSERT_EQ(left->size(), 1u);
  EXPECT_EQ(left->front().name, "c");
}

TEST_F(NetlinkTest, AddsListsAndRemovesAddressesOfBothFamilies) {
  ASSERT_TRUE(netlink().CreateBridge({"br100", {}, 0}).ok());
  const Link bridge = Find("br100");
  for (const char* text : {"10.40.0.1/24", "fd00:40::1/64"}) {
    EXPECT_TRUE(netlink().AddAddress(bridge, {Address(text), 0xf1}).ok());
    EXPECT_TRUE(netlink().AddAddress(bridge, {Address(text), 0xf1}).ok()) << "there already is fine";
  }
  auto there = netlink().ListAddresses(bridge);
  ASSERT_TRUE(there.ok()) << there.status();
  ASSERT_EQ(there->size(), 2u) << "only this link's";
  EXPECT_EQ((*there)[0].address, Address("10.40.0.1/24"));
  EXPECT_EQ((*there)[0].protocol, 0xf1);
  EXPECT_EQ((*there)[1].address, Address("fd00:40::1/64"));
  for (const char* text : {"10.40.0.1/24", "fd00:40::1/64"}) {
    EXPECT_TRUE(netlink().RemoveAddress(bridge, Address(text)).ok());
    EXPECT_TRUE(netlink().RemoveAddress(bridge, Address(text)).ok()) << "gone is fine";
  }
  EXPECT_TRUE(netlink().ListAddresses(bridge)->empty());
}

TEST_F(NetlinkTest, AddsListsAndRemovesRoutes) {
  ASSERT_TRUE(netlink().CreateBridge({"br100", {}, 0}).ok());
  ASSERT_TRUE(Up("br100").ok());
  const Link bridge = Find("br100");
  ASSERT_TRUE(netlink().AddAddress(bridge, {Address("10.40.0.1/24"), 0}).ok());
  const Route on_link{*Prefix::Parse("169.254.53.53/32"), bridge.index, {}};
  const Route by_gateway{*Prefix::Parse("0.0.0.0/0"), bridge.index, *IpAddress::Parse("10.40.0.9")};
  for (const Route& route : {on_link, by_gateway}) {
    EXPECT_TRUE(netlink().AddRoute(bridge, route).ok());
    EXPECT_TRUE(netlink().AddRoute(bridge, route).ok()) << "the same one is fine";
  }
  EXPECT_EQ(netlink().AddRoute(bridge, {by_gateway.destination, bridge.index, *IpAddress::Parse("10.40.0.8")}).code(),
            StatusCode::kAlreadyExists);
  auto has = [&](const Route& wanted) {
    auto routes = netlink().ListRoutes(bridge);
    EXPECT_TRUE(routes.ok()) << routes.status();
    return std::ranges::any_of(*routes, [&](const Route& route) {
      return route.destination == wanted.destination && route.gateway == wanted.gateway;
    });
  };
  EXPECT_TRUE(has(on_link));
  EXPECT_TRUE(has(by_gateway));
  EXPECT_TRUE(netlink().RemoveRoute(bridge, on_link).ok());
  EXPECT_TRUE(netlink().RemoveRoute(bridge, on_link).ok()) << "gone is fine";
  EXPECT_FALSE(has(on_link));
}

TEST_F(NetlinkTest, UpdatesANeighbourThatIsThereAndMakesNone) {
  ASSERT_TRUE(netlink().CreateBridge({"br100", {}, 0}).ok());
  ASSERT_TRUE(Up("br100").ok());
  const Link bridge = Find("br100");
  const IpAddress peer = *IpAddress::Parse("10.40.0.7");
  ASSERT_TRUE(netlink().UpdateNeighbour(bridge, {peer, Mac("02:00:00:00:00:07"), NUD_STALE}).ok());
  EXPECT_TRUE(netlink().ListNeighbours(bridge, AF_INET)->empty());
  ASSERT_TRUE(netlink().SetNeighbour(bridge, {peer, Mac("02:00:00:00:00:07"), NUD_REACHABLE}).ok());
  ASSERT_TRUE(netlink().UpdateNeighbour(bridge, {peer, Mac("02:00:00:00:00:08"), NUD_STALE}).ok());
  auto entries = netlink().ListNeighbours(bridge, AF_INET);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 1u);
  EXPECT_EQ(entries->front().mac, Mac("02:00:00:00:00:08"));
}

TEST_F(NetlinkTest, NamesLinkOperationAndWayOutWithoutPrivilege) {
  const Status status = WithoutCapabilities([&] { return netlink().CreateVeth({"flh0011", {}}, {"flc0011", {}}, 0); });
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Message(status),
            "create veth flh0011: Operation not permitted; Fairlead's agent needs CAP_NET_ADMIN (run it as root)");
}

TEST_F(NetlinkTest, TellsTheKernelsOwnWordsOfAnError) {
  ASSERT_TRUE(netlink().CreateBridge({"br100", {}, 0}).ok());
  const Status status = Change("br100", {.mtu = 20});
  EXPECT_THAT(Message(status), HasSubstr("change link br100: Invalid argument (mtu less than device minimum)"));
}

TEST_F(NetlinkTest, SaysNotFoundOfAMissingLink) {
  const auto link = netlink().FindLink("absent");
  EXPECT_EQ(link.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(link.status()), HasSubstr("find link absent"));
}

TEST_F(NetlinkTest, AnswersTheNextRequestRightAfterAnError) {
  EXPECT_FALSE(netlink().FindLink("absent").ok());
  EXPECT_EQ(Find("lo").name, "lo");
}

}  // namespace
}  // namespace fairlead
