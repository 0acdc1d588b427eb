// What an Acquire costs: on an empty and on a nearly full /16, without a disk and with SQLite's durable commits, one at
// a time and 64 at once. `build/release/bin/ipam_bench`
#include <benchmark/benchmark.h>

#include "base/io/await.h"
#include "ipam/allocator.h"
#include "ipam/ipam.h"
#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"
#include "ipam/sqlite_lease_store.h"
#include "ipam/temp_dir.h"

namespace fairlead::ipam {
namespace {

// Names are placeholders and leases provisional: Detach ends them, so that the pool stays as full as it is.
io::Task<void> AcquireAndDetach(Ipam& ipam, std::string name) {
  auto lease = co_await ipam.Acquire({.pool = "shop", .key = Key(name), .provisional = true});
  CHECK(lease.ok());
  CHECK((co_await ipam.Detach("shop", lease->ip)).ok());
}

void Burst(Host& host, int64_t width, int64_t& next) {
  io::TaskGroup group;
  for (int64_t i = 0; i < width; i++) group.Spawn(AcquireAndDetach(*host.ipam, Cat("c", next++)));
  host.TurnUntil([&] { return group.live() == 0; });
}

// Makes the pool with so many attached leases, a batch at a time.
void Fill(Host& host, int64_t leases) {
  PoolSpec spec = Shop("10.40.0.0/16");
  spec.quarantine = 0;
  CHECK(host.Run(host.ipam->PutPool(spec)).ok());
  for (int64_t i = 0; i < leases;) {
    io::TaskGroup group;
    std::vector<std::optional<StatusOr<Lease>>> answers(256);
    for (auto& answer : answers)
      if (i < leases) group.Spawn(Into(host.ipam->Acquire({.pool = "shop", .key = Key(Cat("held", i++))}), &answer));
    host.TurnUntil([&] { return group.live() == 0; });
  }
}

constexpr int64_t kAlmost65k = 64'400;                // with what is acquired beside them, 65,424 of 65,533
constexpr int64_t kNearlyFull = 65'533 * 999 / 1000;  // 99.9 % of a /16

void BM_AcquireDetachInMemory(benchmark::State& state) {
  MemoryLeaseStore store;
  Host host(store);
  Fill(host, state.range(0));
  int64_t next = 0;
  for (auto _ : state) Burst(host, 1, next);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_AcquireDetachInMemory)->Arg(0)->Arg(kNearlyFull)->ArgName("leased");

void BM_AcquireDetachDurable(benchmark::State& state) {
  TempDir dir;
  auto store = *SqliteLeaseStore::Open(dir.File("leases.db"));
  Host host(*store);
  Fill(host, state.range(0));
  int64_t next = 0;
  for (auto _ : state) Burst(host, state.range(1), next);
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(BM_AcquireDetachDurable)
    ->ArgNames({"leased", "at_once"})
    ->ArgsProduct({{0, kNearlyFull}, {1, 64}})
    ->UseRealTime();

// Acquire alone: 64 clients, each asking again as soon as it has its answer. What makes room again is not counted.
constexpr int64_t kClients = 64, kEach = 16;

io::Task<void> AcquireEach(Ipam& ipam, int64_t first) {
  for (int64_t i = 0; i < kEach; i++) {
    auto lease = co_await ipam.Acquire({.pool = "shop", .key = Key(Cat("c", first + i))});
    CHECK(lease.ok());
  }
}
io::Task<void> EndEach(Ipam& ipam, int64_t first) {
  for (int64_t i = 0; i < kEach; i++) {
    LeaseKey key = Key(Cat("c", first + i));
    CHECK((co_await ipam.Detach("shop", ipam.Find(key)->ip)).ok());
    CHECK((co_await ipam.Release(key)).ok());
  }
}

void BM_AcquireDurable(benchmark::State& state) {
  TempDir dir;
  auto store = *SqliteLeaseStore::Open(dir.File("leases.db"));
  Host host(*store);
  Fill(host, state.range(0));
  int64_t next = 0;
  auto all = [&](auto what) {
    io::TaskGroup group;
    for (int64_t i = 0; i < kClients; i++) group.Spawn(what(*host.ipam, next + i * kEach));
    host.TurnUntil([&] { return group.live() == 0; });
  };
  uint64_t commits = 0;
  for (auto _ : state) {
    uint64_t before = host.ipam->stats().commits;
    all(AcquireEach);
    commits += host.ipam->stats().commits - before;
    state.PauseTiming();
    all(EndEach);
    next += kClients * kEach;
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kClients * kEach);
  state.counters["per_commit"] = static_cast<double>(state.items_processed()) / static_cast<double>(commits);
}
BENCHMARK(BM_AcquireDurable)->ArgName("leased")->Arg(0)->Arg(kAlmost65k)->UseRealTime();

// The choice alone.
void BM_Choose(benchmark::State& state) {
  Allocator allocator(Shop("10.40.0.0/16"));
  for (int64_t i = 0; i < state.range(0); i++) {
    LeaseKey key = Key(Cat("held", i));
    allocator.Set(allocator.Choose(key, {}, 0), {AddressUse::kAttached, key, static_cast<uint64_t>(i)});
  }
  LeaseKey key = Key("web");
  for (auto _ : state) {
    IpAddress ip = allocator.Choose(key, {}, 0);
    AddressUse before = allocator.Set(ip, {AddressUse::kAttached, key, UINT64_MAX});
    allocator.Set(ip, before);
  }
}
BENCHMARK(BM_Choose)->Arg(0)->Arg(kNearlyFull)->ArgName("leased");

// The agent's start: leases and the last end of each address, out of a full history of a pool.
void BM_Load(benchmark::State& state) {
  TempDir dir;
  auto store = *SqliteLeaseStore::Open(dir.File("leases.db"));
  {
    Host host(*store);
    Fill(host, 0);
  }
  const IpAddress network = *IpAddress::Parse("10.40.0.0");
  for (int64_t i = 0; i < state.range(0);) {
    LeaseBatch batch;
    for (int64_t end = std::min(i + 10'000, state.range(0)); i < end; i++) {
      batch.ended.push_back({"shop", network.Plus(2 + i % 65'000), Key(Cat("web", i % 100'000)), i, i + 1, i + 1});
    }
    CHECK(store->Commit(batch).ok());
  }
  for (auto _ : state) CHECK(store->Load().ok());
}
BENCHMARK(BM_Load)->ArgName("ended")->Arg(0)->Arg(kHistoryPerPool)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace fairlead::ipam
