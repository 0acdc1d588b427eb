// Agent: what runs on each host as root. One row per endpoint, from the engine's events and the plugin's leases, drives
// addresses, names and routes: this is where the modules meet.
//
//   dockerd ──plugin calls──▶ DockerPlugin ──▶ Ipam ──▶ SQLite          (store thread)
//      │                           └──▶ BridgeDriver ──▶ kernel        (network thread)
//      └──events──▶ EngineWatcher ──▶ Catalog ──▶ Publisher ──▶ dns, lb
//                                         └──▶ Picture, AgentApi ──▶ operator
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/picture_json.h"
#include "app/agent_api.h"
#include "app/config.h"
#include "app/process.h"
#include "dataplane/dataplane.h"
#include "discovery/catalog.h"
#include "discovery/publisher.h"
#include "ipam/ipam.h"
#include "ipam/sqlite_lease_store.h"
#include "lb/picture.h"
#include "runtime-shim/docker_plugin.h"
#include "runtime-shim/engine_client.h"
#include "runtime-shim/event_source.h"

namespace fairlead::app {

class Agent final : private runtime::EndpointSink, private discovery::ChangeListener {
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
  Status ServePlugin();
  Status ServeStreams();
  Status ServeApi();

  // EndpointSink: what the engine has.
  void Upsert(discovery::EndpointRow row) override;
  void Remove(std::string engine_id) override;
  void Synced() override;
  void Inspected(const runtime::ContainerDetails& container) override;
  void NetworkSeen(const runtime::NetworkDetails& network) override;
  // ChangeListener of our own catalog: keeps the picture for `route ls` and `why`.
  void OnChanges(const std::vector<discovery::Change>& changes) override;
  void LeaseChanged(const ipam::Lease& lease, bool gone);
  void CountForScrape();
  io::Task<void> ExpireLeases();
  io::Task<void> DetachLeftLeases();
  io::Task<void> WatchSiblings();

  template <class T>
  T Await(io::Task<T> task);  // turns the loop until the task has ended: during Make() only

  const Config& config_;
  Process& process_;
  std::unique_ptr<io::Offload> store_thread_, network_thread_;
  std::unique_ptr<ipam::SqliteLeaseStore> lease_store_;
  std::unique_ptr<runtime::PluginStore> plugin_store_;
  std::unique_ptr<ipam::Ipam> ipam_;
  std::unique_ptr<dataplane::Driver> driver_;
  std::unique_ptr<discovery::Catalog> catalog_;
  std::unique_ptr<discovery::Publisher> publisher_;
  std::unique_ptr<lb::Picture> picture_;
  std::unique_ptr<AgentApi> api_;
  std::unique_ptr<runtime::DockerEngine> engine_;
  std::unique_ptr<runtime::DockerPlugin> plugin_;
  std::unique_ptr<http::Server> plugin_server_;
  std::unique_ptr<runtime::EngineWatcher> watcher_;
  std::unique_ptr<io::Listener> stream_listener_;
  int holder_control_ = -1;
};

}  // namespace fairlead::app
