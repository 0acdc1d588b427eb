// Ipam and its store together under faults: memory and disk agree, no address has two holders, no acknowledged lease is
// lost.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/io/await.h"
#include "base/random.h"
#include "ipam/ipam.h"
#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"
#include "ipam/sqlite_lease_store.h"
#include "ipam/temp_dir.h"

namespace fairlead::ipam {
namespace {

using Fault = MemoryLeaseStore::Fault;

void ExpectMemoryEqualsDisk(Host& host, LeaseStore& store, std::string_view where) {
  StatusOr<StoredState> disk = store.Load();
  ASSERT_TRUE(disk.ok()) << where;
  std::vector<Lease> memory = host.ipam->Leases();
  ASSERT_EQ(memory.size(), disk->leases.size()) << where;
  std::set<std::pair<std::string, IpAddress>> addresses;
  for (const Lease& on_disk : disk->leases) {
    std::optional<Lease> lease = host.ipam->Find(on_disk.key);
    ASSERT_TRUE(lease.has_value()) << where;
    EXPECT_EQ(lease->ip, on_disk.ip) << where;
    EXPECT_EQ(lease->attached, on_disk.attached) << where;
    EXPECT_EQ(lease->revision, on_disk.revision) << where;
    EXPECT_EQ(lease->reserved, on_disk.reserved) << where;
    EXPECT_EQ(lease->observed, on_disk.observed) << where;
    EXPECT_EQ(lease->used, on_disk.used) << where;
    EXPECT_EQ(lease->stand_in_for, on_disk.stand_in_for) << where;
    EXPECT_TRUE(addresses.emplace(lease->pool, lease->ip).second) << where;
    EXPECT_EQ(host.ipam->FindByAddress(lease->pool, lease->ip)->key, lease->key) << where;
  }
}

// One life of a few names; gives the addresses that were acknowledged as attached.
std::map<std::string, IpAddress> LiveThrough(Host& host) {
  std::map<std::string, IpAddress> acknowledged;
  auto acquire = [&](std::string name) {
    if (StatusOr<Lease> lease = host.Acquire(name); lease.ok()) acknowledged[name] = lease->ip;
  };
  acquire("a");
  acquire("b");
  if (acknowledged.contains("a")) host.Detach(acknowledged["a"]).IgnoreError();
  acquire("c");
  acquire("a");
  if (acknowledged.contains("c")) {
    IpAddress ip = acknowledged["c"];
    StatusOr<Lease> renamed = host.Run(host.ipam->Rename("shop", ip, Key("d"), ""));
    acknowledged.erase("c");  // refused or not, the answer may have got lost
    if (renamed.ok()) acknowledged["d"] = ip;
  }
  if (acknowledged.contains("b")) host.Detach(acknowledged["b"]).IgnoreError();
  host.Run(host.ipam->Release(Key("b"))).IgnoreError();
  acknowledged.erase("b");
  acquire("e");
  // What an operator, an adoption, a squatter and an engine that names late do.
  auto reserve = [&](std::string name, bool observed) {
    StatusOr<Lease> lease = host.Run(host.ipam->Reserve({.pool = "shop", .key = Key(name), .observed = observed}));
    if (lease.ok()) acknowledged[name] = lease->ip;
  };
  reserve("kept", false);
  reserve("observed", true);
  acquire("observed");
  acquire("squatted");
  if (acknowledged.contains("squatted")) {
    IpAddress ip = acknowledged["squatted"];
    acknowledged.erase("squatted");
    host.Run(host.ipam->MarkForeign("shop", ip, MacOf(Key("squatter")))).IgnoreError();
  }
  acquire("kept");
  if (acknowledged.contains("kept"))
    host.Run(host.ipam->MarkForeign("shop", acknowledged["kept"], MacOf(Key("squatter")))).IgnoreError();
  StatusOr<Lease> unnamed = host.Run(host.ipam->Acquire({.pool = "shop", .key = Key("~1"), .provisional = true}));
  if (unnamed.ok()) host.Run(host.ipam->StandIn("shop", unnamed->ip, "a")).IgnoreError();
  host.Run(host.ipam->Reclaim("shop", kHour)).IgnoreError();
  acquire("idle");
  if (acknowledged.contains("idle")) host.Detach(acknowledged["idle"]).IgnoreError();
  acknowledged.erase("idle");
  host.Run(host.ipam->Reclaim("shop", 0)).IgnoreError();
  host.Run(host.ipam->Expire()).IgnoreError();
  return acknowledged;
}

TEST(Durability, AgreesWithTheStoreWhicheverCommitFailsInWhicheverWay) {
  for (Fault fault : {Fault::kFull, Fault::kLostAnswer, Fault::kNotWritten}) {
    bool met = true;
    for (uint64_t n = 1; met; n++) {
      MemoryLeaseStore store;
      Host host(store);
      ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop())).ok());
      store.FailCommit(n, fault);
      LiveThrough(host);
      met = store.commits() >= n + 1;
      host.AddressOf("last");
      host.AddressOf("last");  // a failure of unknown outcome is looked up before the next mutation
      ExpectMemoryEqualsDisk(host, store, Cat("fault ", static_cast<int>(fault), " at ", n));
    }
  }
}

