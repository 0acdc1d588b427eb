// Addresses that belong to names. A lease ties (network, scope, canonical container name) to an address of a pool; it
// outlives the container for the pool's `retain`, so that the same name gets the same address again.
//
// Everything here runs on one worker; durable work goes to the LeaseStore's thread (base/io/offload.h). Every mutation
// may be repeated without harm, is durable when its task completes, and changes nothing when it fails. Readers see
// durable state only. docs/life-of-a-lease.md follows a lease through the files.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/io/offload.h"
#include "base/io/task.h"
#include "ipam/lease.h"

namespace fairlead::ipam {

class LeaseStore;  // ipam/lease_store.h

struct AcquireRequest {
  std::string pool;
  LeaseKey key;
  std::optional<IpAddress> wanted = {};  // --ip: refused with the holder's name when taken
  std::string project = {};              // "": the pool's
  bool provisional = false;
  bool ephemeral = false;
};

class Ipam {
 public:
  // Mutations that wait for the disk; more are refused with ResourceExhausted.
  static constexpr size_t kMaxWaiting = 4096;
  // Mutations that share one transaction.
  static constexpr size_t kMaxBatch = 256;

  // `store` is used on `store_thread` only. Nothing may wait here when it is destroyed.
  Ipam(LeaseStore& store, io::Offload& store_thread, io::Proactor& worker, const Clock& clock);
  Ipam(const Ipam&) = delete;
  ~Ipam();

  // Reads pools and leases from the store. Once, before anything else; an error names the file and the way out.
  io::Task<Status> Load();

  // Makes or changes a pool. Refuses one that overlaps another pool, or that would strand leases (names them).
  io::Task<Status> PutPool(PoolSpec spec);
  // Refuses while the pool has leases, detached ones too: removing would forget whose addresses they are.
  io::Task<Status> RemovePool(std::string name);
  const PoolSpec* FindPool(std::string_view name) const;  // valid until the worker's next turn
  std::vector<PoolSpec> Pools() const;

  // The lease of the key: the one it has, or a new one; attached either way.
  // A new one gets, in this order: `wanted`; the address that the key had last, if that still rests; an address that
  // nobody had lately; the longest free one past its quarantine; that of the longest detached lease past its
  // quarantine, which ends. `wanted` beats the quarantine, never a lease. A detached lease moves to another `wanted` or
  // another pool; an attached one is refused there (FailedPrecondition).
  // Two live containers with one key are for the caller to tell apart: the second asks with `provisional`.
  io::Task<StatusOr<Lease>> Acquire(AcquireRequest request);
  // The endpoint is gone: the address stays the name's own (an ephemeral or provisional lease ends).
  io::Task<Status> Detach(std::string pool, IpAddress ip);
  // The engine told the name of a provisional lease, or renamed a container. Address and MAC do not change. When the new
  // key has a detached lease already, that lease ends in favour of the address in use; an attached one is refused
  // (AlreadyExists).
  io::Task<StatusOr<Lease>> Rename(std::string pool, IpAddress ip, LeaseKey key, std::string project);
  // The operator's word: forget the name. Refuses an attached lease; OK when there is none.
  io::Task<Status> Release(LeaseKey key);
  // Ends leases that have been detached longer than their pool retains. To be called now and then (a minute is fine).
  io::Task<Status> Expire();

  std::optional<Lease> Find(const LeaseKey& key) const;
  std::optional<Lease> FindByAddress(std::string_view pool, const IpAddress& ip) const;
  std::vector<Lease> Leases() const;  // by key
  // Who had the address, latest first, the present holder included. The store keeps kHistoryPerPool ended leases.
  io::Task<StatusOr<std::vector<HistoryEntry>>> History(std::string pool, IpAddress ip);

  struct PoolUsage {
    uint64_t size = 0;         // addresses that may be chosen; UINT64_MAX: so many or more
    uint64_t attached = 0;     // leases
    uint64_t detached = 0;     // leases
    uint64_t quarantined = 0;  // addresses without lease that no other name gets yet
    uint64_t reserved = 0;     // addresses of the prefixes that are not chosen: gateway, excluded, outside the ranges
  };
  PoolUsage Usage(std::string_view pool) const;

  // Called on the worker after each durable change, before the task that made it completes; `gone` when the lease ended.
  void SetListener(std::function<void(const Lease&, bool gone)> listener);

  struct Stats {
    uint64_t commits = 0;     // transactions
    uint64_t mutations = 0;   // that they carried, or that needed no write
    uint64_t failures = 0;    // transactions that failed
    uint64_t reloads = 0;     // of the store, after a failure of unknown outcome
    uint64_t overflows = 0;   // mutations refused at kMaxWaiting
  };
  const Stats& stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::ipam
