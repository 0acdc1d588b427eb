// LeaseStore keeps pools and leases over restarts. SqliteLeaseStore serves one host; MemoryLeaseStore is the double of
// tests. Calls block; they come from one thread (Ipam makes them on its store thread).
//
// Every commit gets the next revision of the store. A row carries the revision of its last write and is written or
// removed only by someone who knows it: a second writer on the same store is noticed, never overwritten.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "ipam/lease.h"

namespace fairlead::ipam {

// The history goes back so far, by ForgetHistory(); of a pool where very much happens, to its last kHistoryPerPool ends.
// What is in quarantine stays beyond both.
inline constexpr Nanos kHistoryFor = 90 * 24 * kHour;
inline constexpr uint64_t kHistoryPerPool = 1'000'000;
inline constexpr uint64_t kForgetAtOnce = 4096;

struct StoredPool {
  PoolSpec spec;
  uint64_t revision = 0;
};

struct StoredState {
  std::vector<StoredPool> pools;
  std::vector<Lease> leases;           // without prefix_length and gateway: the pool knows them
  std::vector<HistoryEntry> released;  // the last end of each address in the history, oldest first
};

// One change of a row. `expected` is the revision the row has; 0: there is none.
struct LeaseWrite {
  LeaseKey key;
  uint64_t expected = 0;
  std::optional<Lease> lease = {};  // unset: remove
};
struct PoolWrite {
  std::string name;
  uint64_t expected = 0;
  std::optional<PoolSpec> spec = {};  // unset: remove
};

// One transaction. Each key and each pool occurs at most once. Removals come before the rest, so that an address may go
// from one key to another.
struct LeaseBatch {
  std::vector<PoolWrite> pools = {};
  std::vector<LeaseWrite> leases = {};
  std::vector<HistoryEntry> ended = {};
  bool empty() const { return pools.empty() && leases.empty() && ended.empty(); }
};

class LeaseStore {
 public:
  virtual ~LeaseStore() = default;

  virtual StatusOr<StoredState> Load() = 0;

  // All or nothing, durable when it returns the new revision.
  // Aborted: a row has another revision, or an address of a pool would have two holders. ResourceExhausted: the disk is
  // full. After both the store is as before; after any other error the outcome is unknown: Load() tells.
  virtual StatusOr<uint64_t> Commit(const LeaseBatch& batch) = 0;

  // Ended leases of the address, latest first.
  virtual StatusOr<std::vector<HistoryEntry>> History(std::string_view pool, const IpAddress& ip) = 0;
  // Forgets ends before `to_wall` of addresses whose quarantine was over then. A call may leave all but kForgetAtOnce to
  // the next ones: leases wait for it.
  virtual Status ForgetHistory(Nanos to_wall) = 0;
};

}  // namespace fairlead::ipam
