#include "app/reconciler.h"

#include "app/api_reply.h"
#include "app/wall_time.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

json DriftJson(const Drift& drift) {
  return {{"kind", NameOf(drift.kind)}, {"where", drift.where},   {"what", drift.what},
          {"repair", drift.repair},     {"safe", drift.safe},     {"since", FormatTime(drift.since_wall)}};
}

json DriftsJson(const std::vector<Drift>& drifts) {
  json rows = json::array();
  for (const Drift& drift : drifts) rows.push_back(DriftJson(drift));
  return rows;
}

bool MayRun(const std::string& state) { return state == "running" || state == "paused" || state == "restarting"; }

}  // namespace

void Reconciler::AddTo(AgentApi& api) {
  api.AddPage("/v1/verify", [this](ApiCall) { return ShowDrifts(); });
  api.AddChange("POST", "/v1/verify", "verify --repair", [this](ApiCall) { return ShowRepairs(); });
}

io::Task<StatusOr<json>> Reconciler::ShowDrifts() {
  CO_ASSIGN_OR_RETURN(std::vector<Drift> drifts, co_await Verify());
  co_return DriftsJson(drifts);
}

io::Task<StatusOr<json>> Reconciler::ShowRepairs() {
  CO_ASSIGN_OR_RETURN(std::vector<Repair> repairs, co_await RepairAll());
  json rows = json::array();
  for (const Repair& repair : repairs) {
    json row = DriftJson(repair.drift);
    row["repaired"] = repair.outcome.ok();
    row["outcome"] = repair.outcome.ok() ? "done" : Message(repair.outcome);
    rows.push_back(std::move(row));
  }
  CO_ASSIGN_OR_RETURN(std::vector<Drift> left, co_await Verify());
  co_return json{{"repairs", std::move(rows)}, {"left", DriftsJson(left)}};
}

io::Task<StatusOr<Snapshot>> Reconciler::Take() {
  Snapshot snapshot{.node = parts_.node, .driver = parts_.driver, .leases = parts_.ipam.Leases(),
                    .foreign = parts_.ipam.Foreign(), .pools = parts_.ipam.Pools(), .records = host_.records(),
                    .used_elsewhere = host_.used_elsewhere};
  if (auto filed = host_.file_pools(); filed.ok()) {
    snapshot.file_pools = *std::move(filed);
  } else {
    co_return WithContext(filed.status(), "verify: ");
  }
  auto endpoints = co_await host_.kernel_endpoints();
  if (!endpoints.ok()) co_return WithContext(endpoints.status(), "verify: the kernel's interfaces are not known: ");
  snapshot.kernel_endpoints = *std::move(endpoints);
  snapshot.missing_bridges = co_await host_.missing_bridges(snapshot.records.networks);
  const Nanos deadline = parts_.proactor.Now() + kListTimeout;
  auto networks = co_await parts_.engine.ListNetworks(deadline);
  if (!networks.ok()) co_return WithContext(networks.status(), "verify: the engine's networks are not known: ");
  snapshot.networks = *std::move(networks);
  auto containers = co_await parts_.engine.ListContainers(deadline);
  if (!containers.ok()) co_return WithContext(containers.status(), "verify: the engine's containers are not known: ");
  snapshot.containers = *std::move(containers);
  co_return snapshot;
}

void Reconciler::RememberSince(std::vector<Drift>& drifts) {
  std::map<std::pair<DriftKind, std::string>, Nanos> still;
  for (Drift& drift : drifts) {
    auto before = since_.find({drift.kind, drift.where});
    drift.since_wall = before == since_.end() ? parts_.clock.WallNow() : before->second;
    still[{drift.kind, drift.where}] = drift.since_wall;
  }
  since_ = std::move(still);
}

io::Task<StatusOr<std::vector<Drift>>> Reconciler::Verify() {
  StatusOr<Snapshot> snapshot = co_await Take();
  if (!snapshot.ok()) stats_.unread++;
  if (!snapshot.ok()) co_return snapshot.status();
  std::vector<Drift> drifts = FindDrifts(*snapshot);
  // What changed while the engine was listed is judged the next time.
  std::erase_if(drifts, [&](const Drift& drift) {
    if (!drift.lease) return false;
    auto now = parts_.ipam.Find(drift.lease->key);
    return !now || now->revision != drift.lease->revision;
  });
  RememberSince(drifts);
  stats_.runs++;
  for (auto& [kind, count] : stats_.by_kind) count = 0;
  for (const Drift& drift : drifts) stats_.by_kind[drift.kind]++;
  co_return drifts;
}

