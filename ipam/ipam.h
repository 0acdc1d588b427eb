// Addresses that belong to names. A lease ties (network, scope, canonical container name) to an address of a pool; it
// outlives the container for the pool's `retain`, so that the same name gets the same address again.
// Everything here runs on one worker; durable work goes to the LeaseStore's thread (base/io/offload.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/io/offload.h"
#include "base/net/ip_address.h"
#include "base/random.h"
#include "base/status.h"

namespace fairlead::ipam {

struct LeaseKey {
  std::string network;  // as the engine calls it, not its id
  std::string scope;    // the node, or "fleet"
  std::string name;     // canonical container name
  friend auto operator<=>(const LeaseKey&, const LeaseKey&) = default;
  friend bool operator==(const LeaseKey&, const LeaseKey&) = default;
  std::string ToString() const;  // "shopnet/host1/web-1"
};

// "0123456789ab_shop-web-1" becomes "shop-web-1" for a container of compose (contract, "Whose address").
std::string CanonicalName(std::string_view raw, bool compose);
// Locally administered, derived from the key: the same name has the same MAC for ever.
MacAddress MacOf(const LeaseKey& key);

struct PrefixSpec {
  Prefix prefix;
  IpAddress gateway;                                   // unset: the first address
  std::vector<std::pair<IpAddress, IpAddress>> ranges;  // inclusive; empty: all of it
  std::vector<IpAddress> exclude;
};

struct PoolSpec {
  std::string name;
  std::string project;
  uint32_t quota = 0;                                  // leases; 0: none
  bool fleet_names = false;                            // names: fleet
  Nanos retain = 168 * kHour;                          // kNever: for ever
  Nanos quarantine = 60 * kSecond;
  std::vector<PrefixSpec> prefixes;
  // Refuses: no prefix, prefixes that overlap each other, ranges or excludes outside, gateway outside.
  Status Validate() const;
};

struct Lease {
  LeaseKey key;
  std::string pool;
  IpAddress ip;
  int prefix_length = 0;
  IpAddress gateway;
  MacAddress mac;
  std::string project;
  bool attached = false;
  bool provisional = false;   // made before the engine told the name; key.name is a placeholder then
  bool ephemeral = false;     // --rm and one-off containers: ends with its endpoint
  uint64_t revision = 0;      // of its last write
  Nanos since_wall = 0;       // of the present state (attached or detached)
};

struct AcquireRequest {
  std::string pool;
  LeaseKey key;
  std::optional<IpAddress> wanted;  // --ip: refused with the holder's name when taken
  std::string project;
  bool provisional = false;
  bool ephemeral = false;
};

class LeaseStore;  // ipam/lease_store.h

class Ipam {
 public:
  // `store` is used on `store_thread` only.
  Ipam(LeaseStore& store, io::Offload& store_thread, io::Proactor& worker, const Clock& clock);
  ~Ipam();

  // Reads pools and leases from the store. Once, before anything else; an error names the file and the way out.
  io::Task<Status> Load();

  // Makes or changes a pool. Refuses one that overlaps another pool, or that would strand leases (names them).
  io::Task<Status> PutPool(PoolSpec spec);
  io::Task<Status> RemovePool(std::string name);
  const PoolSpec* FindPool(std::string_view name) const;
  std::vector<PoolSpec> Pools() const;

  // The lease of the key: the one it has, or a new one; attached either way. Idempotent. Durable when it completes.
  // A full pool takes the address of the longest detached lease that is past its quarantine.
  io::Task<StatusOr<Lease>> Acquire(AcquireRequest request);
  // The endpoint is gone: the address stays the name's own (an ephemeral or provisional lease ends). Idempotent.
  io::Task<Status> Detach(std::string pool, IpAddress ip);
  // The engine told the name of a provisional lease, or renamed a container. The address does not change. When the new
  // key has a detached lease already, that lease is dropped in favour of the address in use.
  io::Task<StatusOr<Lease>> Rename(std::string pool, IpAddress ip, LeaseKey key, std::string project);
  io::Task<Status> Release(LeaseKey key);  // the operator's word: forget the name
  std::optional<Lease> Find(const LeaseKey& key) const;
  std::optional<Lease> FindByAddress(std::string_view pool, const IpAddress& ip) const;
  std::vector<Lease> Leases() const;

  struct PoolUsage {
    uint64_t size = 0, attached = 0, detached = 0, quarantined = 0, reserved = 0;
  };
  PoolUsage Usage(std::string_view pool) const;

  // Called on the worker after each durable change; `gone` when the lease ended.
  void SetListener(std::function<void(const Lease&, bool gone)> listener);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::ipam
