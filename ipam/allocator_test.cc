#include "ipam/allocator.h"

#include <gtest/gtest.h>

#include "ipam/ipam_harness.h"

namespace fairlead::ipam {
namespace {

void Lease(Allocator& a, const IpAddress& ip, std::string_view name) { a.Set(ip, {AddressUse::kAttached, Key(name), 1}); }

TEST(Allocator, GivesEveryAddressOfAPrefixButItsEndsAndTheGateway) {
  Allocator a(Shop("10.40.0.0/28"));
  std::set<IpAddress> given;
  for (int i = 0; i < 13; i++) {
    IpAddress ip = a.Choose(Key(Cat("c", i)), {}, 0);
    EXPECT_TRUE(given.insert(ip).second);
    Lease(a, ip, Cat("c", i));
  }
  EXPECT_EQ(*given.begin(), Ip("10.40.0.2"));
  EXPECT_EQ(*given.rbegin(), Ip("10.40.0.14"));
  EXPECT_FALSE(a.Choose(Key("more"), {}, kNever).is_set());
}
TEST(Allocator, KeepsToTheRangesAndLeavesOutWhatIsExcluded) {
  PoolSpec spec = Shop();
  spec.prefixes[0].ranges = {{Ip("10.40.0.10"), Ip("10.40.0.12")}};
  spec.prefixes[0].exclude = {Ip("10.40.0.11")};
  Allocator a(spec);
  EXPECT_EQ(a.size(), 2u);
}
TEST(Allocator, SpreadsOverAllPrefixesOfThePool) {
  PoolSpec spec = Shop("10.40.0.0/30");
  spec.prefixes.push_back(Cidr("10.41.0.0/30"));
  Allocator a(spec);
  Lease(a, Ip("10.40.0.2"), "a");
  EXPECT_EQ(a.Choose(Key("b"), {}, 0), Ip("10.41.0.2"));
}
TEST(Allocator, PrefersTheDomainWithTheFewestLeasesThenThePrefixWithTheMostRoom) {
  PoolSpec spec = Shop("10.40.0.0/24");  // untagged, together with the second
  spec.prefixes.push_back(Cidr("10.41.0.0/24"));
  spec.prefixes.push_back(Cidr("10.42.0.0/28"));
  spec.prefixes.push_back(Cidr("10.43.0.0/27"));
  spec.prefixes[2].vlan = spec.prefixes[3].vlan = 12;
  Allocator a(spec);
  Lease(a, Ip("10.40.0.2"), "a");
  EXPECT_EQ(spec.PrefixOf(a.Choose(Key("b"), {}, 0)), &spec.prefixes[3]);
  Lease(a, Ip("10.43.0.2"), "b");
  Lease(a, Ip("10.43.0.3"), "c");
  EXPECT_EQ(spec.PrefixOf(a.Choose(Key("d"), {}, 0)), &spec.prefixes[1]);
}
TEST(Allocator, LeavesPrefixesOfOthersAndThoseAtTheirCap) {
  PoolSpec spec = Shop("10.40.0.0/24");
  spec.prefixes[0].node = "host2";
  spec.prefixes.push_back(Cidr("10.41.0.0/24"));
  spec.prefixes[1].site = "bj";
  spec.prefixes.push_back(Cidr("10.42.0.0/24"));
  spec.prefixes[2].max_endpoints = 1;
  Allocator a(spec);
  PrefixFilter here{.node = "host1", .site = "sh"};
  EXPECT_EQ(spec.PrefixOf(a.Choose(Key("a"), here, 0)), &spec.prefixes[2]);
  Lease(a, Ip("10.42.0.9"), "a");
  EXPECT_TRUE(a.AtCap(Ip("10.42.0.1")));
  EXPECT_FALSE(a.Choose(Key("b"), here, 0).is_set());
  EXPECT_EQ(spec.PrefixOf(a.Choose(Key("b"), {.node = "host2"}, 0)), &spec.prefixes[0]);
  EXPECT_EQ(spec.PrefixOf(a.Choose(Key("b"), {.within = spec.prefixes[1].prefix, .site = "bj"}, 0)), &spec.prefixes[1]);
}
TEST(Allocator, ChoosesInASlash64) {
  Allocator a(Shop("fd00:40::/64"));
  LeaseKey key = Key("web");
  key.v6 = true;
  IpAddress ip = a.Choose(key, {.v6 = true}, 0);
  EXPECT_TRUE(Prefix::Parse("fd00:40::/64")->Contains(ip));
  EXPECT_FALSE(a.Choose(Key("web"), {}, 0).is_set());  // no IPv4 here
}
TEST(Allocator, IsBackWhereItWasWhenEachSettingIsUndone) {
  Allocator a(Shop("10.40.0.0/29"));
  IpAddress ip = a.Choose(Key("x"), {}, 0);
  AddressUse free = a.Set(ip, {AddressUse::kAttached, Key("x"), 1});
  AddressUse attached = a.Set(ip, {AddressUse::kResting, Key("x"), 2, 100});
  EXPECT_EQ(a.quarantined(50), 1u);
  a.Set(ip, attached);
  EXPECT_EQ(a.attached(), 1u);
  EXPECT_EQ(a.resting(), 0u);
  a.Set(ip, free);
  EXPECT_EQ(a.attached(), 0u);
  EXPECT_EQ(a.Choose(Key("x"), {}, 0), ip);
}
TEST(Allocator, LooksPastARestingAddressThatItMayNotChoose) {
  PoolSpec spec = Shop();
  spec.prefixes[0].ranges = {{Ip("10.40.0.10"), Ip("10.40.0.10")}};
  Allocator a(spec);
  a.Set(Ip("10.40.0.99"), {AddressUse::kResting, Key("wanted-once"), 1, 5});
  a.Set(Ip("10.40.0.10"), {AddressUse::kResting, Key("x"), 2, 5});
  EXPECT_EQ(a.Choose(Key("y"), {}, 5), Ip("10.40.0.10"));
}

}  // namespace
}  // namespace fairlead::ipam
