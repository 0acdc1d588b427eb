#include "runtime-shim/lease_row.h"

#include <gtest/gtest.h>

#include "ipam/memory_lease_store.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

class LeaseRowsTest : public testing::Test {
 protected:
  LeaseRowsTest() {
    EXPECT_TRUE(worker_.Run(ipam_.Load()).ok());
    EXPECT_TRUE(worker_.Run(ipam_.PutPool({.name = "shop", .prefixes = {{.prefix = *Prefix::Parse("10.50.0.0/24")}}})).ok());
    ipam_.SetListener([this](const ipam::Lease& lease, bool gone) {
      for (auto& [row, over] : lease_rows_.Of(lease, gone)) {
        if (over) {
          rows_.erase(row.name);
        } else {
          rows_[row.name] = row;
        }
      }
    });
  }
  ipam::Lease Acquire(const std::string& name, bool provisional = false) {
    return *worker_.Run(ipam_.Acquire({.pool = "shop", .key = {"shopnet", "host1", name}, .provisional = provisional}));
  }

  Worker worker_;
  InlineOffload offload_;
  ipam::MemoryLeaseStore leases_;
  ipam::Ipam ipam_{leases_, offload_, *worker_.proactor, worker_.clock};
  LeaseRows lease_rows_{ipam_};
  std::map<std::string, discovery::LeaseRow> rows_;
};

TEST_F(LeaseRowsTest, ANameIsWhereItsStandInIsAndAtItsOwnAddressAfterwards) {
  ipam::Lease own = Acquire("web");
  ASSERT_TRUE(worker_.Run(ipam_.Detach("shop", own.ip)).ok());
  ipam::Lease other = Acquire("~guess", /*provisional=*/true);
  ASSERT_TRUE(worker_.Run(ipam_.StandIn("shop", other.ip, "web")).ok());
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_EQ(rows_["web"].ip, other.ip);
  EXPECT_TRUE(rows_["web"].attached);
  EXPECT_FALSE(rows_["web"].provisional);
  ASSERT_TRUE(worker_.Run(ipam_.Reserve({.pool = "shop", .key = own.key})).ok());  // a change of the name's own meanwhile
  EXPECT_EQ(rows_["web"].ip, other.ip);
  ASSERT_TRUE(worker_.Run(ipam_.Detach("shop", other.ip)).ok());
  ASSERT_EQ(rows_.size(), 1u);
  EXPECT_EQ(rows_["web"].ip, own.ip);
  EXPECT_FALSE(rows_["web"].attached);
}

TEST_F(LeaseRowsTest, AStandInThatTurnsOutToBeAnotherNamesGivesTheFirstOneBack) {
  ipam::Lease web = Acquire("web"), app = Acquire("app");
  ASSERT_TRUE(worker_.Run(ipam_.Detach("shop", web.ip)).ok());
  ASSERT_TRUE(worker_.Run(ipam_.Detach("shop", app.ip)).ok());
  ipam::Lease other = Acquire("~guess", /*provisional=*/true);
  ASSERT_TRUE(worker_.Run(ipam_.StandIn("shop", other.ip, "web")).ok());
  ASSERT_TRUE(worker_.Run(ipam_.StandIn("shop", other.ip, "app")).ok());
  EXPECT_EQ(rows_["web"].ip, web.ip);
  EXPECT_EQ(rows_["app"].ip, other.ip);
}

}  // namespace
}  // namespace fairlead::runtime