TEST(Durability, KeepsEveryAcknowledgedLeaseOverACrashAtAnyCommit) {
  for (Fault fault : {Fault::kCrash, Fault::kCrashWritten}) {
    bool met = true;
    for (uint64_t n = 1; met; n++) {
      MemoryLeaseStore store;
      Host host(store);
      ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop())).ok());
      store.FailCommit(n, fault);
      auto acknowledged = LiveThrough(host);
      met = store.commits() >= n + 1;
      store.FailCommit(0, fault);  // one that was not met is not to come later
      store.Restart();
      host.Restart();
      ASSERT_TRUE(host.loaded.ok());
      ExpectMemoryEqualsDisk(host, store, Cat("crash at ", n));
      for (const auto& [name, ip] : acknowledged) EXPECT_EQ(host.AddressOf(name), ip) << name << " at " << n;
    }
  }
}

TEST(Durability, TellsTheListenerOfAWriteWhoseAnswerGotLost) {
  MemoryLeaseStore store;
  Host host(store);
  ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop())).ok());
  std::vector<std::string> told;
  host.ipam->SetListener([&](const Lease& lease, bool) { told.push_back(lease.key.name); });
  store.FailCommit(1, Fault::kLostAnswer);
  EXPECT_FALSE(host.Acquire("a").ok());
  EXPECT_TRUE(host.Acquire("b").ok());
  EXPECT_EQ(told, (std::vector<std::string>{"a", "b"}));
}

TEST(Durability, ShowsReadersOnlyWhatIsDurable) {
  MemoryLeaseStore store;
  Host host(store);
  ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop())).ok());
  host.offload->held = true;
  std::optional<StatusOr<Lease>> lease;
  io::TaskGroup group;
  group.Spawn(Into(host.ipam->Acquire({.pool = "shop", .key = Key("a"), .wanted = Ip("10.40.0.9")}), &lease));
  EXPECT_FALSE(host.ipam->Find(Key("a")).has_value());
  EXPECT_FALSE(host.ipam->FindByAddress("shop", Ip("10.40.0.9")).has_value());
  EXPECT_TRUE(host.ipam->Leases().empty());
  host.offload->RunOne();
  host.TurnUntil([&] { return group.live() == 0; });
  EXPECT_TRUE(host.ipam->FindByAddress("shop", Ip("10.40.0.9")).has_value());
}

// --- many at once

struct Burst {
  explicit Burst(Host& host) : host_(host) {}
  void Acquire(std::string_view name) {
    answers.emplace_back(std::make_unique<std::optional<StatusOr<Lease>>>());
    group.Spawn(Into(host_.ipam->Acquire({.pool = "shop", .key = Key(name)}), answers.back().get()));
  }
  void Finish() {
    host_.offload->held = false;
    while (host_.offload->queued() > 0) host_.offload->RunOne();
    host_.TurnUntil([&] { return group.live() == 0; });
  }
  Host& host_;
  io::TaskGroup group;
  std::vector<std::unique_ptr<std::optional<StatusOr<Lease>>>> answers;
};

