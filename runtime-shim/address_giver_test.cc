#include "runtime-shim/address_giver.h"

#include <gtest/gtest.h>

#include "ipam/memory_lease_store.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

// A LAN where machines of nobody's knowledge have addresses.
class SquattedLan final : public RememberingDriver {
 public:
  StatusOr<std::optional<MacAddress>> Probe(const dataplane::NetworkSpec&, const IpAddress& address) override {
    probed.push_back(address);
    if (broken) return Unavailable("no socket");
    bool taken = everything || address == squatted;
    return taken ? std::optional(*MacAddress::Parse("52:54:00:00:00:01")) : std::nullopt;
  }
  std::vector<IpAddress> probed;
  IpAddress squatted;
  bool everything = false, broken = false;
};

class AddressGiverTest : public testing::Test {
 protected:
  AddressGiverTest() {
    EXPECT_TRUE(worker_.Run(ipam_.Load()).ok());
    EXPECT_TRUE(worker_.Run(ipam_.PutPool({.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.50.0.0/24")}}})).ok());
  }
  StatusOr<ipam::Lease> Give(const std::string& name, std::optional<IpAddress> wanted = {}, bool ours = true) {
    dataplane::NetworkSpec network;
    network.name = "shopnet";
    return worker_.Run(giver_.Give({.pool = "shop", .key = {"shopnet", "host1", name}, .wanted = wanted},
                                   ours ? std::optional(network) : std::nullopt));
  }

  Worker worker_;
  InlineOffload offload_;
  ipam::MemoryLeaseStore leases_;
  ipam::Ipam ipam_{leases_, offload_, *worker_.proactor, worker_.clock};
  SquattedLan lan_;
  AddressGiver giver_{*worker_.proactor, ipam_, lan_, offload_};
};

TEST_F(AddressGiverTest, ANamesAddressIsProbedOnce) {
  ASSERT_TRUE(worker_.Run(ipam_.Detach("shop", Give("web")->ip)).ok());
  ASSERT_TRUE(Give("web").ok());
  EXPECT_EQ(lan_.probed.size(), 1u);
}

TEST_F(AddressGiverTest, ASquattersAddressIsNamedAndAnotherGiven) {
  IpAddress first = Give("web")->ip;
  ASSERT_TRUE(worker_.Run(ipam_.Detach("shop", first)).ok());
  ASSERT_TRUE(worker_.Run(ipam_.Release({"shopnet", "host1", "web"})).ok());
  lan_.squatted = first;
  auto lease = Give("web");
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_NE(lease->ip, first);
  ASSERT_EQ(ipam_.Foreign().size(), 1u);
  EXPECT_EQ(ipam_.Foreign()[0].ip, first);
}

TEST_F(AddressGiverTest, AnAddressThatWasAskedForIsRefusedWithTheSquattersMac) {
  lan_.squatted = *IpAddress::Parse("10.50.0.77");
  auto lease = Give("web", lan_.squatted);
  EXPECT_EQ(lease.status().code(), StatusCode::kAlreadyExists);
  EXPECT_NE(Message(lease.status()).find("52:54:00:00:00:01"), std::string_view::npos);
}

TEST_F(AddressGiverTest, AReservedAddressIsRefusedAndStaysItsNames) {
  auto reserved = worker_.Run(ipam_.Reserve({.pool = "shop", .key = {"shopnet", "host1", "web"}}));
  lan_.squatted = reserved->ip;
  EXPECT_EQ(Give("web").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(ipam_.Find({"shopnet", "host1", "web"})->ip, reserved->ip);
}

TEST_F(AddressGiverTest, GivesUpWhereTheWholeLanIsSquatted) {
  lan_.everything = true;
  EXPECT_EQ(Give("web").status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(lan_.probed.size(), static_cast<size_t>(kProbeTries));
}

TEST_F(AddressGiverTest, AProbeThatCannotBeMadeKeepsNobodyFromStarting) {
  lan_.broken = true;
  EXPECT_TRUE(Give("web").ok());
  EXPECT_EQ(giver_.stats().failures, 1u);
}

TEST_F(AddressGiverTest, OfAnotherDriversNetworkNothingIsProbed) {
  EXPECT_TRUE(Give("web", {}, /*ours=*/false).ok());
  EXPECT_TRUE(lan_.probed.empty());
}

}  // namespace
}  // namespace fairlead::runtime
