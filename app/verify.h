// What differs between what should be and what is: leases, the engine's containers and networks, the kernel's interfaces
// and the plugin's records side by side. Plain logic on a snapshot; app/reconciler.h takes the snapshot and repairs.
//
// Nothing is freed by absence alone: a lease that nobody uses is detached, and stays its name's.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ipam/ipam.h"
#include "runtime-shim/engine.h"
#include "runtime-shim/plugin_store.h"

namespace fairlead::app {

// In the order in which it is read: leases before the engine's lists, so that what the lists lack was there before.
struct Snapshot {
  std::string node, driver = "fairlead";
  std::vector<ipam::Lease> leases = {};
  std::vector<ipam::ForeignAddress> foreign = {};
  std::vector<ipam::PoolSpec> pools = {};
  std::vector<ipam::PoolSpec> file_pools = {};           // as the configuration's files say now
  runtime::PluginStore::Contents records = {};
  std::optional<std::vector<std::string>> kernel_endpoints = {};  // unset: not known
  std::set<std::string> missing_bridges = {};            // ids of network records whose bridge is not in the kernel
  std::vector<runtime::ContainerSummary> containers = {};
  std::vector<runtime::NetworkDetails> networks = {};
  // A container of another engine (CNI, netavark) has the address.
  std::function<bool(const IpAddress&)> used_elsewhere = [](const IpAddress&) { return false; };
};

enum class DriftKind {
  kLeaseLeft,             // attached, and no container is there
  kContainerWithoutLease,
  kLeaseDetached,         // its own container runs there
  kLeaseUnnamed,          // provisional, though the engine tells whose it is
  kAnothersLease,         // a container runs at an address that is another name's
  kTwoAtOneAddress,
  kStandIn,               // a container runs at a stand-in: its own address waits
  kObservedGone,          // adopted, and its container is gone
  kForeign,               // somebody outside answers at an address of a pool
  kKernelEndpoint,        // an interface of ours that nobody knows
  kEndpointInterface,     // an endpoint whose interface is gone
  kNetworkRecord,         // a network that the engine has no longer
  kNetworkUnknown,        // a network of ours in the engine that the plugin does not know
  kBridge,                // a network's bridge is gone
  kPoolOfFile,            // the file says otherwise than the agent has it
};
std::string_view NameOf(DriftKind kind);  // "lease-left"

struct Drift {
  DriftKind kind;
  std::string where;      // lease, network, interface: with the kind what tells a drift from others
  std::string what;       // for people
  std::string repair;     // what a repair does, or the command that a person is to run
  bool safe = false;      // a repair does it by itself
  Nanos since_wall = 0;   // when it was seen first

  // What a repair works on.
  std::optional<ipam::Lease> lease = {};
  ipam::LeaseKey key = {};
  std::string pool = {}, project = {}, id = {}, container_id = {};
  IpAddress ip = {};
};

// All drifts, by kind and place.
std::vector<Drift> FindDrifts(const Snapshot& snapshot);

}  // namespace fairlead::app
