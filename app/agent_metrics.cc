#include "app/agent_metrics.h"

namespace fairlead::app {
namespace {

using Counts = std::initializer_list<std::pair<const char*, uint64_t>>;

// A counter that its owner keeps elsewhere, and only ever raises.
void Carry(Counter& counter, uint64_t value) { counter.Add(value - counter.value()); }

void CarryAll(Metrics& metrics, const char* name, const char* help, const char* label, Counts counts, const MetricLabels& more = {}) {
  for (const auto& [what, count] : counts) {
    MetricLabels labels = more;
    labels.push_back({label, what});
    Carry(metrics.counter(name, help, labels), count);
  }
}

}  // namespace

void ScrapePools(const ipam::Ipam& ipam, Metrics& metrics) {
  for (const ipam::PoolSpec& pool : ipam.Pools()) {
    const ipam::Ipam::PoolUsage usage = ipam.Usage(pool.name);
    for (const auto& [state, count] : Counts{{"attached", usage.attached}, {"detached", usage.detached},
                                             {"quarantined", usage.quarantined}, {"reserved", usage.reserved},
                                             {"foreign", usage.foreign}, {"excluded", usage.excluded},
                                             {"free", usage.free}, {"size", usage.size}})
      metrics.gauge("fairlead_ipam_pool_addresses", "Addresses of a pool by state", {{"pool", pool.name}, {"state", state}})
          .Set(static_cast<double>(count));
  }
}

void ScrapeDocker(const runtime::DockerPlugin::Stats& plugin, Metrics& metrics) {
  CarryAll(metrics, "fairlead_engine_plugin_calls_total", "Calls of dockerd to the plugin; errors and timeouts are among all", "result",
           {{"all", plugin.calls}, {"error", plugin.errors}, {"timeout", plugin.timeouts}});
  CarryAll(metrics, "fairlead_engine_names_total", "How the name of who asked for an address was learned", "by",
           {{"told", plugin.names.told}, {"pin", plugin.names.pinned}, {"gate", plugin.gate.certain},
            {"single_candidate", plugin.finder.certain}, {"provisional", plugin.names.provisional}});
  CarryAll(metrics, "fairlead_engine_lease_changes_total", "Leases that were put right afterwards", "change",
           {{"renamed", plugin.names.renamed}, {"stand_in", plugin.names.stand_ins}, {"unclaimed", plugin.unclaimed}});
  CarryAll(metrics, "fairlead_pins_total", "Containers put on their network with their own address", "result",
           {{"pinned", plugin.pins.pinned}, {"nothing", plugin.pins.nothing}, {"running", plugin.pins.running},
            {"finished", plugin.pins.finished}, {"failed", plugin.pins.failures}, {"overflow", plugin.pins.overflows},
            {"unpinnable", plugin.pins.unpinnable}});
  CarryAll(metrics, "fairlead_start_gate_total", "Starts that the runtime announced, and requests for addresses matched to them", "result",
           {{"announced", plugin.gate.announced}, {"certain", plugin.gate.certain}, {"ambiguous", plugin.gate.ambiguous},
            {"late", plugin.gate.late}, {"overflow", plugin.gate.overflows}});
  ScrapeProbes("docker", plugin.giver, metrics);
}

void ScrapeWatch(const std::string& engine, const runtime::EngineWatcher::Stats& stats, Metrics& metrics) {
  CarryAll(metrics, "fairlead_engine_watch_total", "What passed between engine and agent to follow it", "what",
           {{"events", stats.events}, {"overflows", stats.overflows}, {"lists", stats.lists}, {"inspections", stats.inspections},
            {"streams", stats.streams}, {"errors", stats.errors}}, {{"engine", engine}});
}

void ScrapeProbes(const std::string& engine, const runtime::AddressGiver::Stats& stats, Metrics& metrics) {
  CarryAll(metrics, "fairlead_ipam_probes_total", "Probes of addresses before their first use; foreign and failed are among all", "result",
           {{"all", stats.probes}, {"foreign", stats.foreign}, {"failed", stats.failures}}, {{"engine", engine}});
}

void ScrapeAttachments(const runtime::Attachments::Stats& stats, size_t attachments, Metrics& metrics) {
  metrics.gauge("fairlead_attachments", "Interfaces and addresses of Podman and other users of CNI").Set(static_cast<double>(attachments));
  CarryAll(metrics, "fairlead_attachment_calls_total", "Calls of CNI and netavark", "result",
           {{"attached", stats.attached}, {"refused", stats.refused}, {"detached", stats.detached}});
}

void ScrapeReconciler(const Reconciler::Stats& stats, Metrics& metrics) {
  Carry(metrics.counter("fairlead_reconciler_runs_total", "Comparisons of leases, engine, kernel and records"), stats.runs);
  Carry(metrics.counter("fairlead_reconciler_unread_total", "Comparisons that a side could not be read for"), stats.unread);
  CarryAll(metrics, "fairlead_reconciler_repairs_total", "Repairs of what differed", "result",
           {{"done", stats.repairs}, {"failed", stats.failures}});
  for (const auto& [kind, count] : stats.by_kind)
    metrics.gauge("fairlead_reconciler_drifts", "What differed in the last comparison", {{"kind", std::string(NameOf(kind))}})
        .Set(static_cast<double>(count));
}

void ScrapeAudit(const AuditLog::Stats& stats, Metrics& metrics) {
  CarryAll(metrics, "fairlead_audit_entries_total", "Operators' changes and refusals", "result",
           {{"change", stats.changes}, {"refused", stats.refused}});
  Carry(metrics.counter("fairlead_audit_failures_total", "Lines of the audit log that could not be written"), stats.failures);
  Carry(metrics.counter("fairlead_audit_rotations_total", "Audit logs that were full and moved aside"), stats.rotations);
}

}  // namespace fairlead::app
