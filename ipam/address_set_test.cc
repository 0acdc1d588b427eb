#include "ipam/address_set.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace fairlead::ipam {
namespace {

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

TEST(AddressSet, JoinsNeighboursIntoOneInterval) {
  AddressSet set;
  set.Add(Ip("10.0.0.1"));
  set.Add(Ip("10.0.0.3"));
  set.Add(Ip("10.0.0.2"));
  EXPECT_EQ(set.intervals(), 1u);
  EXPECT_EQ(set.Count(false), 3u);
}
TEST(AddressSet, SplitsAnIntervalAtARemovedAddress) {
  AddressSet set;
  set.Add(Ip("10.0.0.0"), Ip("10.0.0.255"));
  set.Remove(Ip("10.0.0.7"));
  EXPECT_FALSE(set.Contains(Ip("10.0.0.7")));
  EXPECT_TRUE(set.Contains(Ip("10.0.0.6")) && set.Contains(Ip("10.0.0.8")));
}
TEST(AddressSet, FindsTheNextAddressAndWrapsAtTheTop) {
  AddressSet set;
  set.Add(Ip("10.0.0.5"));
  EXPECT_EQ(set.NextFrom(Ip("10.0.0.1")), Ip("10.0.0.5"));
  EXPECT_EQ(set.NextFrom(Ip("10.0.0.6")), Ip("10.0.0.5"));
}
TEST(AddressSet, KeepsTheFamiliesApart) {
  AddressSet set;
  set.Add(Ip("fd00::1"));
  EXPECT_FALSE(set.NextFrom(Ip("10.0.0.1")).is_set());
  set.Add(Ip("255.255.255.255"));  // its "next" address must not reach into IPv6
  EXPECT_EQ(set.intervals(), 2u);
  EXPECT_EQ(set.NextFrom(Ip("fd00::2")), Ip("fd00::1"));
}
TEST(AddressSet, HoldsTheLowestAndTheHighestAddress) {
  AddressSet set;
  set.Add(Ip("0.0.0.0"), Ip("255.255.255.255"));
  set.Remove(Ip("0.0.0.0"));
  set.Remove(Ip("255.255.255.255"));
  EXPECT_EQ(set.Count(false), (uint64_t{1} << 32) - 2);
  EXPECT_EQ(set.NextFrom(Ip("255.255.255.255")), Ip("0.0.0.1"));
}
TEST(AddressSet, CostsOneIntervalForASlash64) {
  AddressSet set;
  set.Add(Ip("fd00::"), Ip("fd00::ffff:ffff:ffff:ffff"));
  EXPECT_EQ(set.intervals(), 1u);
  EXPECT_EQ(set.Count(true), UINT64_MAX);
  EXPECT_EQ(set.Nth(true, 0x10000), Ip("fd00::1:0"));
}
TEST(AddressSet, RemovesAcrossAByteBoundaryOfIpv6) {
  AddressSet set;
  set.Add(Ip("fd00::ff"), Ip("fd00::101"));
  set.Remove(Ip("fd00::100"));
  EXPECT_EQ(set.NextFrom(Ip("fd00::ff")), Ip("fd00::ff"));
  EXPECT_EQ(set.NextFrom(Ip("fd00::100")), Ip("fd00::101"));
}

TEST(AddressSet, EqualsASetOfSingleAddressesUnderRandomOperations) {
  SeededRandom random(7);
  AddressSet set;
  std::set<IpAddress> model;
  for (int step = 0; step < 20'000; step++) {
    IpAddress ip = Ip("10.0.0.0").Plus(random.Below(64));
    if (random.OneIn(2)) {
      IpAddress last = ip.Plus(random.OneIn(4) ? random.Below(8) : 0);
      set.Add(ip, last);
      for (IpAddress a = ip; a <= last; a = a.Plus(1)) model.insert(a);
    } else {
      set.Remove(ip);
      model.erase(ip);
    }
    IpAddress probe = Ip("10.0.0.0").Plus(random.Below(80));
    ASSERT_EQ(set.Contains(probe), model.contains(probe)) << step;
    ASSERT_EQ(set.Count(false), model.size()) << step;
    if (model.empty()) continue;
    auto next = model.lower_bound(probe);
    ASSERT_EQ(set.NextFrom(probe), next != model.end() ? *next : *model.begin()) << step;
  }
}

}  // namespace
}  // namespace fairlead::ipam
