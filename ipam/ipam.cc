// Group commit: mutations queue up while a transaction is on its way to the disk; the first of the queue then leads the
// next one and takes the others along. A batch is computed only once the outcome of the one before is known, so that
// nothing is ever built on a change that fails.
#include "ipam/ipam.h"

#include <deque>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "ipam/lease_table.h"
#include "ipam/rules.h"

namespace fairlead::ipam {

namespace {

// A mutation on its way. Lives in the frame of its caller, who waits for it whatever happens.
struct Mutation final : io::Posted {
  std::function<Status(Mutation&)> stage;  // stages its change in the table, or says why not
  bool alone = false;                      // changes a pool: a transaction of its own

  Status status;
  bool done = false;
  Lease lease;                             // the answer of Acquire and Rename
  std::optional<PoolWrite> pool_write;

  Status Answer(StatusOr<Lease> staged) {
    if (!staged.ok()) return staged.status();
    lease = *std::move(staged);
    return OkStatus();
  }
  Status Answer(StatusOr<std::optional<PoolWrite>> checked) {
    if (!checked.ok()) return checked.status();
    pool_write = *std::move(checked);
    return OkStatus();
  }

  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiter = handle; }
  void await_resume() {}
  void Run() override {
    if (waking != nullptr) --*std::exchange(waking, nullptr);
    waiter.resume();
  }
  std::coroutine_handle<> waiter;
  size_t* waking = nullptr;                // its answer is posted, and counted there
};

// Goes on when everything that is posted by now has run.
struct LaterThisTurn final : io::Posted {
  explicit LaterThisTurn(io::Proactor& w) : worker(w) {}
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter = handle;
    worker.Post(*this);
  }
  void await_resume() {}
  void Run() override { waiter.resume(); }
  io::Proactor& worker;
  std::coroutine_handle<> waiter;
};

}  // namespace

struct Ipam::State {
  State(LeaseStore& s, io::Offload& t, io::Proactor& w, const Clock& c)
      : store(s), store_thread(t), worker(w), clock(c) {}

  Moment Now() const { return {clock.Now(), clock.WallNow()}; }
  io::Task<Status> Load();
  io::Task<Status> Write(Mutation& mutation);
  io::Task<void> LeadBatch();
  std::vector<Mutation*> StageBatch();
  io::Task<Status> CommitBatch(const std::vector<Mutation*>& batch);
  void TellDifferences(const std::vector<Lease>& before);

  LeaseStore& store;
  io::Offload& store_thread;
  io::Proactor& worker;
  const Clock& clock;
  LeaseTable table;
  Listener listener;
  std::deque<Mutation*> waiting;
  bool leading = false;
  size_t waking = 0;    // callers whose answer is posted: they may ask again at once
  bool unsure = false;  // a transaction failed with unknown outcome: the store must be read again
  Stats stats;
};

io::Task<Status> Ipam::State::Load() {
  StatusOr<StoredState> loaded = co_await io::OffloadTo(store_thread, worker, [this] { return store.Load(); });
  if (!loaded.ok()) co_return loaded.status();
  LeaseTable fresh;
  fresh.configured = table.configured;
  CO_RETURN_IF_ERROR(fresh.Reset(*std::move(loaded), Now()));
  table = std::move(fresh);
  co_return OkStatus();
}

io::Task<Status> Ipam::State::Write(Mutation& mutation) {
  if (waiting.size() >= kMaxWaiting) {
    stats.overflows++;
    co_return ResourceExhausted(kMaxWaiting, " changes of leases wait for the disk already; try again");
  }
  waiting.push_back(&mutation);
  if (leading) co_await mutation;  // until it is done, or its turn to lead
  if (!mutation.done) {
    leading = true;
    co_await LeadBatch();
  }
  co_return mutation.status;
}

std::vector<Mutation*> Ipam::State::StageBatch() {
  std::vector<Mutation*> batch;
  while (!waiting.empty() && batch.size() < kMaxBatch) {
    Mutation* next = waiting.front();
    if (next->alone && !batch.empty()) break;
    waiting.pop_front();
    batch.push_back(next);
    next->status = next->stage(*next);
    if (next->alone) break;
  }
  stats.mutations += batch.size();
  return batch;
}

io::Task<void> Ipam::State::LeadBatch() {
  // Whoever got an answer from the batch before and asks again belongs into this one: without it, clients in a loop would
  // commit by turns one and all the others.
  if (waking > 0) co_await LaterThisTurn(worker);
  Status readable;
  if (unsure) {
    std::vector<Lease> before = table.Leases();
    readable = co_await Load();
    stats.reloads++;
    if (readable.ok()) {
      unsure = false;
      TellDifferences(before);
    }
  }
  Mutation* self = waiting.front();
  std::vector<Mutation*> batch;
  if (readable.ok()) {
    batch = StageBatch();
    readable = co_await CommitBatch(batch);
  } else {
    batch.assign(waiting.begin(), waiting.end());
    waiting.clear();
  }
  for (Mutation* m : batch) {
    if (m->status.ok()) m->status = readable;
    m->done = true;
    if (m == self) continue;
    m->waking = &waking;
    waking++;
    worker.Post(*m);
  }
  if (waiting.empty())
    leading = false;
  else
    worker.Post(*waiting.front());
}

