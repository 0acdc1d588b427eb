#include "ipam/ipam.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"

namespace fairlead::ipam {
namespace {

using ::testing::HasSubstr;

class IpamTest : public testing::Test {
 protected:
  IpamTest() { Put(Shop()); }
  void Put(const PoolSpec& spec) { ASSERT_TRUE(host_.Run(host_.ipam->PutPool(spec)).ok()); }
  StatusOr<Lease> Acquire(AcquireRequest request) { return host_.Run(host_.ipam->Acquire(std::move(request))); }
  StatusOr<Lease> Rename(const IpAddress& ip, std::string_view name) {
    return host_.Run(host_.ipam->Rename("shop", ip, Key(name), ""));
  }
  // A pool of exactly two addresses.
  void Shrink(Nanos quarantine = 60 * kSecond) {
    PoolSpec spec = Shop();
    spec.quarantine = quarantine;
    spec.prefixes[0].ranges = {{Ip("10.40.0.10"), Ip("10.40.0.11")}};
    Put(spec);
  }

  MemoryLeaseStore store_;
  Host host_{store_};
};

// --- the same name, the same address

TEST_F(IpamTest, GivesTheSameAddressAfterDetach) {
  IpAddress first = host_.RunOnce("web-1");
  EXPECT_EQ(host_.AddressOf("web-1"), first);
}
TEST_F(IpamTest, GivesTheSameAddressAfterACrash) {
  IpAddress first = host_.AddressOf("web-1");
  host_.Restart();
  EXPECT_EQ(host_.AddressOf("web-1"), first);
}
TEST_F(IpamTest, TendsToGiveTheSameAddressesWhenAllStateIsLost) {
  IpAddress first = host_.AddressOf("web-1");
  MemoryLeaseStore empty;
  Host other(empty);
  ASSERT_TRUE(other.Run(other.ipam->PutPool(Shop())).ok());
  EXPECT_EQ(other.AddressOf("web-1"), first);
}
TEST_F(IpamTest, AnswersARepeatedAcquireWithTheSameLeaseAndWithoutAWrite) {
  StatusOr<Lease> first = host_.Acquire("web-1");
  uint64_t commits = store_.commits();
  StatusOr<Lease> again = host_.Acquire("web-1");
  EXPECT_EQ(again->ip, first->ip);
  EXPECT_EQ(again->revision, first->revision);
  EXPECT_EQ(store_.commits(), commits);
}
TEST_F(IpamTest, DescribesTheEndpointInTheLease) {
  StatusOr<Lease> lease = host_.Acquire("web-1");
  EXPECT_EQ(lease->prefix_length, 24);
  EXPECT_EQ(lease->gateway, Ip("10.40.0.1"));
  EXPECT_EQ(lease->mac, MacOf(Key("web-1")));
  EXPECT_TRUE(lease->attached);
  EXPECT_GT(lease->revision, 0u);
}
TEST_F(IpamTest, GivesANameOneAddressPerFamily) {
  PoolSpec spec = Shop();
  spec.prefixes.push_back(Cidr("fd00:40::/64"));
  Put(spec);
  LeaseKey v6 = Key("web-1");
  v6.v6 = true;
  StatusOr<Lease> four = host_.Acquire("web-1");
  StatusOr<Lease> six = Acquire({.pool = "shop", .key = v6});
  EXPECT_TRUE(four->ip.is_v4());
  EXPECT_TRUE(six->ip.is_v6());
  EXPECT_EQ(four->mac, six->mac);
}
TEST_F(IpamTest, EndsAnEphemeralLeaseWithItsEndpoint) {
  StatusOr<Lease> lease = Acquire({.pool = "shop", .key = Key("job"), .ephemeral = true});
  ASSERT_TRUE(host_.Detach(lease->ip).ok());
  EXPECT_FALSE(host_.ipam->Find(Key("job")).has_value());
}
TEST_F(IpamTest, GivesAnEphemeralNameItsRestingAddressBack) {  // a loop of `run --rm` must not use up the pool
  AcquireRequest job{.pool = "shop", .key = Key("job"), .ephemeral = true};
  StatusOr<Lease> first = Acquire(job);
  ASSERT_TRUE(host_.Detach(first->ip).ok());
  EXPECT_EQ(Acquire(job)->ip, first->ip);
}
TEST_F(IpamTest, KeepsALastingNameLastingWhenItRunsOnceAsEphemeral) {
  IpAddress ip = host_.RunOnce("web-1");
  ASSERT_TRUE(Acquire({.pool = "shop", .key = Key("web-1"), .ephemeral = true}).ok());
  ASSERT_TRUE(host_.Detach(ip).ok());
  EXPECT_EQ(host_.ipam->Find(Key("web-1"))->ip, ip);
}

// --- wanted addresses

TEST_F(IpamTest, GivesAWantedAddress) { EXPECT_EQ(host_.Acquire("db", Ip("10.40.0.150"))->ip, Ip("10.40.0.150")); }
TEST_F(IpamTest, GivesAWantedAddressOutsideTheRanges) {
  Shrink();
  EXPECT_EQ(host_.Acquire("db", Ip("10.40.0.150"))->ip, Ip("10.40.0.150"));
}
TEST_F(IpamTest, RefusesAWantedAddressAndNamesItsHolder) {
  IpAddress ip = host_.AddressOf("web-1");
  Status refused = host_.Acquire("db", ip).status();
  EXPECT_EQ(refused.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(Message(refused)), HasSubstr("belongs to shopnet/host1/web-1 (attached since 2023-11-14"));
}
TEST_F(IpamTest, RefusesAWantedAddressThatIsDetachedButAnothersOwn) {
  IpAddress ip = host_.RunOnce("web-1");
  EXPECT_EQ(host_.Acquire("db", ip).status().code(), StatusCode::kAlreadyExists);
}
TEST_F(IpamTest, RefusesAWantedAddressOutsideThePoolAndNamesThePrefix) {
  EXPECT_EQ(Message(host_.Acquire("db", Ip("10.41.0.9")).status()),
            "address 10.41.0.9 is outside pool shop (10.40.0.0/24); choose one inside");
}
TEST_F(IpamTest, RefusesReservedAddressesAndSaysWhy) {
  PoolSpec spec = Shop();
  spec.prefixes[0].exclude = {Ip("10.40.0.53")};
  Put(spec);
  EXPECT_EQ(Message(host_.Acquire("db", Ip("10.40.0.1")).status()),
            "address 10.40.0.1 is the gateway in 10.40.0.0/24 of pool shop; choose another");
  EXPECT_THAT(std::string(Message(host_.Acquire("db", Ip("10.40.0.53")).status())), HasSubstr("is excluded"));
}
TEST_F(IpamTest, MovesADetachedNameToItsNewWantedAddress) {
  IpAddress old = host_.RunOnce("db");
  EXPECT_EQ(host_.Acquire("db", Ip("10.40.0.150"))->ip, Ip("10.40.0.150"));
  EXPECT_FALSE(host_.ipam->FindByAddress("shop", old).has_value());
}
TEST_F(IpamTest, RefusesToMoveAnAttachedName) {
  host_.AddressOf("db");
  EXPECT_EQ(host_.Acquire("db", Ip("10.40.0.150")).status().code(), StatusCode::kFailedPrecondition);
}
TEST_F(IpamTest, GivesAWantedAddressInQuarantine) {  // `run --rm --ip` again and again
  AcquireRequest job{.pool = "shop", .key = Key("job-a"), .wanted = Ip("10.40.0.150"), .ephemeral = true};
  ASSERT_TRUE(Acquire(job).ok());
  ASSERT_TRUE(host_.Detach(Ip("10.40.0.150")).ok());
  job.key = Key("job-b");
  EXPECT_TRUE(Acquire(job).ok());
}
TEST_F(IpamTest, NamesTheKnownPoolsWhenOneIsUnknown) {
  EXPECT_EQ(Message(Acquire({.pool = "shoop", .key = Key("web")}).status()),
            "there is no pool \"shoop\"; there are: shop");
}
TEST_F(IpamTest, RefusesAFamilyThatThePoolLacks) {
  LeaseKey v6 = Key("web");
  v6.v6 = true;
  EXPECT_EQ(Message(Acquire({.pool = "shop", .key = v6}).status()),
            "pool shop has no IPv6 prefix (10.40.0.0/24); add one");
}

// --- full pools, quarantine, retention, quota

TEST_F(IpamTest, RefusesWhenAllAreAttachedAndNamesPoolNumbersAndHolders) {
  Shrink();
  host_.AddressOf("a");
  host_.AddressOf("b");
  Status refused = host_.Acquire("c").status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(Message(refused)),
              testing::MatchesRegex("pool shop is full: 2 leased \\(0 of them detached\\), 0 in quarantine; add a prefix "
                                    "\\(fairlead pool update shop --cidr PREFIX\\) or release leases "
                                    "\\(fairlead ip release NAME; held by shopnet/host1/. at 10.40.0.10, shopnet/host1/. at "
                                    "10.40.0.11\\)"));
}
TEST_F(IpamTest, TakesTheLongestDetachedAddressWhenThePoolIsFull) {
  Shrink();
  IpAddress longest = host_.RunOnce("a");
  host_.clock.Advance(kSecond);
  host_.RunOnce("b");
  host_.clock.Advance(60 * kSecond);
  EXPECT_EQ(host_.AddressOf("c"), longest);
  EXPECT_FALSE(host_.ipam->Find(Key("a")).has_value());
  EXPECT_TRUE(host_.ipam->Find(Key("b")).has_value());
}
TEST_F(IpamTest, NeitherNeedOfRoomNorRetentionEndsWhatAContainerIsConfiguredWith) {
  Shrink();
  host_.ipam->SetConfigured([](const Lease& lease) { return lease.key.name == "a" || lease.key.name == "c"; });
  host_.RunOnce("a");
  host_.clock.Advance(kSecond);
  IpAddress free = host_.RunOnce("b");
  host_.clock.Advance(60 * kSecond);
  EXPECT_EQ(host_.RunOnce("c"), free) << "b waits longer than nobody else who may go";
  host_.clock.Advance(365 * 24 * kHour);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  EXPECT_TRUE(host_.ipam->Find(Key("a")).has_value());
  Status refused = host_.Acquire("d").status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(Message(refused)),
              HasSubstr("2 leased (2 of them detached, 2 of those by stopped containers that are configured with them)"));
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("a"))).ok());
  EXPECT_TRUE(host_.Acquire("d").ok()) << "the operator's word ends it";
}
TEST_F(IpamTest, LeavesADetachedAddressItsQuarantineAndSaysWhenItEnds) {
  Shrink();
  host_.RunOnce("a");
  host_.AddressOf("b");
  host_.clock.Advance(59 * kSecond);
  EXPECT_THAT(std::string(Message(host_.Acquire("c").status())),
              HasSubstr("the first to be usable at 2023-11-14 22:14:21 UTC"));
  host_.clock.Advance(kSecond);
  EXPECT_TRUE(host_.Acquire("c").ok());
}
TEST_F(IpamTest, QuarantinesAReleasedAddressOverACrash) {
  Shrink();
  host_.AddressOf("a");
  IpAddress released = host_.RunOnce("b");
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("b"))).ok());
  host_.Restart();
  EXPECT_EQ(host_.Acquire("c").status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(host_.ipam->Usage("shop").quarantined, 1u);
  host_.clock.Advance(60 * kSecond);
  EXPECT_EQ(host_.AddressOf("c"), released);
}
TEST_F(IpamTest, PrefersAnAddressThatNobodyHadToOneThatRested) {
  Shrink();
  IpAddress used = host_.RunOnce("a");
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("a"))).ok());
  host_.clock.Advance(kHour);
  EXPECT_NE(host_.AddressOf("b"), used);
}
TEST_F(IpamTest, ExpiresLeasesAfterTheirRetention) {
  host_.RunOnce("a");
  host_.AddressOf("attached");
  host_.clock.Advance(168 * kHour - 1);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  EXPECT_TRUE(host_.ipam->Find(Key("a")).has_value());
  host_.clock.Advance(1);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  EXPECT_FALSE(host_.ipam->Find(Key("a")).has_value());
  EXPECT_TRUE(host_.ipam->Find(Key("attached")).has_value());
}
TEST_F(IpamTest, ExpiresMoreLeasesThanOneBatchHolds) {
  Put(Shop("10.40.0.0/22"));
  for (size_t i = 0; i < Ipam::kMaxBatch + 10; i++) host_.RunOnce(Cat("c", i));
  host_.clock.Advance(168 * kHour);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  EXPECT_TRUE(host_.ipam->Leases().empty());
}
TEST_F(IpamTest, RetainsForEverWhenToldSo) {
  PoolSpec spec = Shop();
  spec.retain = kNever;
  Put(spec);
  host_.RunOnce("a");
  host_.clock.Advance(10'000 * kHour);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  EXPECT_TRUE(host_.ipam->Find(Key("a")).has_value());
}
TEST_F(IpamTest, RefusesBeyondTheQuotaAndNamesIt) {
  PoolSpec spec = Shop();
  spec.quota = 1;
  Put(spec);
  host_.AddressOf("a");
  EXPECT_THAT(std::string(Message(host_.Acquire("b").status())),
              HasSubstr("pool shop has reached its quota of 1: 1 leased (0 of them detached); raise the quota"));
}
TEST_F(IpamTest, MakesRoomInTheQuotaByTheLongestDetachedLease) {
  PoolSpec spec = Shop();
  spec.quota = 1;
  Put(spec);
  host_.RunOnce("a");
  host_.clock.Advance(60 * kSecond);
  EXPECT_TRUE(host_.Acquire("b").ok());
  EXPECT_EQ(host_.ipam->Leases().size(), 1u);
}
TEST_F(IpamTest, CountsThePool) {
  PoolSpec spec = Shop();
  spec.prefixes[0].ranges = {{Ip("10.40.0.10"), Ip("10.40.0.19")}};
  Put(spec);
  host_.AddressOf("a");
  host_.RunOnce("b");
  host_.RunOnce("c");
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("c"))).ok());
  Ipam::PoolUsage usage = host_.ipam->Usage("shop");
  EXPECT_EQ(usage.size, 10u);
  EXPECT_EQ(usage.excluded, 246u);
  EXPECT_EQ(usage.attached, 1u);
  EXPECT_EQ(usage.detached, 1u);
  EXPECT_EQ(usage.quarantined, 1u);
}

