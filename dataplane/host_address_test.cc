#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>

#include "dataplane/container_fixture.h"
#include "dataplane/dataplane.h"
#include "dataplane/interface_name.h"

namespace fairlead::dataplane {
namespace {

class HostAddressTest : public BridgeTest {
 protected:
  const IpAddress dns_ = *IpAddress::Parse("169.254.53.53");
};

// With strict reverse path filtering, the hardest setting a host can have.
TEST_F(HostAddressTest, ContainerAsksItOnLinkAndHearsItAnswer) {
  for (const char* scope : {"all", "default"}) std::ofstream(Cat("/proc/sys/net/ipv4/conf/", scope, "/rp_filter")) << 1;
  ASSERT_TRUE(driver_->EnsureNetwork(network_).ok());
  ASSERT_TRUE(EnsureHostAddress(dns_).ok());
  const Container container = Start(7);
  ASSERT_TRUE(container.With([&](Netlink& inside, const Link& eth0) {
    return inside.AddRoute(eth0, {Prefix(dns_, 32), eth0.index, {}});
  }).ok());
  const auto server = UdpSocket::Open(SocketAddress(dns_, 53));
  ASSERT_TRUE(server.ok()) << server.status();
  const auto asker = container.Udp(*IpAddress::Parse("10.40.0.7"));
  ASSERT_TRUE(asker.ok()) << asker.status();
  EXPECT_EQ(Ask(**asker, **server), "169.254.53.53:53");
}

TEST_F(HostAddressTest, IsPutOnceAndRemovedOnce) {
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(EnsureHostAddress(dns_).ok());
  auto count = [&] {
    const auto there = netlink().ListAddresses(netlink().FindLink("lo").value()).value();
    return std::ranges::count(there, InterfaceAddress{dns_, 32}, &LinkAddress::address);
  };
  EXPECT_EQ(count(), 1);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(RemoveHostAddress(dns_).ok());
  EXPECT_EQ(count(), 0);
}

}  // namespace
}  // namespace fairlead::dataplane
