// Reconciler takes the snapshot that verify.h judges, and repairs what is safe to repair: level-triggered, after each
// whole list of the engine, each minute and on the operator's demand (`fairlead verify [--repair]`). By itself it repairs
// only what was so for kSettled already; what is just being started or stopped looks like a drift for a moment.
//
// Nothing is repaired on stale knowledge: leases are read before the engine's lists, a lease that changed since is left
// alone, and before the lease of a stopped container is detached the engine is asked whether it is being started.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "app/agent_api.h"
#include "app/operator_parts.h"
#include "app/verify.h"

namespace fairlead::app {

class Reconciler {
 public:
  static constexpr Nanos kSettled = 50 * kSecond;
  static constexpr Nanos kInspectTimeout = 2 * kSecond;
  static constexpr Nanos kListTimeout = 30 * kSecond;

  // The plugin's and the kernel's side.
  struct Host {
    std::function<runtime::PluginStore::Contents()> records;
    std::function<io::Task<StatusOr<std::vector<std::string>>>()> kernel_endpoints;
    // Ids of those networks whose bridge is not in the kernel.
    std::function<io::Task<std::set<std::string>>(std::vector<runtime::NetworkRecord>)> missing_bridges;
    std::function<io::Task<Status>(std::string id)> remove_interface, forget_endpoint, forget_network, restore_network;
    std::function<StatusOr<std::vector<ipam::PoolSpec>>()> file_pools;
    std::function<bool(const IpAddress&)> used_elsewhere = [](const IpAddress&) { return false; };
  };
  struct Repair {
    Drift drift;
    Status outcome;                    // OK: repaired
  };
  struct Stats {
    uint64_t runs = 0, unread = 0, repairs = 0, failures = 0;  // unread: a side could not be read
    std::map<DriftKind, uint64_t> by_kind = {};                // drifts of the last run; each kind that there ever was
  };

  Reconciler(OperatorParts parts, Host host) : parts_(std::move(parts)), host_(std::move(host)) {}
  void AddTo(AgentApi& api);

  // Everything that differs now. An error: a side could not be read, so nothing is known.
  io::Task<StatusOr<std::vector<Drift>>> Verify();
  // Repairs what is safe; what is not comes with the reason. One run at a time.
  io::Task<StatusOr<std::vector<Repair>>> RepairAll();
  // Without anybody asking: repairs what has been so for kSettled. Failures are logged.
  io::Task<void> Reconcile();

  const Stats& stats() const { return stats_; }

 private:
  io::Task<StatusOr<nlohmann::json>> ShowDrifts();
  io::Task<StatusOr<nlohmann::json>> ShowRepairs();
  io::Task<StatusOr<Snapshot>> Take();
  io::Task<Status> RepairOne(Drift drift);
  io::Task<Status> DetachLeft(Drift drift);
  io::Task<Status> GiveLease(Drift drift);
  void RememberSince(std::vector<Drift>& drifts);

  OperatorParts parts_;
  Host host_;
  std::map<std::pair<DriftKind, std::string>, Nanos> since_;
  bool repairing_ = false;
  Stats stats_;
};

}  // namespace fairlead::app
