#include "ipam/lease_table.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace fairlead::ipam {

namespace {
Nanos Later(Nanos time, Nanos by) { return by > kNever - time ? kNever : time + by; }

// When a rest is over that began with `full` and ends at `until_wall`: never later than a full one from now, however far
// the wall clock jumped in between.
Nanos RestEnd(Nanos until_wall, Nanos full, const Moment& at) {
  if (until_wall == kNever) return kNever;
  return Later(at.now, std::clamp<Nanos>(until_wall - at.wall, 0, full));
}
}  // namespace

Status LeaseTable::Reset(StoredState state, const Moment& at) {
  pools_.clear();
  leases_.clear();
  before_.clear();
  undo_.clear();
  ended_.clear();
  events_.clear();
  for (StoredPool& stored : state.pools) {
    RETURN_IF_ERROR(stored.spec.Validate());
    InstallPool(std::move(stored.spec), stored.revision);
  }
  for (const HistoryEntry& e : state.released) {
    Pool* pool = FindPool(e.pool);
    if (pool == nullptr || pool->spec.PrefixOf(e.ip) == nullptr) continue;  // the history outlives pools
    Nanos usable = RestEnd(e.rest_until_wall, pool->spec.quarantine, at);
    pool->allocator.Set(e.ip, {AddressUse::kResting, e.key, ++order_, usable});
  }
  // Order of time is that of revisions: the wall clock may have jumped.
  std::ranges::sort(state.leases, {}, [](const Lease& l) { return std::tie(l.revision, l.key); });
  for (Lease& lease : state.leases) {
    Pool* pool = FindPool(lease.pool);
    if (pool == nullptr || pool->spec.PrefixOf(lease.ip) == nullptr)
      return DataLoss("the lease of ", lease.key.ToString(), " at ", lease.ip.ToString(), " lies outside its pool \"",
                      lease.pool, "\"");
    Fill(*pool, lease);
    pool->allocator.Set(lease.ip, UseOf(*pool, lease, at));
    leases_.emplace(lease.key, lease);
  }
  return OkStatus();
}

Pool* LeaseTable::FindPool(std::string_view name) {
  auto it = pools_.find(name);
  return it != pools_.end() ? &it->second : nullptr;
}

void LeaseTable::InstallPool(PoolSpec spec, uint64_t revision) {
  CHECK(before_.empty() && undo_.empty());
  Allocator allocator(spec);
  auto it = pools_.find(spec.name);
  if (it == pools_.end()) {
    std::string name = spec.name;
    pools_.emplace(std::move(name), Pool{std::move(spec), revision, std::move(allocator)});
    return;
  }
  Pool& pool = it->second;
  pool.allocator.ForEachUse([&](const IpAddress& ip, const AddressUse& use) {
    if (spec.PrefixOf(ip) != nullptr) allocator.Set(ip, use);
    return true;
  });
  pool = Pool{std::move(spec), revision, std::move(allocator), std::move(pool.foreign)};
  for (auto& [key, lease] : leases_)
    if (lease.pool == pool.spec.name) Fill(pool, lease);
}

void LeaseTable::ErasePool(std::string_view name) {
  CHECK(before_.empty() && undo_.empty());
  auto it = pools_.find(name);
  if (it != pools_.end()) pools_.erase(it);
}

void LeaseTable::Fill(const Pool& pool, Lease& lease) const {
  const PrefixSpec* prefix = pool.spec.PrefixOf(lease.ip);
  CHECK(prefix != nullptr);
  lease.prefix_length = prefix->prefix.length();
  lease.gateway = prefix->Gateway();
}

AddressUse LeaseTable::UseOf(const Pool& pool, const Lease& lease, const Moment& at) {
  if (lease.attached) return {AddressUse::kAttached, lease.key, ++order_};
  auto state = lease.kept() ? AddressUse::kReserved : AddressUse::kDetached;
  const AddressUse& before = pool.allocator.Get(lease.ip);
  bool detached_before = before.state == AddressUse::kDetached || before.state == AddressUse::kReserved;
  if (detached_before) return {state, lease.key, ++order_, before.usable, before.since};
  Nanos usable = RestEnd(Later(lease.since_wall, pool.spec.quarantine), pool.spec.quarantine, at);
  // From here on its age grows by the monotonic clock: one that is set right must not end every retention.
  Nanos age = std::max<Nanos>(0, at.wall - lease.since_wall);
  return {state, lease.key, ++order_, usable, at.now - age};
}

const Lease* LeaseTable::Staged(const LeaseKey& key) const {
  auto it = leases_.find(key);
  return it != leases_.end() ? &it->second : nullptr;
}

const Lease* LeaseTable::StagedAt(const Pool& pool, const IpAddress& ip) const {
  const AddressUse& use = pool.allocator.Get(ip);
  return use.leased() ? Staged(use.key) : nullptr;
}

void LeaseTable::Remember(const LeaseKey& key) {
  const Lease* durable = Staged(key);
  before_.try_emplace(key, durable != nullptr ? std::optional<Lease>(*durable) : std::nullopt);
}

void LeaseTable::SetUse(Pool& pool, const IpAddress& ip, AddressUse use) {
  AddressUse before = pool.allocator.Set(ip, std::move(use));
  undo_.push_back({&pool, ip, std::move(before)});
}

