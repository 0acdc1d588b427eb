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
  std::optional<Prefix> within = {};     // one prefix of the pool: the address must be of it
  std::string node = {}, site = {};      // who asks: prefixes of other nodes and sites are not given
};

struct ReserveRequest {
  std::string pool;
  LeaseKey key;
  std::optional<IpAddress> wanted = {};
  std::string project = {};              // "": the pool's
  bool observed = false;                 // a network that is not ours holds it
  std::string node = {}, site = {};
};

class Ipam {
 public:
  // Mutations that wait for the disk; more are refused with ResourceExhausted.
  static constexpr size_t kMaxWaiting = 4096;
  // Mutations that share one transaction.
  static constexpr size_t kMaxBatch = 256;
  // An address that somebody outside answered at is not given for so long; then it is probed anew.
  static constexpr Nanos kForeignRest = 10 * kMinute;
  // Such addresses remembered per pool. Beyond it one only has its quarantine: a LAN where everything answers takes no
  // more memory than this.
  static constexpr size_t kMaxForeign = 4096;

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
  // quarantine, which ends (but see SetConfigured). `wanted` beats the quarantine, never a lease. A detached lease moves
  // to another `wanted` or another pool; an attached one is refused there, and one that is not `within` (FailedPrecondition).
  // Of several prefixes with an address that nobody had lately the one in the L2 domain with the fewest leases is
  // chosen, in that the one with the most free addresses; never one that has reached its max_endpoints.
  // Two live containers with one key are for the caller to tell apart: the second asks with `provisional`.
  io::Task<StatusOr<Lease>> Acquire(AcquireRequest request);
  // The endpoint is gone: the address stays the name's own (an ephemeral or provisional lease ends).
  io::Task<Status> Detach(std::string pool, IpAddress ip);
  // The engine told the name of a provisional lease, or renamed a container. Address and MAC do not change. When the new
  // key has a detached lease already, that lease ends in favour of the address in use; an attached one is refused
  // (AlreadyExists).
  io::Task<StatusOr<Lease>> Rename(std::string pool, IpAddress ip, LeaseKey key, std::string project);
  // The operator's word: the lease is the key's before its container exists, and stays its own whatever ends. A new one
  // is detached and gets its address as by Acquire; one that is there is marked.
  io::Task<StatusOr<Lease>> Reserve(ReserveRequest request);
  // The provisional lease at the address stands in for `name`, whose own address waits for its next start.
  io::Task<Status> StandIn(std::string pool, IpAddress ip, std::string name);
  // Somebody outside answered when the address was probed for its first use: the lease ends, or is detached where it is
  // reserved or observed (one that has been in use stays as it is). Nobody new is given the address for kForeignRest.
  // Not durable: a restart probes anew. An answer by the MAC of the lease itself changes nothing.
  io::Task<Status> MarkForeign(std::string pool, IpAddress ip, MacAddress by);
  std::vector<ForeignAddress> Foreign() const;  // by pool and address
  // The operator's word: forget the name. Refuses an attached lease; OK when there is none.
  io::Task<Status> Release(LeaseKey key);
  // The same for all leases of the pool ("": of all pools) that are detached for `idle` and not reserved; gives them.
  io::Task<StatusOr<std::vector<Lease>>> Reclaim(std::string pool, Nanos idle);
  // Ends leases that have been detached longer than their pool retains, and forgets what is older than kHistoryFor. To be
  // called now and then (a minute is fine).
  io::Task<Status> Expire();

  std::optional<Lease> Find(const LeaseKey& key) const;
  std::optional<Lease> FindByAddress(std::string_view pool, const IpAddress& ip) const;
  std::vector<Lease> Leases() const;  // by key
  // Who had the address, latest first, the present holder included.
  io::Task<StatusOr<std::vector<HistoryEntry>>> History(std::string pool, IpAddress ip);

  // Each address of the pool's prefixes is exactly one of these seven; UINT64_MAX: so many or more.
  struct PoolUsage {
    uint64_t free = 0;
    uint64_t attached = 0;
    uint64_t detached = 0;     // retained for their names
    uint64_t reserved = 0;     // detached, and kept by the operator's word or as observed
    uint64_t quarantined = 0;  // without lease, and no other name gets them yet
    uint64_t foreign = 0;      // somebody outside has them
    uint64_t excluded = 0;     // never chosen: gateway, excluded, outside the ranges
    uint64_t size = 0;         // those that may be chosen: all but the excluded
  };
  PoolUsage Usage(std::string_view pool) const;

  // Called on the worker after each durable change, before the task that made it completes; `gone` when the lease ended.
  void SetListener(std::function<void(const Lease&, bool gone)> listener);

  // Tells of a detached lease whether a container that exists is configured with its address: the engine will ask for just
  // that one. Neither need of room nor retention ends such a lease; the operator's word does. Asked on the worker.
  // nullptr: none is.
  void SetConfigured(std::function<bool(const Lease&)> configured);

  struct Stats {
    uint64_t commits = 0;     // transactions
    uint64_t mutations = 0;   // that they carried, or that needed no write
    uint64_t failures = 0;    // transactions that failed
    uint64_t reloads = 0;     // of the store, after a failure of unknown outcome
    uint64_t overflows = 0;   // mutations refused at kMaxWaiting
    uint64_t foreign_overflows = 0;  // foreign addresses not remembered at kMaxForeign
  };
  const Stats& stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::ipam
