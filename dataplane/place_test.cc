#include "dataplane/place.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "dataplane/container_fixture.h"
#include "dataplane/interface_name.h"

namespace fairlead::dataplane {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

class PlaceTest : public BridgeTest {
 protected:
  void SetUp() override {
    BridgeTest::SetUp();
    if (HasFatalFailure()) return;
    ASSERT_TRUE(driver_->EnsureNetwork(network_).ok());
    auto made = NetworkNamespace::Create();
    ASSERT_TRUE(made.ok()) << made.status();
    target_.emplace(*std::move(made));
    placement_ = {.netns = Cat("/proc/self/fd/", target_->fd()),
                  .interface = "eth0",
                  .gateways = {*IpAddress::Parse("10.40.0.1"), *IpAddress::Parse("fd00:40::1")},
                  .name_server = *IpAddress::Parse("169.254.53.53")};
    ASSERT_TRUE(driver_->Attach(network_, endpoint_).ok());
  }
  void TearDown() override {
    target_.reset();
    BridgeTest::TearDown();
  }

  Status Place() { return driver_->Place(network_, endpoint_, placement_); }

  // What the namespace has: "eth0 02:.. up", addresses and routes as text.
  std::vector<std::string> Inside() {
    std::vector<std::string> texts;
    const Status read = target_->Run([&]() -> Status {
      ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
      ASSIGN_OR_RETURN(const Link link, inside->FindLink("eth0"));
      texts.push_back(Cat("eth0 ", link.mac.ToString(), link.up ? " up" : " down"));
      ASSIGN_OR_RETURN(const auto addresses, inside->ListAddresses(link));
      for (const LinkAddress& address : addresses)
        if (!address.address.ToString().starts_with("fe80:")) texts.push_back(address.address.ToString());
      ASSIGN_OR_RETURN(const auto routes, inside->ListRoutes(link));
      for (const Route& route : routes)
        if (route.gateway.is_set() || route.destination.network().ToString().starts_with("169."))
          texts.push_back(Cat(route.destination.ToString(), " via ", route.gateway.ToString()));
      return OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return texts;
  }
  auto IsWhole() {
    return UnorderedElementsAre("eth0 02:40:00:00:00:07 up", "10.40.0.7/24", "fd00:40::7/64", "0.0.0.0/0 via 10.40.0.1",
                                "::/0 via fd00:40::1", "169.254.53.53/32 via ");
  }

  EndpointSpec endpoint_ = MakeEndpoint(7, "0a1b2c3d4e5f60718293a4b5c6d7e8f900112233445566778899aabbccddeeff");
  std::optional<NetworkNamespace> target_;
  Placement placement_;
};

TEST_F(PlaceTest, GivesTheNamespaceInterfaceNameMacAddressesAndRoutes) {
  ASSERT_TRUE(Place().ok()) << Place();
  EXPECT_THAT(Inside(), IsWhole());
}

TEST_F(PlaceTest, AnInterfaceThatWasMadeInTheNamespaceIsPlacedThere) {
  ASSERT_TRUE(driver_->Detach(endpoint_.id).ok());
  endpoint_.netns = placement_.netns;
  ASSERT_TRUE(driver_->Attach(network_, endpoint_).ok());
  EXPECT_EQ(netlink().FindLink(ContainerInterface(endpoint_.id)).status().code(), StatusCode::kNotFound);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(Place().ok()) << Place();
  EXPECT_THAT(Inside(), IsWhole());
}

TEST_F(PlaceTest, PlacingTwiceIsPlacingOnce) {
  ASSERT_TRUE(Place().ok());
  ASSERT_TRUE(driver_->Attach(network_, endpoint_).ok());
  ASSERT_TRUE(Place().ok()) << Place();
  EXPECT_THAT(Inside(), IsWhole());
}

class PlaceFailureTest : public PlaceTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Made, PlaceFailureTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "InTheNamespace" : "InTheHost"; });

TEST_P(PlaceFailureTest, GoesOnAfterAFailureAtAnyStep) {
  for (int fail_at = 0;; ++fail_at) {
    SCOPED_TRACE(fail_at);
    ASSERT_TRUE(driver_->Detach(endpoint_.id).ok());
    endpoint_.netns = GetParam() ? placement_.netns : "";
    ASSERT_TRUE(driver_->Attach(network_, endpoint_).ok());
    const Status failed = PlaceContainerSide(netlink(), endpoint_, placement_, [&](int step) {
      return step == fail_at ? Unavailable("planted") : OkStatus();
    });
    if (failed.ok()) {
      EXPECT_GE(fail_at, 8) << "steps that could fail";
      break;
    }
    EXPECT_THAT(Message(failed), HasSubstr("planted"));
    ASSERT_TRUE(Place().ok()) << Place();
    EXPECT_THAT(Inside(), IsWhole());
    // Anew for the next step.
    target_.emplace(*NetworkNamespace::Create());
    placement_.netns = Cat("/proc/self/fd/", target_->fd());
  }
}

TEST_F(PlaceTest, ReplacesTheAddressesOfAnOlderLease) {
  ASSERT_TRUE(Place().ok());
  endpoint_.addresses = {*InterfaceAddress::Parse("10.40.0.99/24")};
  ASSERT_TRUE(Place().ok()) << Place();
  EXPECT_THAT(Inside(), testing::Contains("10.40.0.99/24"));
  EXPECT_THAT(Inside(), testing::Not(testing::Contains("10.40.0.7/24")));
}

TEST_F(PlaceTest, LeavesAnInterfaceOfTheSameNameAlone) {
  ASSERT_TRUE(target_->Run([]() -> Status {
    ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
    return inside->CreateVeth({"eth0", {}}, {"other", {}}, 0);
  }).ok());
  const Status refused = Place();
  EXPECT_EQ(refused.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(Message(refused), HasSubstr("has an interface eth0 already"));
  placement_.interface = "eth1";
  EXPECT_TRUE(Place().ok()) << Place();
}

TEST_F(PlaceTest, KeepsTheDefaultRouteOfAnEarlierNetwork) {
  ASSERT_TRUE(target_->Run([]() -> Status {
    ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
    RETURN_IF_ERROR(inside->CreateVeth({"first0", {}}, {"other", {}}, 0));
    ASSIGN_OR_RETURN(const Link first, inside->FindLink("first0"));
    RETURN_IF_ERROR(inside->ChangeLink(first, {.up = true}));
    RETURN_IF_ERROR(inside->AddAddress(first, {*InterfaceAddress::Parse("192.0.2.2/24"), 0}));
    return inside->AddRoute(first, {Prefix(IpAddress::V4(0), 0), 0, *IpAddress::Parse("192.0.2.1")});
  }).ok());
  ASSERT_TRUE(Place().ok()) << Place();
  EXPECT_THAT(Inside(), testing::Not(testing::Contains("0.0.0.0/0 via 10.40.0.1")));
}

TEST_F(PlaceTest, SaysThatTheContainersSideIsGone) {
  EXPECT_EQ(driver_->Place(network_, MakeEndpoint(8, network_.id), placement_).code(), StatusCode::kNotFound);
  placement_.netns = "/run/netns/never-made";
  EXPECT_EQ(Place().code(), StatusCode::kNotFound);
}

TEST_F(PlaceTest, CheckNamesWhatIsMissing) {
  EXPECT_EQ(driver_->CheckPlaced(endpoint_, placement_).code(), StatusCode::kNotFound);
  ASSERT_TRUE(Place().ok());
  EXPECT_TRUE(driver_->CheckPlaced(endpoint_, placement_).ok());
  ASSERT_TRUE(target_->Run([&]() -> Status {
    ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
    ASSIGN_OR_RETURN(const Link link, inside->FindLink("eth0"));
    return inside->RemoveAddress(link, endpoint_.addresses[0]);
  }).ok());
  EXPECT_THAT(Message(driver_->CheckPlaced(endpoint_, placement_)), HasSubstr("eth0 has lost its address 10.40.0.7/24"));
}

TEST_F(PlaceTest, ThePlacedContainerReachesItsGateway) {
  ASSERT_TRUE(Place().ok());
  std::unique_ptr<UdpSocket> asker;
  ASSERT_TRUE(target_->Run([&]() -> Status {
    ASSIGN_OR_RETURN(asker, UdpSocket::Open(SocketAddress(*IpAddress::Parse("10.40.0.7"), 0)));
    return OkStatus();
  }).ok());
  const auto gateway = UdpSocket::Open(SocketAddress(*IpAddress::Parse("10.40.0.1"), 0));
  EXPECT_EQ(Ask(*asker, **gateway), (*gateway)->local().ToString());
}

}  // namespace
}  // namespace fairlead::dataplane