io::Task<StatusOr<std::vector<Reconciler::Repair>>> Reconciler::RepairAll() {
  if (repairing_) co_return Error(StatusCode::kAborted, "a repair is under way already; try again");
  repairing_ = true;
  auto drifts = co_await Verify();
  std::vector<Repair> repairs;
  if (drifts.ok()) {
    for (const Drift& drift : *drifts) {
      Status outcome = drift.safe ? co_await RepairOne(drift) : FailedPrecondition("a person is to do this: ", drift.repair);
      repairs.push_back({drift, std::move(outcome)});
    }
  }
  repairing_ = false;
  if (!drifts.ok()) co_return drifts.status();
  co_return repairs;
}

io::Task<void> Reconciler::Reconcile() {
  if (repairing_) co_return;
  repairing_ = true;
  auto drifts = co_await Verify();
  if (!drifts.ok()) LOG(kWarning, "not verified", {"because", Message(drifts.status())});
  const Nanos before = parts_.clock.WallNow() - kSettled;
  if (drifts.ok()) {
    for (const Drift& drift : *drifts)
      if (drift.safe && drift.since_wall <= before) (void)co_await RepairOne(drift);
  }
  repairing_ = false;
}

io::Task<Status> Reconciler::RepairOne(Drift drift) {
  Status outcome;
  switch (drift.kind) {
    case DriftKind::kLeaseLeft: outcome = co_await DetachLeft(drift); break;
    case DriftKind::kContainerWithoutLease:
    case DriftKind::kLeaseDetached: outcome = co_await GiveLease(drift); break;
    case DriftKind::kLeaseUnnamed:
      outcome = (co_await parts_.ipam.Rename(drift.pool, drift.ip, drift.key, drift.project)).status();
      break;
    case DriftKind::kKernelEndpoint: outcome = co_await host_.remove_interface(drift.id); break;
    case DriftKind::kEndpointInterface: outcome = co_await host_.forget_endpoint(drift.id); break;
    case DriftKind::kNetworkRecord: outcome = co_await host_.forget_network(drift.id); break;
    case DriftKind::kBridge: outcome = co_await host_.restore_network(drift.id); break;
    default: co_return FailedPrecondition("a person is to do this: ", drift.repair);
  }
  (outcome.ok() ? stats_.repairs : stats_.failures)++;
  LOG(kInfo, "drift repaired", {"kind", NameOf(drift.kind)}, {"where", drift.where},
      {"outcome", outcome.ok() ? std::string_view("done") : Message(outcome)});
  co_return outcome;
}

io::Task<Status> Reconciler::DetachLeft(Drift drift) {
  const ipam::Lease& lease = *drift.lease;
  if (lease.provisional && parts_.clock.WallNow() - lease.since_wall < kSettled)
    co_return FailedPrecondition("whoever asked for it may be starting; try again in a minute");
  if (!drift.container_id.empty()) {
    auto container = co_await parts_.engine.InspectContainer(drift.container_id, parts_.proactor.Now() + kInspectTimeout);
    if (container.ok() ? MayRun(container->state) : container.status().code() != StatusCode::kNotFound)
      co_return FailedPrecondition("its container is being started or stopped; try again");
  }
  auto now = parts_.ipam.Find(lease.key);
  if (!now || now->revision != lease.revision) co_return OkStatus();  // it went on meanwhile
  co_return co_await parts_.ipam.Detach(lease.pool, lease.ip);
}

// The container has the address already, so the lease follows. A name whose own address is another keeps that: the one
// in use is its stand-in then.
io::Task<Status> Reconciler::GiveLease(Drift drift) {
  auto own = parts_.ipam.Find(drift.key);
  ipam::AcquireRequest request{.pool = drift.pool, .key = drift.key, .wanted = drift.ip, .project = drift.project,
                               .node = parts_.node, .site = parts_.site};
  const bool stands_in = own && own->ip != drift.ip;
  if (stands_in) {
    request.key.name = Cat("~", drift.ip.ToString());
    request.provisional = true;
  }
  auto lease = co_await parts_.ipam.Acquire(std::move(request));
  if (!lease.ok() || !stands_in) co_return lease.status();
  co_return co_await parts_.ipam.StandIn(drift.pool, drift.ip, drift.key.name);
}

}  // namespace fairlead::app
