// What every LeaseStore promises; runs on each of them.
#include "ipam/lease_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"
#include "ipam/sqlite_lease_store.h"
#include "ipam/temp_dir.h"

namespace fairlead::ipam {
namespace {

Lease LeaseOf(std::string_view name, std::string_view ip) {
  return {.key = Key(name), .pool = "shop", .ip = Ip(ip), .mac = MacOf(Key(name)), .project = "p", .attached = true,
          .since_wall = 5, .acquired_wall = 4};
}
LeaseWrite Put(const Lease& lease, uint64_t expected = 0) { return {lease.key, expected, lease}; }
HistoryEntry Ended(std::string_view name, std::string_view ip, Nanos to, Nanos rest_until) {
  return {"shop", Ip(ip), Key(name), 1, to, rest_until};
}

constexpr uint64_t kSmallHistory = 1000;

struct MemoryFixture {
  LeaseStore& Reopen() { return store; }
  MemoryLeaseStore store{kSmallHistory};
};
struct SqliteFixture {
  LeaseStore& Reopen() {
    store.reset();
    store = *SqliteLeaseStore::Open(dir.File("leases.db"), {.history_per_pool = kSmallHistory});
    return *store;
  }
  TempDir dir;
  std::unique_ptr<SqliteLeaseStore> store;
};

template <class T>
class LeaseStoreContract : public testing::Test {
 protected:
  T fixture_;
};
using Stores = testing::Types<MemoryFixture, SqliteFixture>;
TYPED_TEST_SUITE(LeaseStoreContract, Stores);

TYPED_TEST(LeaseStoreContract, StartsEmpty) {
  StatusOr<StoredState> state = this->fixture_.Reopen().Load();
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->pools.empty() && state->leases.empty() && state->released.empty());
}

TYPED_TEST(LeaseStoreContract, GivesBackWhatWasCommittedAfterReopening) {
  PoolSpec spec = Shop();
  spec.project = "p\xc3\xa4y";
  spec.quota = 7;
  spec.retain = kNever;
  spec.prefixes[0].ranges = {{Ip("10.40.0.10"), Ip("10.40.0.99")}};
  spec.prefixes[0].exclude = {Ip("10.40.0.53")};
  spec.prefixes.push_back(Cidr("fd00::/64"));
  Lease lease = LeaseOf("web-1", "10.40.0.10");
  lease.ephemeral = true;
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.pools = {{"shop", 0, spec}}, .leases = {Put(lease)}}).ok());
  StatusOr<StoredState> state = this->fixture_.Reopen().Load();
  ASSERT_TRUE(state.ok());
  ASSERT_EQ(state->pools.size(), 1u);
  EXPECT_EQ(state->pools[0].spec, spec);
  ASSERT_EQ(state->leases.size(), 1u);
  const Lease& got = state->leases[0];
  EXPECT_EQ(got.key, lease.key);
  EXPECT_EQ(got.ip, lease.ip);
  EXPECT_EQ(got.mac, lease.mac);
  EXPECT_EQ(got.project, "p");
  EXPECT_TRUE(got.attached && got.ephemeral && !got.provisional);
  EXPECT_EQ(got.since_wall, 5);
  EXPECT_EQ(got.acquired_wall, 4);
  EXPECT_EQ(got.revision, 1u);
}

TYPED_TEST(LeaseStoreContract, RaisesTheRevisionWithEveryCommit) {
  LeaseStore& store = this->fixture_.Reopen();
  EXPECT_EQ(*store.Commit({.leases = {Put(LeaseOf("a", "10.40.0.10"))}}), 1u);
  EXPECT_EQ(*store.Commit({.leases = {Put(LeaseOf("b", "10.40.0.11"))}}), 2u);
  EXPECT_EQ(*this->fixture_.Reopen().Commit({.leases = {Put(LeaseOf("a", "10.40.0.12"), 1)}}), 3u);
}

TYPED_TEST(LeaseStoreContract, RefusesAWriteThatDoesNotKnowTheRow) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.leases = {Put(LeaseOf("a", "10.40.0.10"))}}).ok());
  Lease moved = LeaseOf("a", "10.40.0.20");
  EXPECT_EQ(store.Commit({.leases = {Put(moved, 0)}}).status().code(), StatusCode::kAborted);
  EXPECT_EQ(store.Commit({.leases = {Put(moved, 9)}}).status().code(), StatusCode::kAborted);
  EXPECT_EQ(store.Commit({.leases = {{Key("a"), 9}}}).status().code(), StatusCode::kAborted);
  EXPECT_EQ(store.Commit({.leases = {{Key("nobody"), 1}}}).status().code(), StatusCode::kAborted);
  EXPECT_EQ(store.Load()->leases[0].ip, Ip("10.40.0.10"));
}

TYPED_TEST(LeaseStoreContract, RefusesASecondHolderOfAnAddress) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.leases = {Put(LeaseOf("a", "10.40.0.10"))}}).ok());
  EXPECT_EQ(store.Commit({.leases = {Put(LeaseOf("b", "10.40.0.10"))}}).status().code(), StatusCode::kAborted);
}

TYPED_TEST(LeaseStoreContract, WritesAllOrNothing) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.leases = {Put(LeaseOf("a", "10.40.0.10"))}}).ok());
  LeaseBatch batch{.leases = {Put(LeaseOf("b", "10.40.0.11")), Put(LeaseOf("c", "10.40.0.10"))}};
  ASSERT_FALSE(store.Commit(batch).ok());
  EXPECT_EQ(store.Load()->leases.size(), 1u);
  EXPECT_EQ(*store.Commit({.leases = {Put(LeaseOf("b", "10.40.0.11"))}}), 2u);
}