TEST(GroupCommit, TakesManyAcquiresInTwoTransactionsAndGivesNoAddressTwice) {
  MemoryLeaseStore store;
  Host host(store);
  ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop())).ok());
  uint64_t commits = store.commits();
  host.offload->held = true;
  Burst burst(host);
  for (int i = 0; i < 64; i++) burst.Acquire(Cat("c", i));
  burst.Finish();
  std::set<IpAddress> given;
  for (auto& answer : burst.answers) EXPECT_TRUE(given.insert((**answer)->ip).second);
  EXPECT_EQ(store.commits() - commits, 2u);  // the first one alone, all others behind it
}
// Without waiting for those who just got their answers, one client and all the others would commit by turns.
TEST(GroupCommit, TakesClientsThatAskAgainAtOnceTogether) {
  MemoryLeaseStore store;
  Host host(store);
  ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop("10.40.0.0/22"))).ok());
  auto ask_twice = [](Ipam& ipam, int client) -> io::Task<void> {
    for (int i = 0; i < 2; i++) {
      AcquireRequest request{.pool = "shop", .key = Key(Cat("c", client, "-", i))};
      EXPECT_TRUE((co_await ipam.Acquire(request)).ok());
    }
  };
  uint64_t commits = store.commits();
  io::TaskGroup group;
  for (int i = 0; i < 64; i++) group.Spawn(ask_twice(*host.ipam, i));
  host.TurnUntil([&] { return group.live() == 0; });
  EXPECT_LE(store.commits() - commits, 4u);
}
TEST(GroupCommit, GivesOneLeaseToConcurrentAcquiresOfOneKey) {
  MemoryLeaseStore store;
  Host host(store);
  ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop())).ok());
  host.offload->held = true;
  Burst burst(host);
  for (int i = 0; i < 8; i++) burst.Acquire(i == 0 ? "other" : "web");
  burst.Finish();
  for (size_t i = 2; i < 8; i++) {
    EXPECT_EQ((**burst.answers[i])->ip, (**burst.answers[1])->ip);
    EXPECT_EQ((**burst.answers[i])->revision, (**burst.answers[1])->revision);
  }
  EXPECT_EQ(host.ipam->Leases().size(), 2u);
}
TEST(GroupCommit, FailsAllOfATransactionTogetherAndGoesOnWithTheNext) {
  MemoryLeaseStore store;
  Host host(store);
  ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop())).ok());
  host.offload->held = true;
  Burst burst(host);
  for (int i = 0; i < 8; i++) burst.Acquire(Cat("c", i));
  store.FailCommit(2, Fault::kFull);
  burst.Finish();
  EXPECT_TRUE((**burst.answers[0]).ok());
  for (size_t i = 1; i < 8; i++) EXPECT_EQ((**burst.answers[i]).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(host.ipam->Leases().size(), 1u);
  EXPECT_TRUE(host.Acquire("c1").ok());
}
TEST(GroupCommit, RefusesBeyondItsLimitAndCountsIt) {
  MemoryLeaseStore store;
  Host host(store);
  ASSERT_TRUE(host.Run(host.ipam->PutPool(Shop("10.40.0.0/16"))).ok());
  host.offload->held = true;
  Burst burst(host);
  for (size_t i = 0; i < Ipam::kMaxWaiting + 2; i++) burst.Acquire(Cat("c", i));  // one is on its way, one too many
  burst.Finish();
  EXPECT_EQ((**burst.answers.back()).status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(host.ipam->stats().overflows, 1u);
  EXPECT_EQ(host.ipam->Leases().size(), Ipam::kMaxWaiting + 1);
}

TEST(GroupCommit, WorksWithAStoreThreadAndSqlite) {
  TempDir dir;
  auto store = *SqliteLeaseStore::Open(dir.File("leases.db"));
  SystemClock clock;
  std::string note;
  auto worker = *io::MakeProactor(io::IoBackend::kEpoll, clock, &note);
  auto thread = io::MakeThreadOffload("leases");
  std::set<IpAddress> given;
  {
    Ipam ipam(*store, *thread, *worker, clock);
    io::TaskGroup group;
    std::vector<std::optional<StatusOr<Lease>>> answers(100);
    std::optional<Status> loaded, pool;
    group.Spawn(Into(ipam.Load(), &loaded));
    while (group.live() > 0) worker->Turn(kMillisecond);
    group.Spawn(Into(ipam.PutPool(Shop()), &pool));
    for (size_t i = 0; i < answers.size(); i++)
      group.Spawn(Into(ipam.Acquire({.pool = "shop", .key = Key(Cat("c", i))}), &answers[i]));
    while (group.live() > 0) worker->Turn(kMillisecond);
    for (auto& answer : answers) EXPECT_TRUE(given.insert((*answer)->ip).second);
    EXPECT_LT(ipam.stats().commits, 10u);
  }
  EXPECT_EQ(store->Load()->leases.size(), 100u);
}

// --- random operations against a model: the rules in their simplest form

class Model {
 public:
  explicit Model(Host& host) : host_(host) {}

  void Acquire(const std::string& name) {
    StatusOr<Lease> lease = host_.Acquire(name);
    auto known = address_.find(name);
    if (known != address_.end()) {
      ASSERT_TRUE(lease.ok());
      ASSERT_EQ(lease->ip, known->second) << "a name lost its address";
    } else if (lease.ok()) {
      ForgetHolderOf(lease->ip);
      address_[name] = lease->ip;
    } else {
      ASSERT_EQ(lease.status().code(), StatusCode::kResourceExhausted);
      ASSERT_GE(address_.size() + recently_released_.size(), kPool) << "refused with room: " << lease.status();
      return;
    }
    attached_.insert(name);
    recently_released_.erase(lease->ip);
  }
  void Detach(const std::string& name) {
    if (!address_.contains(name)) return;
    ASSERT_TRUE(host_.Detach(address_[name]).ok());
    if (attached_.erase(name) != 0) detached_at_[name] = host_.clock.WallNow();
  }
  void Release(const std::string& name) {
    Status status = host_.Run(host_.ipam->Release(Key(name)));
    ASSERT_EQ(status.ok(), !attached_.contains(name));
    if (!status.ok() || !address_.contains(name)) return;
    recently_released_.insert(address_[name]);
    address_.erase(name);
  }
  void Compare() {
    std::vector<Lease> leases = host_.ipam->Leases();
    ASSERT_EQ(leases.size(), address_.size());
    for (const Lease& lease : leases) {
      ASSERT_EQ(lease.ip, address_[lease.key.name]);
      ASSERT_EQ(lease.attached, attached_.contains(lease.key.name));
    }
  }

  static constexpr size_t kPool = 13;  // of a /28

 private:
  // Only a detached name past its quarantine may lose its address to another.
  void ForgetHolderOf(const IpAddress& ip) {
    for (auto it = address_.begin(); it != address_.end(); ++it) {
      if (it->second != ip) continue;
      ASSERT_FALSE(attached_.contains(it->first)) << "address given twice";
      ASSERT_GE(host_.clock.WallNow() - detached_at_[it->first], 60 * kSecond);
      address_.erase(it);
      return;
    }
  }

  Host& host_;
  std::map<std::string, IpAddress> address_;
  std::set<std::string> attached_;
  std::map<std::string, Nanos> detached_at_;
  std::set<IpAddress> recently_released_;
};

void RunModel(uint64_t seed, int steps, LeaseStore& store) {
  SCOPED_TRACE(Cat("seed ", seed));
  SeededRandom random(seed);
  Host host(store);
  PoolSpec spec = Shop("10.40.0.0/28");
  spec.retain = kNever;
  ASSERT_TRUE(host.Run(host.ipam->PutPool(spec)).ok());
  Model model(host);
  for (int step = 0; step < steps && !testing::Test::HasFatalFailure(); step++) {
    std::string name = Cat("c", random.Below(20));
    switch (random.Below(8)) {
      case 0: case 1: case 2: model.Acquire(name); break;
      case 3: case 4: model.Detach(name); break;
      case 5: model.Release(name); break;
      case 6: host.clock.Advance(static_cast<Nanos>(random.Below(40)) * kSecond); break;
      case 7: if (random.OneIn(10)) host.Restart(); break;
    }
    if (step % 16 == 0) model.Compare();
  }
}

TEST(Property, EqualsTheModelUnderRandomOperations) {
  for (uint64_t seed = 1; seed <= 10; seed++) {
    MemoryLeaseStore store;
    RunModel(seed, 2000, store);
  }
}
TEST(Property, EqualsTheModelOverSqlite) {
  TempDir dir;
  auto store = *SqliteLeaseStore::Open(dir.File("leases.db"));
  RunModel(11, 1000, *store);
}

}  // namespace
}  // namespace fairlead::ipam