// --- pools

TEST_F(IpamTest, RefusesAPoolThatOverlapsAnotherAndNamesBoth) {
  PoolSpec other = Shop("10.40.0.128/25");
  other.name = "pay";
  EXPECT_EQ(Message(host_.Run(host_.ipam->PutPool(other))),
            "pool pay: 10.40.0.128/25 overlaps 10.40.0.0/24 of pool shop; an address can be in one pool only");
}
TEST_F(IpamTest, RefusesAPoolChangeThatWouldStrandALease) {
  host_.Acquire("db", Ip("10.40.0.200")).IgnoreError();
  EXPECT_EQ(Message(host_.Run(host_.ipam->PutPool(Shop("10.40.0.0/25")))),
            "pool shop: the change would strand shopnet/host1/db at 10.40.0.200; release these leases first");
}
TEST_F(IpamTest, KeepsLeasesWhenAPoolGrows) {
  IpAddress ip = host_.AddressOf("web-1");
  Put(Shop("10.40.0.0/23"));
  EXPECT_EQ(host_.AddressOf("web-1"), ip);
  EXPECT_EQ(host_.ipam->Find(Key("web-1"))->prefix_length, 23);
}
TEST_F(IpamTest, WritesNothingForAPoolThatIsSoAlready) {
  uint64_t commits = store_.commits();
  Put(Shop());
  EXPECT_EQ(store_.commits(), commits);
}
TEST_F(IpamTest, RefusesToRemoveAPoolThatHasLeases) {
  host_.RunOnce("web-1");
  EXPECT_EQ(host_.Run(host_.ipam->RemovePool("shop")).code(), StatusCode::kFailedPrecondition);
}
TEST_F(IpamTest, RemovesAnEmptyPoolForGood) {
  ASSERT_TRUE(host_.Run(host_.ipam->RemovePool("shop")).ok());
  EXPECT_TRUE(host_.Run(host_.ipam->RemovePool("shop")).ok());
  host_.Restart();
  EXPECT_EQ(host_.ipam->FindPool("shop"), nullptr);
}

