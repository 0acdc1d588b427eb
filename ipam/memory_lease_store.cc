#include "ipam/memory_lease_store.h"

#include <algorithm>
#include <set>

namespace fairlead::ipam {

namespace {
Status Crashed() { return Unavailable("memory lease store: crashed"); }
Status Conflict(std::string_view what) {
  return Aborted("memory lease store: ", what, " changed meanwhile; another program writes to it");
}
}  // namespace

void MemoryLeaseStore::FailCommit(uint64_t n, Fault fault) {
  fail_at_ = commits_ + n;
  fault_ = fault;
}

StatusOr<StoredState> MemoryLeaseStore::Load() {
  if (crashed_) return Crashed();
  StoredState state;
  for (const auto& [name, pool] : content_.pools) state.pools.push_back(pool);
  for (const auto& [key, lease] : content_.leases) state.leases.push_back(lease);
  for (const auto& [pool, entries] : content_.history) {
    std::set<IpAddress> seen;
    std::vector<HistoryEntry> last;
    for (auto it = entries.rbegin(); it != entries.rend(); ++it)
      if (seen.insert(it->second.ip).second) last.push_back(it->second);
    state.released.insert(state.released.end(), last.rbegin(), last.rend());
  }
  return state;
}

// All checks come first: Apply() then cannot fail half-way, and no copy of the content is needed to go back.
Status MemoryLeaseStore::Check(const LeaseBatch& batch, const Content& c) {
  for (const PoolWrite& w : batch.pools) {
    auto it = c.pools.find(w.name);
    if ((it != c.pools.end() ? it->second.revision : 0) != w.expected) return Conflict(w.name);
  }
  std::set<LeaseKey> changed;
  std::set<std::pair<std::string, IpAddress>> taken;
  for (const LeaseWrite& w : batch.leases) {
    auto it = c.leases.find(w.key);
    if ((it != c.leases.end() ? it->second.revision : 0) != w.expected) return Conflict(w.key.ToString());
    changed.insert(w.key);
  }
  for (const LeaseWrite& w : batch.leases) {
    if (!w.lease) continue;
    std::pair address(w.lease->pool, w.lease->ip);
    auto holder = c.holders.find(address);
    bool free = holder == c.holders.end() || changed.contains(holder->second);
    if (!free || !taken.insert(address).second) return Conflict(w.lease->ip.ToString());
  }
  return OkStatus();
}

Status MemoryLeaseStore::Apply(const LeaseBatch& batch, Content& c) const {
  RETURN_IF_ERROR(Check(batch, c));
  c.revision++;
  for (const PoolWrite& w : batch.pools) {
    c.pools.erase(w.name);
    if (w.spec) c.pools.emplace(w.name, StoredPool{*w.spec, c.revision});
  }
  for (const LeaseWrite& w : batch.leases) {
    auto it = c.leases.find(w.key);
    if (it == c.leases.end()) continue;
    c.holders.erase({it->second.pool, it->second.ip});
    c.leases.erase(it);
  }
  for (const LeaseWrite& w : batch.leases) {
    if (!w.lease) continue;
    Lease lease = *w.lease;
    lease.revision = c.revision;
    c.holders.emplace(std::pair(lease.pool, lease.ip), w.key);
    c.leases.emplace(w.key, std::move(lease));
  }
  for (const HistoryEntry& e : batch.ended) {
    auto& entries = c.history[e.pool];
    uint64_t seq = entries.empty() ? 1 : entries.rbegin()->first + 1;
    entries.emplace(seq, e);
    for (auto it = entries.begin(); it != entries.end() && it->first + history_per_pool_ <= seq;)
      it = it->second.rest_until_wall <= e.to_wall ? entries.erase(it) : std::next(it);
  }
  return OkStatus();
}

StatusOr<uint64_t> MemoryLeaseStore::Commit(const LeaseBatch& batch) {
  if (crashed_) return Crashed();
  bool fails = ++commits_ == fail_at_;
  bool written = !fails || fault_ == Fault::kLostAnswer || fault_ == Fault::kCrashWritten;
  if (written) RETURN_IF_ERROR(Apply(batch, content_));
  if (!fails) return content_.revision;
  crashed_ = fault_ == Fault::kCrash || fault_ == Fault::kCrashWritten;
  if (fault_ == Fault::kFull) return ResourceExhausted("memory lease store: full");
  return Unavailable("memory lease store: no answer");
}

Status MemoryLeaseStore::ForgetHistory(Nanos to_wall) {
  if (crashed_) return Crashed();
  for (auto& [pool, entries] : content_.history)
    std::erase_if(entries, [&](const auto& e) { return e.second.to_wall < to_wall && e.second.rest_until_wall <= to_wall; });
  return OkStatus();
}

StatusOr<std::vector<HistoryEntry>> MemoryLeaseStore::History(std::string_view pool, const IpAddress& ip) {
  if (crashed_) return Crashed();
  std::vector<HistoryEntry> found;
  auto it = content_.history.find(std::string(pool));
  if (it == content_.history.end()) return found;
  for (auto e = it->second.rbegin(); e != it->second.rend(); ++e)
    if (e->second.ip == ip) found.push_back(e->second);
  return found;
}

}  // namespace fairlead::ipam