void LeaseTable::Record(const Lease& lease, const Moment& at, Nanos rest_until_wall) {
  ended_.push_back({lease.pool, lease.ip, lease.key, lease.acquired_wall, at.wall, rest_until_wall});
}

void LeaseTable::Rest(const Lease& lease, const Moment& at) {
  Pool* pool = FindPool(lease.pool);
  CHECK(pool != nullptr);
  // A detached address has been quiet since then.
  const Nanos usable = lease.attached ? Later(at.now, pool->spec.quarantine) : pool->allocator.Get(lease.ip).usable;
  Record(lease, at, usable == kNever ? kNever : Later(at.wall, usable - at.now));
  SetUse(*pool, lease.ip, {AddressUse::kResting, lease.key, ++order_, usable});
}

void LeaseTable::Put(Lease lease, const Moment& at) {
  Remember(lease.key);
  if (const Lease* old = Staged(lease.key); old != nullptr && (old->pool != lease.pool || old->ip != lease.ip))
    Rest(*old, at);
  Pool* pool = FindPool(lease.pool);
  CHECK(pool != nullptr);
  const Lease* holder = StagedAt(*pool, lease.ip);
  CHECK(holder == nullptr || holder->key == lease.key);  // the rule that all of this is for
  Fill(*pool, lease);
  SetUse(*pool, lease.ip, UseOf(*pool, lease, at));
  events_.emplace_back(lease, false);
  leases_.insert_or_assign(lease.key, std::move(lease));
}

void LeaseTable::End(const LeaseKey& key, const Moment& at) {
  Remember(key);
  auto it = leases_.find(key);
  CHECK(it != leases_.end());
  Rest(it->second, at);
  events_.emplace_back(std::move(it->second), true);
  leases_.erase(it);
}

void LeaseTable::Rekey(const LeaseKey& from, Lease lease, const Moment& at) {
  Remember(from);
  auto it = leases_.find(from);
  CHECK(it != leases_.end() && it->second.ip == lease.ip && Staged(lease.key) == nullptr);
  if (!it->second.provisional) Record(it->second, at, at.wall);  // a placeholder is nobody
  events_.emplace_back(std::move(it->second), true);
  leases_.erase(it);
  Put(std::move(lease), at);
}

void LeaseTable::Forget(Pool& pool, const IpAddress& ip) {
  CHECK(!pool.allocator.Get(ip).leased());
  SetUse(pool, ip, {});
}

void LeaseTable::SetForeign(Pool& pool, const IpAddress& ip, MacAddress by, const Moment& at, Nanos rest) {
  pool.foreign.insert_or_assign(ip, Pool::Foreign{{pool.spec.name, ip, by, at.wall}, at.now + rest});
  const AddressUse& use = pool.allocator.Get(ip);
  if (use.leased()) return;
  SetUse(pool, ip, {AddressUse::kForeign, {}, ++order_, std::max(at.now + rest, use.usable)});  // in quarantine, too
}

LeaseBatch LeaseTable::Batch() const {
  LeaseBatch batch;
  for (const auto& [key, before] : before_) {
    const Lease* now = Staged(key);
    if (!before && now == nullptr) continue;  // came and went within the batch
    batch.leases.push_back({key, before ? before->revision : 0, now != nullptr ? std::optional(*now) : std::nullopt});
  }
  batch.ended = ended_;
  return batch;
}

void LeaseTable::Commit(uint64_t revision, const Listener& listener) {
  for (const auto& [key, before] : before_)
    if (auto it = leases_.find(key); it != leases_.end()) it->second.revision = revision;
  auto events = std::exchange(events_, {});
  before_.clear();
  undo_.clear();
  ended_.clear();
  if (!listener) return;
  for (auto& [lease, gone] : events) {
    lease.revision = revision;
    listener(lease, gone);
  }
}

void LeaseTable::Rollback() {
  for (auto it = undo_.rbegin(); it != undo_.rend(); ++it) it->pool->allocator.Set(it->ip, std::move(it->before));
  for (auto& [key, before] : before_) {
    if (before)
      leases_.insert_or_assign(key, *std::move(before));
    else
      leases_.erase(key);
  }
  before_.clear();
  undo_.clear();
  ended_.clear();
  events_.clear();
}

std::optional<Lease> LeaseTable::Find(const LeaseKey& key) const {
  if (auto it = before_.find(key); it != before_.end()) return it->second;
  const Lease* lease = Staged(key);
  return lease != nullptr ? std::optional(*lease) : std::nullopt;
}

std::optional<Lease> LeaseTable::FindByAddress(std::string_view pool, const IpAddress& ip) const {
  for (const auto& [key, before] : before_)
    if (before && before->pool == pool && before->ip == ip) return before;
  auto it = pools_.find(pool);
  const Lease* lease = it != pools_.end() ? StagedAt(it->second, ip) : nullptr;
  if (lease == nullptr || before_.contains(lease->key)) return std::nullopt;
  return *lease;
}

std::vector<Lease> LeaseTable::Leases() const {
  std::vector<Lease> all;
  for (const auto& [key, lease] : leases_)
    if (!before_.contains(key)) all.push_back(lease);
  for (const auto& [key, before] : before_)
    if (before) all.push_back(*before);
  if (!before_.empty()) std::ranges::sort(all, {}, &Lease::key);
  return all;
}

}  // namespace fairlead::ipam