io::Task<Status> Ipam::State::CommitBatch(const std::vector<Mutation*>& batch) {
  LeaseBatch writes = table.Batch();
  std::optional<PoolWrite>& pool_write = batch.front()->pool_write;
  if (pool_write) writes.pools.push_back(*pool_write);
  if (writes.empty()) {
    table.Commit(0, listener);  // nothing but reads
    co_return OkStatus();
  }
  StatusOr<uint64_t> revision =
      co_await io::OffloadTo(store_thread, worker, [this, &writes] { return store.Commit(writes); });
  if (!revision.ok()) {
    table.Rollback();
    stats.failures++;
    unsure = revision.status().code() != StatusCode::kResourceExhausted;
    LOG(kError, "leases not written", {"error", Message(revision.status())}, {"changes", writes.leases.size()});
    co_return revision.status();
  }
  stats.commits++;
  for (Mutation* m : batch)
    if (m->lease.revision == 0) m->lease.revision = *revision;
  if (pool_write && pool_write->spec) table.InstallPool(*pool_write->spec, *revision);
  if (pool_write && !pool_write->spec) table.ErasePool(pool_write->name);
  table.Commit(*revision, listener);
  co_return OkStatus();
}

// After a reload: changes that were durable although their commit failed, or that somebody else made.
void Ipam::State::TellDifferences(const std::vector<Lease>& before) {
  if (!listener) return;
  for (const Lease& was : before) {
    std::optional<Lease> is = table.Find(was.key);
    if (!is) listener(was, true);
  }
  std::map<LeaseKey, uint64_t> known;
  for (const Lease& was : before) known.emplace(was.key, was.revision);
  for (const Lease& is : table.Leases())
    if (auto it = known.find(is.key); it == known.end() || it->second != is.revision) listener(is, false);
}

Ipam::Ipam(LeaseStore& store, io::Offload& store_thread, io::Proactor& worker, const Clock& clock)
    : state_(std::make_unique<State>(store, store_thread, worker, clock)) {}
Ipam::~Ipam() { CHECK(!state_->leading && state_->waiting.empty() && state_->waking == 0); }

io::Task<Status> Ipam::Load() { co_return co_await state_->Load(); }

io::Task<Status> Ipam::PutPool(PoolSpec spec) {
  Mutation m;
  m.alone = true;
  m.stage = [&](Mutation& self) { return self.Answer(CheckPutPool(state_->table, spec)); };
  co_return co_await state_->Write(m);
}

io::Task<Status> Ipam::RemovePool(std::string name) {
  Mutation m;
  m.alone = true;
  m.stage = [&](Mutation& self) { return self.Answer(CheckRemovePool(state_->table, name)); };
  co_return co_await state_->Write(m);
}

io::Task<StatusOr<Lease>> Ipam::Acquire(AcquireRequest request) {
  Mutation m;
  m.stage = [&](Mutation& self) {
    return self.Answer(StageAcquire(state_->table, request, state_->Now()));
  };
  CO_RETURN_IF_ERROR(co_await state_->Write(m));
  co_return std::move(m.lease);
}

io::Task<Status> Ipam::Detach(std::string pool, IpAddress ip) {
  Mutation m;
  m.stage = [&](Mutation&) { return StageDetach(state_->table, pool, ip, state_->Now()); };
  co_return co_await state_->Write(m);
}

io::Task<StatusOr<Lease>> Ipam::Rename(std::string pool, IpAddress ip, LeaseKey key, std::string project) {
  Mutation m;
  m.stage = [&](Mutation& self) {
    return self.Answer(StageRename(state_->table, pool, ip, key, project, state_->Now()));
  };
  CO_RETURN_IF_ERROR(co_await state_->Write(m));
  co_return std::move(m.lease);
}

io::Task<StatusOr<Lease>> Ipam::Reserve(ReserveRequest request) {
  Mutation m;
  m.stage = [&](Mutation& self) {
    return self.Answer(StageReserve(state_->table, request, state_->Now()));
  };
  CO_RETURN_IF_ERROR(co_await state_->Write(m));
  co_return std::move(m.lease);
}

io::Task<Status> Ipam::StandIn(std::string pool, IpAddress ip, std::string name) {
  Mutation m;
  m.stage = [&](Mutation&) { return StageStandIn(state_->table, pool, ip, name, state_->Now()); };
  co_return co_await state_->Write(m);
}

