// AgentProcess: the agent as app/agent.cc composes it, on a simulated host: scripted engine, Docker plugin, leases, catalog
// and publisher. Kill() is kill -9: what is on the host's disk and in its kernel stays, nothing else.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/sim/sim_files.h"
#include "base/sim/sim_offload.h"
#include "discovery/catalog.h"
#include "discovery/health/row_checks.h"
#include "discovery/publisher.h"
#include "ipam/ipam.h"
#include "runtime-shim/docker_plugin.h"
#include "runtime-shim/event_source.h"
#include "runtime-shim/lease_row.h"
#include "tests/sim/dockerd.h"
#include "tests/sim/host_store.h"

namespace fairlead::fleet {

inline constexpr const char* kNode = "host1";
inline constexpr const char* kDiscoverySocket = "/run/fairlead/discovery.sock";

class AgentProcess final : private runtime::EndpointSink {
 public:
  struct Host {
    sim::SimWorld& world;
    IpAddress address;
    Verdict& verdict;
    sim::SimFiles& disk;
    HostLeaseStore& leases;
    runtime::PluginStore& plugin_store;
    SimKernel& kernel;
    Dockerd& engine;
    ipam::PoolSpec pool;
    Bug bug;
  };
  explicit AgentProcess(const Host& host);
  ~AgentProcess();                         // Kill() first

  bool ready() const { return ready_; }    // serves the plugin and follows the engine
  bool failed() const { return failed_; }  // could not start: a full disk
  const discovery::Catalog* catalog() const { return catalog_.get(); }
  const discovery::Publisher* publisher() const { return publisher_.get(); }
  const ipam::Ipam& ipam() const { return ipam_; }
  // Outside of the world's turns.
  void Kill();

  // Told when a row says that its container takes no new traffic: the revision of the catalog that says so.
  std::function<void(const std::string& engine_id, uint64_t revision)> on_leaving;

 private:
  io::Task<void> Boot();
  io::Task<Status> OpenAll();
  io::Task<void> ExpireLeases();
  io::Task<void> DetachLeftLeases();
  io::Task<http::Reply> Handle(http::Request request, http::RequestContext context);
  void LeaseChanged(const ipam::Lease& lease, bool gone);

  void Publish(discovery::EndpointRow row);
  io::Task<void> EndFirstLook();

  void Upsert(discovery::EndpointRow row) override;
  std::shared_ptr<const discovery::EndpointRow> Find(const std::string& engine_id) override;
  void Remove(std::string engine_id) override;
  void Synced() override;
  void Inspected(const runtime::ContainerDetails& container) override;
  void NetworkSeen(const runtime::NetworkDetails& network) override;

  const Host host_;
  sim::SimProactor proactor_;
  sim::SimOffload store_thread_, network_thread_, probe_thread_;
  SeededRandom random_;
  Metrics metrics_;
  ipam::Ipam ipam_;
  runtime::LeaseRows lease_rows_{ipam_};
  runtime::ScriptedEngine engine_;
  std::unique_ptr<discovery::Catalog> catalog_;
  std::unique_ptr<discovery::Publisher> publisher_;
  std::optional<io::Listener> streams_;
  runtime::DockerPlugin plugin_;
  http::Server plugin_server_;
  runtime::EngineWatcher watcher_;
  health::RowChecks checks_;
  io::TaskGroup tasks_;
  bool ready_ = false, failed_ = false;
  std::string last_answer_;                // of the planted bug kAnswerRepeated
  Nanos last_answer_at_ = 0;
};

}  // namespace fairlead::fleet
