// Agent: what runs on each host as root. One row per endpoint, from the engine's events and the plugin's leases, drives
// addresses, names and routes: this is where the modules meet.
//
//   Podman ──fairlead-cni, fairlead-netavark──▶ Attachments ──▶ Ipam, BridgeDriver
//   dockerd ──plugin calls──▶ DockerPlugin ──▶ Ipam ──▶ SQLite          (store thread)
//      │                           └──▶ BridgeDriver ──▶ kernel        (network thread)
//      └──events──▶ EngineWatcher ──▶ Catalog ──▶ Publisher ──▶ dns, lb
//                                         └──▶ AgentApi ──▶ operator
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "app/adopt.h"
#include "app/agent_api.h"
#include "app/config.h"
#include "app/endpoint_api.h"
#include "app/env_api.h"
#include "app/file_endpoints.h"
#include "app/host_names.h"
#include "app/lease_api.h"
#include "app/network_api.h"
#include "app/pool_api.h"
#include "app/process.h"
#include "app/reconciler.h"
#include "dataplane/dataplane.h"
#include "discovery/catalog.h"
#include "discovery/health/row_checks.h"
#include "discovery/publisher.h"
#include "ipam/ipam.h"
#include "ipam/sqlite_lease_store.h"
#include "lb/config.h"
#include "runtime-shim/cni.h"
#include "runtime-shim/containerd_engine.h"
#include "runtime-shim/docker_plugin.h"
#include "runtime-shim/engine_client.h"
#include "runtime-shim/event_source.h"
#include "runtime-shim/lease_row.h"
#include "runtime-shim/netavark.h"
#include "runtime-shim/podman_engine.h"

namespace fairlead::app {

class Agent final : private runtime::EndpointSink, private EndpointBook::Sink {
 public:
  // Opens stores, sockets and the data plane. The error names what failed and the way out.
  static StatusOr<std::unique_ptr<Agent>> Make(const Config& config, Process& process);
  ~Agent();

  // Follows the engine; to be called once, before Process::Run().
  void Start();
  // After Process::Run(): lets go of the plugin's calls and closes the stores.
  void Stop();

 private:
  Agent(const Config& config, Process& process);
  Status OpenStores();
  Status OpenCatalog();
  Status OpenDataPlane();
  Status OpenEngine();
  Status StartPlugin();
  Status ServePlugin();
  Status ServeAttachments();
  Status ServeStreams();
  Status ServeApi();
  Status AddOperatorPages();
  Status StartReconciler();
  OperatorParts Parts();

  // Rows of Podman and containerd. Their addresses come over CNI and netavark, so the Docker plugin hears nothing of their
  // containers.
  class OtherSink final : public runtime::EndpointSink {
   public:
    OtherSink(Agent& agent, std::string engine) : agent_(agent), engine_(std::move(engine)) {}
    void Upsert(discovery::EndpointRow row) override { agent_.Upsert(std::move(row)); }
    std::shared_ptr<const discovery::EndpointRow> Find(const std::string& engine_id) override { return agent_.Find(engine_id); }
    void Remove(std::string engine_id) override { agent_.RemoveRow(engine_id); }
    void Synced() override { agent_.Listed(engine_); }
    void Inspected(const runtime::ContainerDetails&) override {}
    void NetworkSeen(const runtime::NetworkDetails&) override {}

   private:
    Agent& agent_;
    const std::string engine_;
  };

  // EndpointSink: what Docker has.
  void Upsert(discovery::EndpointRow row) override;
  std::shared_ptr<const discovery::EndpointRow> Find(const std::string& engine_id) override;
  void Remove(std::string engine_id) override;
  void Synced() override;
  void Inspected(const runtime::ContainerDetails& container) override;
  void NetworkSeen(const runtime::NetworkDetails& network) override;
  // EndpointBook::Sink: what its owner registered.
  void Registered(discovery::EndpointRow row) override;
  void Unregistered(const std::string& key) override;
  void LeaseChanged(const ipam::Lease& lease, bool gone);
  void CountForScrape();
  void ObserveLag(const std::string& engine, runtime::EngineWatcher& watcher);
  runtime::Neighbours PodmanAsNeighbour();
  std::string HolderInDocker(const ipam::LeaseKey& key) const;
  void Publish(discovery::EndpointRow row);
  void RemoveRow(const std::string& engine_id);
  void Listed(const std::string& engine);
  void SayUnlisted();
  std::vector<EngineState> Engines() const;
  bool HasDocker() const { return !config_.docker_socket.empty(); }
  io::Task<Status> RemoveOfFile(std::string service, HostPort address);
  io::Task<void> EndFirstLook();
  void FollowEngines();
  io::Task<void> ExpireLeases();
  io::Task<void> KeepTrue();
  io::Task<void> WatchSiblings();

  template <class T>
  T Await(io::Task<T> task);  // turns the loop until the task has ended: during Make() only

  const Config& config_;
  Process& process_;
  std::unique_ptr<io::Offload> store_thread_, network_thread_, probe_thread_;
  std::unique_ptr<ipam::SqliteLeaseStore> lease_store_;
  std::unique_ptr<runtime::PluginStore> plugin_store_;
  std::unique_ptr<ipam::Ipam> ipam_;
  std::unique_ptr<runtime::LeaseRows> lease_rows_;
  std::unique_ptr<dataplane::Driver> driver_;
  std::unique_ptr<discovery::Catalog> catalog_;
  std::unique_ptr<health::RowChecks> checks_;
  std::unique_ptr<discovery::Publisher> publisher_;
  std::unique_ptr<HostNames> hosts_;
  lb::Config balancer_;                 // what the file says of it, with addresses in the place of host names
  std::unique_ptr<FileEndpoints> file_endpoints_;
  io::SystemFiles files_;
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<AgentApi> api_;
  std::unique_ptr<LeaseApi> lease_api_;
  std::unique_ptr<PoolApi> pool_api_;
  std::unique_ptr<NetworkApi> network_api_;
  std::unique_ptr<EndpointBook> book_;
  std::unique_ptr<EndpointApi> endpoint_api_;
  std::unique_ptr<EnvApi> env_api_;
  std::unique_ptr<Adopter> adopter_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<runtime::DockerEngine> engine_;
  std::unique_ptr<runtime::DockerPlugin> plugin_;
  std::unique_ptr<http::Server> plugin_server_;
  std::unique_ptr<runtime::AttachmentStore> attachment_store_;
  std::unique_ptr<runtime::Attachments> attachments_;
  std::unique_ptr<runtime::CniPlugin> cni_;
  std::unique_ptr<runtime::NetavarkPlugin> netavark_;
  std::unique_ptr<runtime::EngineWatcher> watcher_;
  std::string podman_socket_;           // "": there is no Podman
  std::unique_ptr<runtime::PodmanEngine> podman_;
  std::unique_ptr<runtime::EngineWatcher> podman_watcher_;
  OtherSink podman_sink_{*this, "podman"};
  std::unique_ptr<io::Offload> containerd_thread_;
  std::unique_ptr<runtime::ContainerdEngine> containerd_;
  std::unique_ptr<runtime::EngineWatcher> containerd_watcher_;
  OtherSink containerd_sink_{*this, "containerd"};
  std::set<std::string> unlisted_;      // engines whose containers must be known before the catalog is whole
  std::unique_ptr<io::Listener> stream_listener_;
  int holder_control_ = -1;
};

}  // namespace fairlead::app