// --- names that come late or change (contract, "Whose address")

TEST_F(IpamTest, PinsAProvisionalLeaseToItsNameWithTheAddressInUse) {
  StatusOr<Lease> lease = Acquire({.pool = "shop", .key = Key("?endpoint-1"), .provisional = true});
  StatusOr<Lease> named = Rename(lease->ip, "web-1");
  EXPECT_EQ(named->ip, lease->ip);
  EXPECT_EQ(named->mac, lease->mac);
  EXPECT_FALSE(named->provisional);
  EXPECT_FALSE(host_.ipam->Find(Key("?endpoint-1")).has_value());
  ASSERT_TRUE(host_.Detach(lease->ip).ok());
  EXPECT_EQ(host_.AddressOf("web-1"), lease->ip);
}
TEST_F(IpamTest, EndsAProvisionalLeaseThatNeverGotAName) {
  StatusOr<Lease> lease = Acquire({.pool = "shop", .key = Key("?endpoint-1"), .provisional = true});
  ASSERT_TRUE(host_.Detach(lease->ip).ok());
  EXPECT_TRUE(host_.ipam->Leases().empty());
}
TEST_F(IpamTest, PrefersTheAddressInUseToTheOneThatTheNameHad) {
  IpAddress old = host_.RunOnce("web-1");
  StatusOr<Lease> lease = Acquire({.pool = "shop", .key = Key("?endpoint-1"), .provisional = true});
  EXPECT_EQ(Rename(lease->ip, "web-1")->ip, lease->ip);
  EXPECT_FALSE(host_.ipam->FindByAddress("shop", old).has_value());
}
TEST_F(IpamTest, RefusesANameThatIsAttachedElsewhere) {
  host_.AddressOf("web-1");
  StatusOr<Lease> lease = Acquire({.pool = "shop", .key = Key("?endpoint-1"), .provisional = true});
  EXPECT_EQ(Rename(lease->ip, "web-1").status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(host_.ipam->FindByAddress("shop", lease->ip)->key, Key("?endpoint-1"));
}
TEST_F(IpamTest, AnswersARepeatedRenameWithoutAWrite) {
  IpAddress ip = host_.AddressOf("web-1");
  ASSERT_TRUE(Rename(ip, "web-2").ok());
  uint64_t commits = store_.commits();
  EXPECT_EQ(Rename(ip, "web-2")->ip, ip);
  EXPECT_EQ(store_.commits(), commits);
}
// `up` of compose v2: the new container is made under a temporary name, the old one goes, the new one is renamed.
TEST_F(IpamTest, KeepsTheAddressWhenComposeRenamesTheNewContainer) {
  IpAddress ip = host_.AddressOf(CanonicalName("shop-web-1", true));
  ASSERT_TRUE(host_.Detach(ip).ok());                                            // stop and rm of the old one
  EXPECT_EQ(host_.AddressOf(CanonicalName("0123456789ab_shop-web-1", true)), ip);  // started before its rename
  EXPECT_EQ(Rename(ip, CanonicalName("shop-web-1", true))->ip, ip);
  ASSERT_TRUE(host_.Detach(ip).ok());
  EXPECT_EQ(host_.AddressOf("shop-web-1"), ip);
  EXPECT_EQ(host_.ipam->Leases().size(), 1u);
}
// docker-compose v1: the old container is renamed away, the new one made under the name, the old one removed last.
TEST_F(IpamTest, KeepsTheAddressWhenComposeRenamesTheOldContainerAway) {
  IpAddress ip = host_.AddressOf("shop-web-1");
  ASSERT_TRUE(host_.Detach(ip).ok());                                           // stop
  uint64_t commits = store_.commits();
  EXPECT_EQ(Rename(ip, CanonicalName("0123456789ab_shop-web-1", true))->ip, ip);  // moves nothing
  EXPECT_EQ(store_.commits(), commits);
  EXPECT_EQ(host_.AddressOf("shop-web-1"), ip);
  EXPECT_EQ(host_.ipam->Leases().size(), 1u);
}
// Both run for a moment: the caller sees a second container of the name and asks for a provisional lease.
TEST_F(IpamTest, PinsTheNewContainerOnceTheOldOneOfTheNameIsGone) {
  IpAddress old = host_.AddressOf("shop-web-1");
  StatusOr<Lease> fresh = Acquire({.pool = "shop", .key = Key("?endpoint-2"), .provisional = true});
  ASSERT_NE(fresh->ip, old);
  ASSERT_TRUE(host_.Detach(old).ok());
  EXPECT_EQ(Rename(fresh->ip, "shop-web-1")->ip, fresh->ip);
}

// --- release, history, listener

TEST_F(IpamTest, RefusesToReleaseAnAttachedName) {
  host_.AddressOf("web-1");
  EXPECT_EQ(host_.Run(host_.ipam->Release(Key("web-1"))).code(), StatusCode::kFailedPrecondition);
}
TEST_F(IpamTest, AllowsWhatIsDoneAlready) {
  EXPECT_TRUE(host_.Run(host_.ipam->Release(Key("nobody"))).ok());
  EXPECT_TRUE(host_.Detach(Ip("10.40.0.77")).ok());
  EXPECT_TRUE(host_.Run(host_.ipam->Detach("no-such-pool", Ip("10.40.0.77"))).ok());
}
TEST_F(IpamTest, TellsWhoHadAnAddress) {
  host_.Acquire("a", Ip("10.40.0.9")).IgnoreError();
  host_.Detach(Ip("10.40.0.9")).IgnoreError();
  host_.clock.Advance(kSecond);
  host_.Run(host_.ipam->Release(Key("a"))).IgnoreError();
  host_.Acquire("b", Ip("10.40.0.9")).IgnoreError();
  auto history = host_.Run(host_.ipam->History("shop", Ip("10.40.0.9")));
  ASSERT_EQ(history->size(), 2u);
  EXPECT_EQ((*history)[0].key, Key("b"));
  EXPECT_EQ((*history)[0].to_wall, 0);
  EXPECT_EQ((*history)[1].key, Key("a"));
  EXPECT_EQ((*history)[1].to_wall - (*history)[1].from_wall, kSecond);
}
TEST_F(IpamTest, TellsTheListenerOfEachDurableChange) {
  std::vector<std::string> told;
  host_.ipam->SetListener([&](const Lease& lease, bool gone) {
    told.push_back(Cat(lease.key.name, gone ? " gone" : lease.attached ? " attached" : " detached"));
    EXPECT_GT(lease.revision, 0u);
  });
  host_.RunOnce("a");
  host_.Run(host_.ipam->Release(Key("a"))).IgnoreError();
  store_.FailCommit(1, MemoryLeaseStore::Fault::kFull);
  EXPECT_FALSE(host_.Acquire("b").ok());
  EXPECT_EQ(told, (std::vector<std::string>{"a attached", "a detached", "a gone"}));
}

// --- reserved, observed, foreign

TEST_F(IpamTest, AReservedAddressIsKnownBeforeTheContainerAndWaitsForIt) {
  StatusOr<Lease> reserved = host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("web")}));
  ASSERT_TRUE(reserved.ok());
  EXPECT_FALSE(reserved->attached);
  host_.clock.Advance(365 * 24 * kHour);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  host_.Restart();
  StatusOr<Lease> lease = host_.Acquire("web");
  EXPECT_EQ(lease->ip, reserved->ip);
  EXPECT_TRUE(lease->reserved && lease->first_use);
  EXPECT_FALSE(host_.Acquire("web")->first_use);
}
TEST_F(IpamTest, AReservedAddressMakesNoRoomForOthersUntilItIsReleased) {
  Shrink(0);
  ASSERT_TRUE(host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("a")})).ok());
  ASSERT_TRUE(host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("b")})).ok());
  EXPECT_THAT(std::string(Message(host_.Acquire("c").status())), HasSubstr("2 leased (0 of them detached, 2 reserved)"));
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("a"))).ok());
  EXPECT_TRUE(host_.Acquire("c").ok());
}
TEST_F(IpamTest, ReservingARunningNameMarksIt) {
  PoolSpec spec = Shop();
  spec.retain = 0;
  Put(spec);
  IpAddress ip = host_.AddressOf("web");
  ASSERT_TRUE(host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("web")})).ok());
  ASSERT_TRUE(host_.Detach(ip).ok());
  EXPECT_EQ(host_.ipam->Usage("shop").reserved, 1u);
  EXPECT_EQ(host_.AddressOf("web"), ip);
}
TEST_F(IpamTest, AnObservedLeaseBecomesOneLikeAnyOtherAtItsFirstStart) {
  ASSERT_TRUE(host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("web"), .wanted = Ip("10.40.0.77"),
                                             .observed = true})).ok());
  EXPECT_EQ(host_.ipam->Usage("shop").reserved, 1u);
  StatusOr<Lease> lease = host_.Acquire("web");
  EXPECT_EQ(lease->ip, Ip("10.40.0.77"));
  EXPECT_FALSE(lease->observed || lease->reserved);
  ASSERT_TRUE(host_.Detach(lease->ip).ok());
  EXPECT_EQ(host_.ipam->Usage("shop").detached, 1u);
}
TEST_F(IpamTest, AForeignAddressIsGivenToNobodyUntilItMayBeProbedAnew) {
  IpAddress ip = host_.AddressOf("web");
  MacAddress by = *MacAddress::Parse("02:5c:00:00:00:01");
  ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", ip, by)).ok());
  EXPECT_EQ(host_.ipam->Usage("shop").foreign, 1u);
  EXPECT_EQ(host_.ipam->Foreign().at(0).by, by);
  EXPECT_NE(host_.AddressOf("web"), ip);
  StatusOr<Lease> refused = host_.Acquire("other", ip);
  EXPECT_EQ(refused.status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(Message(refused.status())), HasSubstr("by 02:5c:00:00:00:01"));
  host_.clock.Advance(Ipam::kForeignRest);
  EXPECT_TRUE(host_.Acquire("other", ip).ok());
}
TEST_F(IpamTest, AForeignAddressLeavesAReservedLeaseToItsName) {
  StatusOr<Lease> reserved = host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("web")}));
  ASSERT_TRUE(host_.Acquire("web").ok());
  ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", reserved->ip, MacOf(Key("x")))).ok());
  std::optional<Lease> lease = host_.ipam->Find(Key("web"));
  ASSERT_TRUE(lease.has_value());
  EXPECT_FALSE(lease->attached);
  EXPECT_TRUE(host_.Acquire("web")->first_use);  // probed again
}
TEST_F(IpamTest, AForeignAnswerEndsNoLeaseThatHasBeenInUse) {
  IpAddress retained = host_.RunOnce("retained"), running = host_.AddressOf("running");
  host_.clock.Advance(kHour);
  MacAddress by = *MacAddress::Parse("02:5c:00:00:00:01");
  ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", retained, by)).ok());
  ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", running, by)).ok());
  EXPECT_EQ(host_.ipam->Find(Key("retained"))->ip, retained);
  EXPECT_TRUE(host_.ipam->Find(Key("running"))->attached);
  EXPECT_EQ(host_.ipam->Foreign().size(), 2u);  // shown all the same
}
TEST_F(IpamTest, AContainerThatAnswersAtItsOwnAddressIsNoStranger) {
  StatusOr<Lease> lease = host_.Acquire("web");
  ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", lease->ip, lease->mac)).ok());
  EXPECT_TRUE(host_.ipam->Find(Key("web"))->attached);
  EXPECT_TRUE(host_.ipam->Foreign().empty());
}
TEST_F(IpamTest, TheContainerThatIsAdoptedMayBeTheOneThatAnswered) {
  IpAddress ip = host_.AddressOf("web");
  ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", ip, MacOf(Key("theirs")))).ok());
  StatusOr<Lease> adopted = host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("theirs"), .wanted = ip,
                                                           .observed = true}));
  ASSERT_TRUE(adopted.ok()) << adopted.status();
  EXPECT_EQ(host_.ipam->Usage("shop").foreign, 0u);
}
TEST_F(IpamTest, RemembersABoundedNumberOfForeignAddressesAndCountsTheRest) {
  Put(Shop("10.40.0.0/16"));
  MacAddress by = MacOf(Key("everybody"));
  for (uint64_t i = 0; i <= Ipam::kMaxForeign; i++)
    ASSERT_TRUE(host_.Run(host_.ipam->MarkForeign("shop", Ip("10.40.1.0").Plus(i), by)).ok());
  EXPECT_EQ(host_.ipam->Foreign().size(), Ipam::kMaxForeign);
  EXPECT_EQ(host_.ipam->stats().foreign_overflows, 1u);
}
TEST_F(IpamTest, AReservationIsToldOnceAndAsDetached) {
  std::vector<bool> told;
  host_.ipam->SetListener([&](const Lease& lease, bool) { told.push_back(lease.attached); });
  ASSERT_TRUE(host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("web")})).ok());
  EXPECT_EQ(told, std::vector<bool>{false});
}
TEST_F(IpamTest, ANameKeepsItsReservedAddressBesideTheOneThatItsContainerGot) {
  StatusOr<Lease> own = host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("web")}));
  StatusOr<Lease> unnamed = Acquire({.pool = "shop", .key = Key("~1"), .provisional = true});
  Status refused = Rename(unnamed->ip, "web").status();
  EXPECT_EQ(refused.code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(Message(refused)), HasSubstr("can only stand in for it"));
  EXPECT_EQ(host_.ipam->Find(Key("web"))->ip, own->ip);
}
TEST_F(IpamTest, APlaceholderIsNotReserved) {
  ASSERT_TRUE(Acquire({.pool = "shop", .key = Key("~1"), .provisional = true}).ok());
  Status refused = host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("~1")})).status();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
}
TEST_F(IpamTest, AWallClockThatIsSetRightEndsNoRetentionAndCutsNoQuarantine) {
  Shrink();
  host_.RunOnce("a");
  host_.AddressOf("b");
  host_.clock.JumpWall(365 * 24 * kHour);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  ASSERT_TRUE(host_.ipam->Find(Key("a")).has_value());
  EXPECT_EQ(host_.Acquire("c").status().code(), StatusCode::kResourceExhausted);
  ASSERT_TRUE(host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("a")})).ok());
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("a"))).ok());
  EXPECT_EQ(host_.ipam->Usage("shop").quarantined, 1u);
}
TEST_F(IpamTest, AWallClockThatIsSetBackBlocksNoAddressForLongerThanTheQuarantine) {
  Shrink();
  host_.AddressOf("a");
  host_.RunOnce("b");
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("b"))).ok());
  host_.clock.JumpWall(-365 * 24 * kHour);
  host_.Restart();
  EXPECT_EQ(host_.Acquire("c").status().code(), StatusCode::kResourceExhausted);
  host_.clock.Advance(60 * kSecond);
  EXPECT_TRUE(host_.Acquire("c").ok());
}
TEST_F(IpamTest, ForgetsHistoryOf90Days) {
  host_.RunOnce("a");
  ASSERT_TRUE(host_.Run(host_.ipam->Release(Key("a"))).ok());
  IpAddress ip = store_.Load()->released.at(0).ip;
  host_.clock.Advance(kHistoryFor);
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  EXPECT_EQ(host_.Run(host_.ipam->History("shop", ip))->size(), 1u);
  host_.clock.Advance(kMinute);  // its quarantine
  ASSERT_TRUE(host_.Run(host_.ipam->Expire()).ok());
  EXPECT_TRUE(host_.Run(host_.ipam->History("shop", ip))->empty());
}
TEST_F(IpamTest, ReclaimEndsWhatHasBeenIdleLongEnoughAndNothingReserved) {
  host_.RunOnce("old");
  ASSERT_TRUE(host_.Run(host_.ipam->Reserve({.pool = "shop", .key = Key("kept")})).ok());
  host_.clock.Advance(2 * kHour);
  host_.RunOnce("young");
  StatusOr<std::vector<Lease>> ended = host_.Run(host_.ipam->Reclaim("shop", kHour));
  ASSERT_TRUE(ended.ok());
  ASSERT_EQ(ended->size(), 1u);
  EXPECT_EQ(ended->at(0).key, Key("old"));
  EXPECT_EQ(host_.Run(host_.ipam->Reclaim("nope", kHour)).status().code(), StatusCode::kNotFound);
}
TEST_F(IpamTest, AStandInTellsForWhomItStandsUntilItEnds) {
  StatusOr<Lease> lease = Acquire({.pool = "shop", .key = Key("~1"), .provisional = true});
  ASSERT_TRUE(host_.Run(host_.ipam->StandIn("shop", lease->ip, "web")).ok());
  EXPECT_EQ(host_.ipam->Find(Key("~1"))->stand_in_for, "web");
  ASSERT_TRUE(host_.Detach(lease->ip).ok());
  EXPECT_FALSE(host_.ipam->Find(Key("~1")).has_value());
  EXPECT_EQ(host_.Run(host_.ipam->StandIn("shop", lease->ip, "web")).code(), StatusCode::kNotFound);
}
TEST_F(IpamTest, OfSeveralPrefixesOnlyTheOneAskedForIsGiven) {
  PoolSpec spec = Shop();
  spec.prefixes.push_back(Cidr("10.41.0.0/24"));
  Put(spec);
  Prefix second = spec.prefixes[1].prefix;
  StatusOr<Lease> lease = Acquire({.pool = "shop", .key = Key("web"), .within = second});
  EXPECT_TRUE(second.Contains(lease->ip));
  StatusOr<Lease> refused = Acquire({.pool = "shop", .key = Key("web"), .within = spec.prefixes[0].prefix});
  EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Message(refused.status())), HasSubstr("which is not in 10.40.0.0/24"));
}
TEST_F(IpamTest, APrefixAtItsCapIsNamedInTheError) {
  PoolSpec spec = Shop();
  spec.prefixes[0].max_endpoints = 1;
  Put(spec);
  ASSERT_TRUE(host_.Acquire("a").ok());
  EXPECT_THAT(std::string(Message(host_.Acquire("b").status())),
              HasSubstr("max_endpoints is reached in 10.40.0.0/24 (at most 1)"));
  EXPECT_EQ(host_.Acquire("b", Ip("10.40.0.9")).status().code(), StatusCode::kResourceExhausted);
}
TEST_F(IpamTest, AnAddressOfAnotherNodesPrefixIsRefusedByItsNode) {
  PoolSpec spec = Shop();
  spec.prefixes[0].node = "host2";
  Put(spec);
  EXPECT_THAT(std::string(Message(host_.Acquire("a", Ip("10.40.0.9")).status())), HasSubstr("is for node host2 only"));
}

}  // namespace
}  // namespace fairlead::ipam
