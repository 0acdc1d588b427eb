#include "dataplane/interface_name.h"

#include <gtest/gtest.h>

#include "base/net/netlink.h"

namespace fairlead::dataplane {
namespace {

TEST(InterfaceName, ShowsTheFirstTwelveDigitsOfAnEnginesId) {
  const std::string id = "3f2a90bc11d7e5aa0011223344556677";
  EXPECT_EQ(HostInterface(id), "flh3f2a90bc11d7");
  EXPECT_EQ(ContainerInterface(id), "flc3f2a90bc11d7");
}

TEST(InterfaceName, HashesAnIdThatIsNotHexadecimal) {
  const std::string a = HostInterface("k8s.io-web/eth0"), b = HostInterface("k8s.io-web/eth1");
  EXPECT_TRUE(IsHostInterface(a)) << a;
  EXPECT_NE(a, b);
  EXPECT_EQ(a, HostInterface("k8s.io-web/eth0"));
  EXPECT_LE(a.size(), kMaxLinkName);
}

TEST(InterfaceName, KnowsItsOwnNamesAlone) {
  EXPECT_TRUE(IsHostInterface("flh3f2a90bc11d7"));
  for (const char* other : {"flc3f2a90bc11d7", "flh3f2a90bc11d", "flhxyz000000000", "veth0", ""})
    EXPECT_FALSE(IsHostInterface(other)) << other;
}

TEST(InterfaceName, ReadsBackItsMark) {
  EXPECT_EQ(MarkedId(Mark("3f2a")), "3f2a");
  EXPECT_EQ(MarkedId("somebody's"), std::nullopt);
  EXPECT_EQ(MarkedId(""), std::nullopt);
}

TEST(InterfaceName, HostSideMacIsNeverTheContainers) {
  for (const char* text : {"02:40:00:00:00:07", "fe:40:00:00:00:07"}) {
    const MacAddress container = *MacAddress::Parse(text);
    EXPECT_NE(HostMac(container), container);
    EXPECT_EQ(HostMac(container).bytes()[0] & 1, 0) << "unicast";
  }
}

}  // namespace
}  // namespace fairlead::dataplane
