// What the agent's parts count, as metrics of the contract's form (docs/configuration.md, "Counters"). The parts count for
// themselves; a scrape carries the numbers over.
#pragma once

#include "app/audit_log.h"
#include "app/reconciler.h"
#include "base/metrics.h"
#include "ipam/ipam.h"
#include "runtime-shim/attachments.h"
#include "runtime-shim/docker_plugin.h"
#include "runtime-shim/event_source.h"

namespace fairlead::app {

// Addresses of each pool by state: fairlead_ipam_pool_addresses.
void ScrapePools(const ipam::Ipam& ipam, Metrics& metrics);
// fairlead_engine_*, fairlead_pin*, fairlead_start_gate_*.
void ScrapeDocker(const runtime::DockerPlugin::Stats& plugin, Metrics& metrics);
// fairlead_engine_watch_total; `engine`: "docker" or "podman".
void ScrapeWatch(const std::string& engine, const runtime::EngineWatcher::Stats& stats, Metrics& metrics);
// fairlead_attachment*, of Podman and other users of CNI.
void ScrapeAttachments(const runtime::Attachments::Stats& stats, size_t attachments, Metrics& metrics);
// fairlead_ipam_probes_total and what they found; `engine`: "docker" or "cni".
void ScrapeProbes(const std::string& engine, const runtime::AddressGiver::Stats& stats, Metrics& metrics);
// fairlead_reconciler_*.
void ScrapeReconciler(const Reconciler::Stats& stats, Metrics& metrics);
// fairlead_audit_*.
void ScrapeAudit(const AuditLog::Stats& stats, Metrics& metrics);

}  // namespace fairlead::app
