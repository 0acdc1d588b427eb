#include "ipam/lease.h"

#include <gtest/gtest.h>

namespace fairlead::ipam {
namespace {

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }
PrefixSpec Cidr(std::string_view text) { return PrefixSpec{.prefix = *Prefix::Parse(text)}; }

TEST(CanonicalName, StripsTheTemporaryPrefixOfCompose) {
  EXPECT_EQ(CanonicalName("0123456789ab_shop-web-1", true), "shop-web-1");
}
TEST(CanonicalName, KeepsWhatIsNoTemporaryName) {
  EXPECT_EQ(CanonicalName("shop-web-1", true), "shop-web-1");
  EXPECT_EQ(CanonicalName("0123456789AB_web", true), "0123456789AB_web");
  EXPECT_EQ(CanonicalName("0123456789a_web", true), "0123456789a_web");
  EXPECT_EQ(CanonicalName("0123456789ab_", true), "0123456789ab_");
}
TEST(CanonicalName, LeavesContainersOutsideComposeAlone) {
  EXPECT_EQ(CanonicalName("0123456789ab_web", false), "0123456789ab_web");
}

TEST(MacOf, IsLocallyAdministeredUnicast) {
  EXPECT_EQ(MacOf({"net", "host1", "web"}).bytes()[0] & 3, 2);
}
TEST(MacOf, IsTheSameInEveryRelease) {  // a changed MAC leaves stale ARP entries behind
  EXPECT_EQ(MacOf({"shopnet", "host1", "web-1"}).ToString(), MacOf({"shopnet", "host1", "web-1", true}).ToString());
  EXPECT_EQ(MacOf({"shopnet", "host1", "web-1"}).ToString(), "a6:c7:6f:fb:21:4e");
}
TEST(MacOf, TellsKeysApartWhoseFieldsJoinToTheSameText) {
  EXPECT_NE(MacOf({"ab", "c", "x"}), MacOf({"a", "bc", "x"}));
}

TEST(PrefixSpec, ReservesBothEndsAndTheGateway) {
  PrefixSpec p = Cidr("10.40.0.0/24");
  EXPECT_EQ(p.WhyReserved(Ip("10.40.0.0")), "the network address");
  EXPECT_EQ(p.WhyReserved(Ip("10.40.0.1")), "the gateway");
  EXPECT_EQ(p.WhyReserved(Ip("10.40.0.255")), "the broadcast address");
  EXPECT_EQ(p.WhyReserved(Ip("10.40.0.2")), "");
}
TEST(PrefixSpec, ReservesNothingInAPointToPointPrefix) {
  EXPECT_EQ(Cidr("10.40.0.0/31").WhyReserved(Ip("10.40.0.0")), "");
  EXPECT_EQ(Cidr("10.40.0.7/32").WhyReserved(Ip("10.40.0.7")), "");
}

PoolSpec Shop() { return PoolSpec{.name = "shop", .prefixes = {Cidr("10.40.0.0/24")}}; }

TEST(PoolSpec, AcceptsAnOrdinaryPool) { EXPECT_TRUE(Shop().Validate().ok()); }
TEST(PoolSpec, NamesWhatIsOutside) {
  PoolSpec spec = Shop();
  spec.prefixes[0].gateway = Ip("10.41.0.1");
  EXPECT_EQ(Message(spec.Validate()), "pool shop: gateway 10.41.0.1 is outside 10.40.0.0/24");
}
TEST(PoolSpec, RefusesPrefixesThatOverlap) {
  PoolSpec spec = Shop();
  spec.prefixes.push_back(Cidr("10.40.0.128/25"));
  EXPECT_EQ(Message(spec.Validate()),
            "pool shop: prefixes 10.40.0.0/24 and 10.40.0.128/25 overlap; keep one of them");
}
TEST(PoolSpec, RefusesARangeThatRunsBackwards) {
  PoolSpec spec = Shop();
  spec.prefixes[0].ranges = {{Ip("10.40.0.20"), Ip("10.40.0.10")}};
  EXPECT_EQ(spec.Validate().code(), StatusCode::kInvalidArgument);
}
TEST(PoolSpec, RefusesAGatewayThatNoHostCanHave) {
  PoolSpec spec = Shop();
  spec.prefixes[0].gateway = Ip("10.40.0.255");
  EXPECT_EQ(Message(spec.Validate()),
            "pool shop: gateway 10.40.0.255 is an end of 10.40.0.0/24, which no host can have; give another");
  spec.prefixes[0].gateway = Ip("10.41.0.1");
  EXPECT_EQ(Message(spec.Validate()), "pool shop: gateway 10.41.0.1 is outside 10.40.0.0/24");
}
TEST(PoolSpec, RefusesAVlanThatThereCannotBe) {
  PoolSpec spec = Shop();
  spec.prefixes[0].vlan = 4095;
  EXPECT_EQ(Message(spec.Validate()),
            "pool shop: vlan 4095 of 10.40.0.0/24 is not between 1 and 4094; 0 or nothing: untagged");
}
TEST(PoolSpec, RefusesAPoolWithoutPrefix) {
  EXPECT_EQ(PoolSpec{.name = "shop"}.Validate().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fairlead::ipam
