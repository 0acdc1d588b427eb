#include "runtime-shim/address_labels.h"

#include <gtest/gtest.h>

namespace fairlead::runtime {
namespace {

ipam::PoolSpec Pool() {
  return {.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.40.0.0/24")}, {.prefix = *Prefix::Parse("fd00:40::/64")}}};
}
std::string Pick(const std::string& label, uint64_t number, bool v6 = false) {
  auto labels = ParseAddressLabels({{kIpLabel, label}});
  if (!labels.ok()) return std::string(Message(labels.status()));
  auto picked = PickAddress(*labels, number, Pool(), v6);
  return picked.ok() ? picked->ToString() : std::string(Message(picked.status()));
}

TEST(AddressLabels, OneAddressIsTheFirstContainers) { EXPECT_EQ(Pick("10.40.0.7", 1), "10.40.0.7"); }

TEST(AddressLabels, OfAListEachNumberGetsItsOwn) {
  EXPECT_EQ(Pick("10.40.0.7, 10.40.0.20-10.40.0.22, 10.40.0.9", 1), "10.40.0.7");
  EXPECT_EQ(Pick("10.40.0.7, 10.40.0.20-10.40.0.22, 10.40.0.9", 4), "10.40.0.22");
  EXPECT_EQ(Pick("10.40.0.7, 10.40.0.20-10.40.0.22, 10.40.0.9", 5), "10.40.0.9");
}

TEST(AddressLabels, FamiliesAreCountedByThemselves) {
  EXPECT_EQ(Pick("10.40.0.7,fd00:40::7,10.40.0.8,fd00:40::8", 2), "10.40.0.8");
  EXPECT_EQ(Pick("10.40.0.7,fd00:40::7,10.40.0.8,fd00:40::8", 2, true), "fd00:40::8");
  EXPECT_EQ(Pick("10.40.0.7", 1, true), "") << "nothing is said of IPv6";
}

TEST(AddressLabels, AnAddressOfAnotherNetworkIsNotForThisOne) {
  EXPECT_EQ(Pick("10.99.0.7,10.40.0.7", 1), "10.40.0.7");
  EXPECT_NE(Pick("10.99.0.7", 1).find("10.99.0.7 is not in pool shop"), std::string::npos);
}

TEST(AddressLabels, ANumberBeyondTheListIsRefusedWithBothNumbers) {
  EXPECT_EQ(Pick("10.40.0.7,10.40.0.8", 3),
            "label fairlead.ip has 2 addresses of pool shop, and this is container number 3; add addresses or scale down");
}

TEST(AddressLabels, WhatIsNoAddressIsRefusedWithTheLabel) {
  for (const char* bad : {"web", "10.40.0.7-", "10.40.0.9-10.40.0.7", "10.40.0.7-fd00::1", ",10.40.0.7", "10.40.0.0/24"})
    EXPECT_NE(Pick(bad, 1).find("label fairlead.ip="), std::string::npos) << bad;
}

TEST(AddressLabels, OfALabelSetThoseOfNameAndAddressAreKept) {
  const Labels kept = {{"com.docker.compose.container-number", "3"}, {"com.docker.compose.oneoff", "False"},
                       {"com.docker.compose.project", "shop"}, {"fairlead.ip", "10.40.0.7"}, {"fairlead.pool", "p"},
                       {"fairlead.project", "market"}};
  Labels all = kept;
  all.insert({{"com.docker.compose.config-hash", "0123"}, {"fairlead.port", "80"}});
  EXPECT_EQ(NamingLabels(all), kept);
}

TEST(AddressLabels, TheNumberIsComposes) {
  EXPECT_EQ(ContainerNumber({{"com.docker.compose.container-number", "3"}}), 3u);
  EXPECT_EQ(ContainerNumber({}), 1u);
  EXPECT_EQ(ContainerNumber({{"com.docker.compose.container-number", "x"}}), 1u);
}

}  // namespace
}  // namespace fairlead::runtime
