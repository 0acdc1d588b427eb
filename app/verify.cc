#include "app/verify.h"

#include <algorithm>
#include <tuple>

#include "app/engine_networks.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

// A container at an address of one of our pools.
struct Place {
  const runtime::ContainerSummary* container;
  std::string network, name;          // canonical
  std::string pool;
  IpAddress ip;
};

using Address = std::pair<std::string, IpAddress>;  // pool and address

// Docker's own endpoint ids; those of other engines have other forms.
bool IsDockerId(std::string_view id) {
  return id.size() == 64 && std::ranges::all_of(id, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// The engine's auxiliary addresses are excluded beside what the file excludes.
bool SameAsFiled(ipam::PoolSpec pool, const ipam::PoolSpec& filed) {
  for (size_t i = 0; i < pool.prefixes.size() && i < filed.prefixes.size(); i++)
    std::erase_if(pool.prefixes[i].exclude, [&](const IpAddress& ip) {
      return std::ranges::find(filed.prefixes[i].exclude, ip) == filed.prefixes[i].exclude.end();
    });
  return pool == filed;
}

class Finder {
 public:
  explicit Finder(const Snapshot& snapshot) : snapshot_(snapshot) {
    for (const runtime::NetworkDetails& network : snapshot.networks) networks_[network.name] = &network;
    for (const ipam::PoolSpec& pool : snapshot.pools) pools_[pool.name] = &pool;
    for (const ipam::Lease& lease : snapshot.leases) leases_[{lease.pool, lease.ip}] = &lease;
    for (const runtime::ContainerSummary& container : snapshot.containers) {
      names_.insert(NameOfContainer(container));
      for (const runtime::NetworkAttachment& at : container.networks) {
        if (!at.endpoint_id.empty()) engine_endpoints_[at.endpoint_id] = &container;
        AddPlaces(container, at);
      }
    }
  }

  std::vector<Drift> Find() {
    FindLeft();
    FindPlaces();
    FindForeign();
    FindInterfaces();
    FindNetworks();
    FindPools();
    std::ranges::sort(drifts_, {}, [](const Drift& drift) { return std::tie(drift.kind, drift.where, drift.what); });
    return std::move(drifts_);
  }

 private:
  static std::string NameOfContainer(const runtime::ContainerSummary& container) {
    return ipam::CanonicalName(container.name, runtime::IsCompose(container.labels));
  }

  void AddPlaces(const runtime::ContainerSummary& container, const runtime::NetworkAttachment& at) {
    auto network = networks_.find(at.network);
    for (const IpAddress& ip : {at.ipv4.address, at.ipv6.address}) {
      if (!ip.is_set()) continue;
      used_.insert(ip);
      if (network == networks_.end()) continue;
      for (const std::string& name : PoolsOf(*network->second, snapshot_.driver)) {
        auto pool = pools_.find(name);
        if (pool == pools_.end() || pool->second->PrefixOf(ip) == nullptr) continue;
        places_[{name, ip}].push_back({&container, at.network, NameOfContainer(container), name, ip});
      }
    }
  }

  Drift& Add(DriftKind kind, std::string where, std::string what, std::string repair, bool safe) {
    drifts_.push_back({.kind = kind, .where = std::move(where), .what = std::move(what), .repair = std::move(repair), .safe = safe});
    return drifts_.back();
  }

  // Of networks that the engine has, or has no longer; those of other engines are theirs.
  void FindLeft() {
    for (const ipam::Lease& lease : snapshot_.leases) {
      if (lease.observed && !names_.contains(lease.key.name) && lease.key.scope == snapshot_.node) {
        Add(DriftKind::kObservedGone, lease.key.ToString(), Cat("adopted with ", lease.ip.ToString(), ", and its container is gone"),
            Cat("keep it, or: fairlead ip release ", lease.key.name, " --network ", lease.key.network), false);
        continue;
      }
      if (!lease.attached || used_.contains(lease.ip) || snapshot_.used_elsewhere(lease.ip)) continue;
      Drift& drift = Add(DriftKind::kLeaseLeft, lease.key.ToString(),
                         Cat("attached at ", lease.ip.ToString(), ", and no container of the engine is there"),
                         lease.provisional ? "end the provisional lease" : "detach it: the address stays the name's", true);
      drift.lease = lease;
      // Whoever may be on the way to this address: its own container, or of an unnamed lease anybody who is not running.
      for (const runtime::ContainerSummary& container : snapshot_.containers)
        if (NameOfContainer(container) == lease.key.name) drift.container_id = container.id;
    }
  }

  void FindPlaces() {
    for (const auto& [address, there] : places_) {
      if (there.size() > 1) {
        std::string names;
        for (const Place& place : there) names += Cat(names.empty() ? "" : " and ", place.name);
        Add(DriftKind::kTwoAtOneAddress, Cat(address.first, "/", address.second.ToString()), Cat(names, " run at one address"),
            Cat("docker restart ", there.back().container->name), false);
        continue;
      }
      auto lease = leases_.find(address);
      if (lease == leases_.end()) {
        WithoutLease(there.front());
      } else {
        WithLease(there.front(), *lease->second);
      }
    }
  }

  ipam::LeaseKey KeyOf(const Place& place) const {
    auto pool = pools_.find(place.pool);
    bool fleet = pool != pools_.end() && pool->second->fleet_names;
    return {place.network, fleet ? "fleet" : snapshot_.node, place.name, place.ip.is_v6()};
  }

  Drift& AddPlace(DriftKind kind, const Place& place, std::string what, std::string repair, bool safe) {
    Drift& drift = Add(kind, Cat(place.network, "/", place.name, " at ", place.ip.ToString()), std::move(what), std::move(repair), safe);
    drift.key = KeyOf(place);
    drift.pool = place.pool;
    drift.ip = place.ip;
    drift.container_id = place.container->id;
    drift.project = runtime::ProjectOf(place.container->labels);
    return drift;
  }

  void WithoutLease(const Place& place) {
    AddPlace(DriftKind::kContainerWithoutLease, place, "runs at an address that has no lease", "lease it to the container", true);
  }

  void WithLease(const Place& place, const ipam::Lease& lease) {
    const std::string ip = lease.ip.ToString();
    if (lease.stand_in_for == place.name) {
      AddPlace(DriftKind::kStandIn, place, Cat(ip, " stands in: its own address waits for its next start"),
               Cat("docker restart ", place.container->name), false);
    } else if (lease.provisional && lease.stand_in_for.empty()) {
      AddPlace(DriftKind::kLeaseUnnamed, place, Cat("its lease of ", ip, " is provisional"), "give the lease its name", true).lease = lease;
    } else if (lease.key.name != place.name || lease.key.network != place.network) {
      AddPlace(DriftKind::kAnothersLease, place, Cat(ip, " is ", lease.key.ToString(), "'s"),
               Cat("docker restart ", place.container->name, " (it starts at its own address)"), false);
    } else if (!lease.attached && !lease.observed) {
      AddPlace(DriftKind::kLeaseDetached, place, Cat("its lease of ", ip, " is detached while it runs"), "attach it", true).lease = lease;
    }
  }

  void FindForeign() {
    for (const ipam::ForeignAddress& foreign : snapshot_.foreign) {
      auto lease = leases_.find({foreign.pool, foreign.ip});
      std::string whose = lease == leases_.end() ? "" : Cat("; it is ", lease->second->key.ToString(), "'s");
      Add(DriftKind::kForeign, Cat(foreign.pool, "/", foreign.ip.ToString()),
          Cat(foreign.by.ToString(), " outside answers at ", foreign.ip.ToString(), whose),
          Cat("find ", foreign.by.ToString(), " at the switch, or: fairlead pool update ", foreign.pool, " --exclude ",
              foreign.ip.ToString()), false).ip = foreign.ip;
    }
  }

  void FindInterfaces() {
    if (!snapshot_.kernel_endpoints) return;
    std::set<std::string_view> kernel(snapshot_.kernel_endpoints->begin(), snapshot_.kernel_endpoints->end());
    std::set<std::string_view> known;
    for (const runtime::EndpointRecord& endpoint : snapshot_.records.endpoints) {
      known.insert(endpoint.id);
      if (endpoint.interface_name.empty() || kernel.contains(endpoint.id)) continue;
      auto container = engine_endpoints_.find(endpoint.id);
      bool lives = container != engine_endpoints_.end();
      std::string at = endpoint.addresses.empty() ? "" : Cat(" of ", endpoint.addresses[0].address.ToString());
      Add(DriftKind::kEndpointInterface, endpoint.id.substr(0, 12), Cat("the interface", at, " is gone from the kernel"),
          lives ? Cat("docker restart ", container->second->name) : "forget the endpoint, detach its lease", !lives).id = endpoint.id;
    }
    for (std::string_view id : kernel) {
      if (known.contains(id) || engine_endpoints_.contains(std::string(id)) || !IsDockerId(id)) continue;
      Add(DriftKind::kKernelEndpoint, std::string(id.substr(0, 12)), "an interface of ours in the kernel, of no container",
          "remove the interface", true).id = id;
    }
  }

  void FindNetworks() {
    std::set<std::string_view> in_engine, recorded, busy;
    for (const runtime::NetworkDetails& network : snapshot_.networks) in_engine.insert(network.id);
    for (const runtime::EndpointRecord& endpoint : snapshot_.records.endpoints) busy.insert(endpoint.network_id);
    for (const runtime::NetworkRecord& network : snapshot_.records.networks) {
      recorded.insert(network.id);
      const std::string& name = network.name.empty() ? network.id : network.name;
      if (!in_engine.contains(network.id)) {
        bool empty = !busy.contains(network.id);
        Add(DriftKind::kNetworkRecord, name, "the engine has this network no longer",
            empty ? "forget it, remove its bridge" : "its endpoints come first", empty).id = network.id;
      } else if (snapshot_.missing_bridges.contains(network.id)) {
        Add(DriftKind::kBridge, name, "its bridge is gone from the kernel", "make it again", true).id = network.id;
      }
    }
    for (const runtime::NetworkDetails& network : snapshot_.networks) {
      if (network.driver != snapshot_.driver || recorded.contains(network.id)) continue;
      std::vector<std::string> pools = PoolsOf(network, snapshot_.driver);
      Add(DriftKind::kNetworkUnknown, network.name, "the engine has it, the plugin does not know it: its containers cannot start",
          Cat("fairlead network rm ", network.name, " && fairlead network create ", network.name, " --pool ",
              pools.empty() ? "POOL" : pools[0], " (names keep their addresses)"), false);
    }
  }

  void FindPools() {
    for (const ipam::PoolSpec& filed : snapshot_.file_pools) {
      auto pool = pools_.find(filed.name);
      if (pool != pools_.end() && SameAsFiled(*pool->second, filed)) continue;
      Add(DriftKind::kPoolOfFile, filed.name,
          pool == pools_.end() ? "is in the configuration, the agent does not have it" : "differs from the configuration",
          "systemctl restart fairlead-agent (containers and their addresses stay)", false);
    }
  }

  const Snapshot& snapshot_;
  std::map<std::string, const runtime::NetworkDetails*, std::less<>> networks_;
  std::map<std::string, const ipam::PoolSpec*, std::less<>> pools_;
  std::map<Address, const ipam::Lease*> leases_;
  std::map<Address, std::vector<Place>> places_;
  std::map<std::string, const runtime::ContainerSummary*, std::less<>> engine_endpoints_;
  std::set<std::string> names_;
  std::set<IpAddress> used_;
  std::vector<Drift> drifts_;
};

}  // namespace

std::string_view NameOf(DriftKind kind) {
  switch (kind) {
    case DriftKind::kLeaseLeft: return "lease-left";
    case DriftKind::kContainerWithoutLease: return "no-lease";
    case DriftKind::kLeaseDetached: return "lease-detached";
    case DriftKind::kLeaseUnnamed: return "lease-unnamed";
    case DriftKind::kAnothersLease: return "anothers-lease";
    case DriftKind::kTwoAtOneAddress: return "two-at-one-address";
    case DriftKind::kStandIn: return "stand-in";
    case DriftKind::kObservedGone: return "observed-gone";
    case DriftKind::kForeign: return "foreign";
    case DriftKind::kKernelEndpoint: return "unknown-interface";
    case DriftKind::kEndpointInterface: return "interface-gone";
    case DriftKind::kNetworkRecord: return "network-gone";
    case DriftKind::kNetworkUnknown: return "network-unknown";
    case DriftKind::kBridge: return "bridge-gone";
    case DriftKind::kPoolOfFile: return "pool-differs";
  }
  return "unknown";
}

std::vector<Drift> FindDrifts(const Snapshot& snapshot) { return Finder(snapshot).Find(); }

}  // namespace fairlead::app