TYPED_TEST(LeaseStoreContract, LetsTwoKeysSwapTheirAddressesInOneCommit) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.leases = {Put(LeaseOf("a", "10.40.0.10")), Put(LeaseOf("b", "10.40.0.11"))}}).ok());
  EXPECT_TRUE(
      store.Commit({.leases = {Put(LeaseOf("a", "10.40.0.11"), 1), Put(LeaseOf("b", "10.40.0.10"), 1)}}).ok());
}

TYPED_TEST(LeaseStoreContract, KeepsBothFamiliesOfAName) {
  LeaseStore& store = this->fixture_.Reopen();
  Lease six = LeaseOf("a", "fd00::5");
  six.key.v6 = true;
  EXPECT_TRUE(store.Commit({.leases = {Put(LeaseOf("a", "10.40.0.10")), Put(six)}}).ok());
  EXPECT_EQ(this->fixture_.Reopen().Load()->leases.size(), 2u);
}

TYPED_TEST(LeaseStoreContract, ChangesAndRemovesPoolsByRevision) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.pools = {{"shop", 0, Shop()}}}).ok());
  EXPECT_EQ(store.Commit({.pools = {{"shop", 7, Shop()}}}).status().code(), StatusCode::kAborted);
  EXPECT_EQ(store.Commit({.pools = {{"shop", 0, Shop()}}}).status().code(), StatusCode::kAborted);
  ASSERT_TRUE(store.Commit({.pools = {{"shop", 1, Shop("10.50.0.0/24")}}}).ok());
  EXPECT_EQ(store.Load()->pools[0].spec, Shop("10.50.0.0/24"));
  ASSERT_TRUE(store.Commit({.pools = {{"shop", 2}}}).ok());
  EXPECT_TRUE(store.Load()->pools.empty());
}

TYPED_TEST(LeaseStoreContract, TellsTheHistoryOfAnAddressLatestFirst) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.ended = {Ended("a", "10.40.0.10", 2, 3), Ended("b", "10.40.0.11", 4, 5)}}).ok());
  ASSERT_TRUE(store.Commit({.ended = {Ended("c", "10.40.0.10", 6, 7)}}).ok());
  auto history = store.History("shop", Ip("10.40.0.10"));
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].key, Key("c"));
  EXPECT_EQ((*history)[1].key, Key("a"));
}

TYPED_TEST(LeaseStoreContract, LoadsTheLastEndOfEachAddressOldestFirst) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.ended = {Ended("a", "10.40.0.10", 2, 3), Ended("b", "10.40.0.11", 4, 5)}}).ok());
  ASSERT_TRUE(store.Commit({.ended = {Ended("c", "10.40.0.10", 6, 7)}}).ok());
  std::vector<HistoryEntry> released = this->fixture_.Reopen().Load()->released;
  ASSERT_EQ(released.size(), 2u);
  EXPECT_EQ(released[0].key, Key("b"));
  EXPECT_EQ(released[1].key, Key("c"));
  EXPECT_EQ(released[1].rest_until_wall, 7);
}

TYPED_TEST(LeaseStoreContract, BoundsTheHistoryButNotTheQuarantine) {
  LeaseStore& store = this->fixture_.Reopen();
  LeaseBatch batch;
  batch.ended.push_back(Ended("resting", "10.40.0.10", 1, 1'000'000));
  batch.ended.push_back(Ended("rested", "10.40.0.11", 1, 1));
  for (uint64_t i = 0; i < kSmallHistory; i++) batch.ended.push_back(Ended("x", "10.40.0.12", 10, 10));
  ASSERT_TRUE(store.Commit(batch).ok());
  batch.ended = {Ended("x", "10.40.0.12", 10, 10)};
  ASSERT_TRUE(store.Commit(batch).ok());
  EXPECT_EQ(store.History("shop", Ip("10.40.0.11"))->size(), 0u);
  EXPECT_EQ(store.History("shop", Ip("10.40.0.10"))->size(), 1u);
}

TYPED_TEST(LeaseStoreContract, ForgetsWhatEndedLongAgoButNotTheQuarantine) {
  LeaseStore& store = this->fixture_.Reopen();
  ASSERT_TRUE(store.Commit({.ended = {Ended("old", "10.40.0.10", 2, 3), Ended("resting", "10.40.0.11", 2, 99),
                                      Ended("late", "10.40.0.12", 50, 51)}}).ok());
  ASSERT_TRUE(store.ForgetHistory(50).ok());
  EXPECT_EQ(store.History("shop", Ip("10.40.0.10"))->size(), 0u);
  EXPECT_EQ(store.History("shop", Ip("10.40.0.11"))->size(), 1u);
  EXPECT_EQ(this->fixture_.Reopen().Load()->released.size(), 2u);
}

TYPED_TEST(LeaseStoreContract, KeepsWhatALeaseIsFor) {
  Lease lease = LeaseOf("a", "10.40.0.10");
  lease.reserved = lease.observed = lease.used = true;
  lease.stand_in_for = "web";
  ASSERT_TRUE(this->fixture_.Reopen().Commit({.leases = {Put(lease), Put(LeaseOf("b", "10.40.0.11"))}}).ok());
  std::vector<Lease> leases = this->fixture_.Reopen().Load()->leases;
  ASSERT_EQ(leases.size(), 2u);
  EXPECT_TRUE(leases[0].reserved && leases[0].observed && leases[0].used);
  EXPECT_EQ(leases[0].stand_in_for, "web");
  EXPECT_FALSE(leases[1].reserved || leases[1].observed || leases[1].used);
}

}  // namespace
}  // namespace fairlead::ipam
