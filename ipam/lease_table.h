// LeaseTable is the state of Ipam in memory: pools, leases and their indexes, with one batch of changes on top that is
// either committed or rolled back as a whole. Rules live in ipam.cc, durability in the LeaseStore. One worker.
//
// Staged() and the allocators show the batch; Find*() and Leases() show what is durable.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipam/allocator.h"
#include "ipam/lease_store.h"

namespace fairlead::ipam {

struct Pool {
  PoolSpec spec;
  uint64_t revision = 0;
  Allocator allocator;
  struct Foreign {
    ForeignAddress seen;
    Nanos until = 0;  // monotonic: may be probed anew
  };
  std::map<IpAddress, Foreign> foreign = {};
};

// The same instant by both clocks: what is written down goes by the wall, what is waited for does not.
struct Moment {
  Nanos now = 0;  // monotonic
  Nanos wall = 0;
};

using Listener = std::function<void(const Lease&, bool gone)>;
using IsConfigured = std::function<bool(const Lease&)>;  // Ipam::SetConfigured

class LeaseTable {
 public:
  IsConfigured configured;  // unset: none is

  // Takes over what the store holds. DataLoss: it contradicts itself.
  Status Reset(StoredState state, const Moment& at);

  Pool* FindPool(std::string_view name);
  const std::map<std::string, Pool, std::less<>>& pools() const { return pools_; }
  void InstallPool(PoolSpec spec, uint64_t revision);  // nothing staged; the leases fit
  void ErasePool(std::string_view name);               // nothing staged; no leases

  const Lease* Staged(const LeaseKey& key) const;
  const Lease* StagedAt(const Pool& pool, const IpAddress& ip) const;
  // Makes or changes the lease of lease.key. An address that it had before and has no longer comes to rest.
  void Put(Lease lease, const Moment& at);
  // Ends the lease; its address comes to rest.
  void End(const LeaseKey& key, const Moment& at);
  // The lease goes from its key to the new one, address and all. The new key has no lease.
  void Rekey(const LeaseKey& from, Lease lease, const Moment& at);
  // A resting or foreign address may be chosen again like one that nobody had.
  void Forget(Pool& pool, const IpAddress& ip);
  // Somebody outside has the address; a lease there is a reserved one.
  void SetForeign(Pool& pool, const IpAddress& ip, MacAddress by, const Moment& at, Nanos rest);

  LeaseBatch Batch() const;                                   // the staged changes as a transaction
  void Commit(uint64_t revision, const Listener& listener);   // they are durable
  void Rollback();                                            // they are not

  std::optional<Lease> Find(const LeaseKey& key) const;
  std::optional<Lease> FindByAddress(std::string_view pool, const IpAddress& ip) const;
  std::vector<Lease> Leases() const;

 private:
  struct AddressUndo {
    Pool* pool;
    IpAddress ip;
    AddressUse before;
  };
  void Fill(const Pool& pool, Lease& lease) const;  // what the pool knows of it
  AddressUse UseOf(const Pool& pool, const Lease& lease, const Moment& at);
  void SetUse(Pool& pool, const IpAddress& ip, AddressUse use);
  void Remember(const LeaseKey& key);
  void Rest(const Lease& lease, const Moment& at);
  void Record(const Lease& lease, const Moment& at, Nanos rest_until_wall);

  std::map<std::string, Pool, std::less<>> pools_;
  std::map<LeaseKey, Lease> leases_;
  uint64_t order_ = 0;

  // The batch.
  std::map<LeaseKey, std::optional<Lease>> before_;  // of each changed key what is durable
  std::vector<AddressUndo> undo_;
  std::vector<HistoryEntry> ended_;
  std::vector<std::pair<Lease, bool>> events_;
};

}  // namespace fairlead::ipam