io::Task<Status> Ipam::MarkForeign(std::string pool, IpAddress ip, MacAddress by) {
  Mutation m;
  m.stage = [&](Mutation&) -> Status {
    ASSIGN_OR_RETURN(bool remembered, StageForeign(state_->table, pool, ip, by, state_->Now()));
    state_->stats.foreign_overflows += !remembered;
    return OkStatus();
  };
  co_return co_await state_->Write(m);
}

io::Task<StatusOr<std::vector<Lease>>> Ipam::Reclaim(std::string pool, Nanos idle) {
  std::vector<Lease> all;
  size_t ended = 0;
  do {
    std::vector<Lease> some;
    Mutation m;
    m.stage = [&](Mutation&) -> Status {
      ASSIGN_OR_RETURN(some, StageReclaim(state_->table, pool, idle, kMaxBatch, state_->Now()));
      return OkStatus();
    };
    CO_RETURN_IF_ERROR(co_await state_->Write(m));
    ended = some.size();
    all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  } while (ended == kMaxBatch);
  co_return std::move(all);
}

io::Task<Status> Ipam::Release(LeaseKey key) {
  Mutation m;
  m.stage = [&](Mutation&) { return StageRelease(state_->table, key, state_->Now()); };
  co_return co_await state_->Write(m);
}

io::Task<Status> Ipam::Expire() {
  size_t ended = 0;
  do {
    Mutation m;
    m.stage = [&](Mutation&) {
      ended = StageExpire(state_->table, kMaxBatch, state_->Now());
      return OkStatus();
    };
    CO_RETURN_IF_ERROR(co_await state_->Write(m));
  } while (ended == kMaxBatch);
  co_return co_await io::OffloadTo(state_->store_thread, state_->worker, [this] {
    return state_->store.ForgetHistory(state_->clock.WallNow() - kHistoryFor);
  });
}

io::Task<StatusOr<std::vector<HistoryEntry>>> Ipam::History(std::string pool, IpAddress ip) {
  StatusOr<std::vector<HistoryEntry>> ended = co_await io::OffloadTo(
      state_->store_thread, state_->worker, [&] { return state_->store.History(pool, ip); });
  if (!ended.ok()) co_return ended.status();
  std::vector<HistoryEntry> all;
  if (auto lease = state_->table.FindByAddress(pool, ip))
    all.push_back({pool, ip, lease->key, lease->acquired_wall, 0, 0});
  all.insert(all.end(), ended->begin(), ended->end());
  co_return std::move(all);
}

const PoolSpec* Ipam::FindPool(std::string_view name) const {
  const Pool* pool = state_->table.FindPool(name);
  return pool != nullptr ? &pool->spec : nullptr;
}

std::vector<PoolSpec> Ipam::Pools() const {
  std::vector<PoolSpec> all;
  for (const auto& [name, pool] : state_->table.pools()) all.push_back(pool.spec);
  return all;
}

std::optional<Lease> Ipam::Find(const LeaseKey& key) const { return state_->table.Find(key); }
std::optional<Lease> Ipam::FindByAddress(std::string_view pool, const IpAddress& ip) const {
  return state_->table.FindByAddress(pool, ip);
}
std::vector<Lease> Ipam::Leases() const { return state_->table.Leases(); }

Ipam::PoolUsage Ipam::Usage(std::string_view name) const {
  const Pool* pool = state_->table.FindPool(name);
  if (pool == nullptr) return {};
  uint64_t all = 0;
  for (const PrefixSpec& p : pool->spec.prefixes) {
    uint64_t more = p.prefix.network().DistanceTo(p.prefix.last());
    all = more >= UINT64_MAX - all ? UINT64_MAX : all + more + 1;
  }
  const Allocator& a = pool->allocator;
  const Nanos now = state_->clock.Now();
  PoolUsage usage{.attached = a.attached(),
                  .detached = a.detached(),
                  .reserved = a.count(AddressUse::kReserved),
                  .quarantined = a.quarantined(now),
                  .foreign = a.count(AddressUse::kForeign),
                  .excluded = all - a.size() - a.occupied_outside(now),
                  .size = a.size()};
  usage.free = all == UINT64_MAX ? all
                                 : all - usage.attached - usage.detached - usage.reserved - usage.quarantined -
                                       usage.foreign - usage.excluded;
  return usage;
}

std::vector<ForeignAddress> Ipam::Foreign() const {
  std::vector<ForeignAddress> all;
  for (const auto& [name, pool] : state_->table.pools())
    for (const auto& [ip, seen] : pool.foreign) all.push_back(seen.seen);
  return all;
}

void Ipam::SetListener(std::function<void(const Lease&, bool gone)> listener) {
  state_->listener = std::move(listener);
}
void Ipam::SetConfigured(std::function<bool(const Lease&)> configured) {
  state_->table.configured = std::move(configured);
}
const Ipam::Stats& Ipam::stats() const { return state_->stats; }

}  // namespace fairlead::ipam
