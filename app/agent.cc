#include "app/agent.h"

#include <grp.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "app/engine_networks.h"
#include "app/node_addresses.h"
#include "app/privileges.h"
#include "app/programs.h"
#include "base/http/client.h"
#include "base/io/files.h"
#include "base/log.h"
#include "discovery/epoch.h"
#include "runtime-shim/lease_row.h"
#include "runtime-shim/plugin_holder.h"

namespace fairlead::app {
namespace {

constexpr Nanos kExpireInterval = kMinute;
constexpr Nanos kSiblingInterval = 200 * kMillisecond;

Status MakeFolder(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), Cat("make folder ", path));
  return chmod(path.c_str(), mode) == 0 ? OkStatus() : ErrnoStatus(errno, Cat("folder ", path));
}

std::string Parent(const std::string& path) { return std::filesystem::path(path).parent_path(); }

// The address that containers of every network reach the name server at: the link-local one of dns.listen.
IpAddress ContainerDnsAddress(const Config& config) {
  Prefix link_local = *Prefix::Parse("169.254.0.0/16");
  for (const SocketAddress& address : config.dns_listen)
    if (address.port() == 53 && link_local.Contains(address.ip())) return address.ip();
  return {};
}

}  // namespace

Agent::Agent(const Config& config, Process& process) : config_(config), process_(process) {}
Agent::~Agent() = default;

StatusOr<std::unique_ptr<Agent>> Agent::Make(const Config& config, Process& process) {
  if (geteuid() != 0)
    return PermissionDenied("the agent makes network interfaces and answers the engine: run it as root (it parses "
                            "nothing from the network but authenticated peers)");
  std::unique_ptr<Agent> agent(new Agent(config, process));
  // In the order in which later parts need earlier ones.
  for (auto step : {&Agent::OpenStores, &Agent::OpenCatalog, &Agent::OpenDataPlane, &Agent::ServeStreams,
                    &Agent::ServeApi, &Agent::ServePlugin})
    if (Status status = (agent.get()->*step)(); !status.ok()) {
      agent->Stop();
      return status;
    }
  return agent;
}

template <class T>
T Agent::Await(io::Task<T> task) {
  std::optional<T> result;
  io::TaskGroup group;
  group.Spawn([](io::Task<T> inner, std::optional<T>* out) -> io::Task<void> { out->emplace(co_await inner); }(
      std::move(task), &result));
  while (!result) process_.proactor().Turn(kSecond);
  return *std::move(result);
}

Status Agent::OpenStores() {
  RETURN_IF_ERROR(MakeFolder(config_.state_dir, 0755));  // dns and lb have folders of their own in it
  std::string folder = config_.state_dir + "/agent";
  RETURN_IF_ERROR(MakeFolder(folder, 0700));
  store_thread_ = io::MakeThreadOffload("store");
  network_thread_ = io::MakeThreadOffload("network");
  ASSIGN_OR_RETURN(lease_store_, ipam::SqliteLeaseStore::Open(folder + "/leases.db"));
  ASSIGN_OR_RETURN(plugin_store_, runtime::PluginStore::Open(folder + "/docker-plugin.db"));
  ipam_ = std::make_unique<ipam::Ipam>(*lease_store_, *store_thread_, process_.proactor(), process_.clock());
  RETURN_IF_ERROR(Await(ipam_->Load()));
  for (const ipam::PoolSpec& pool : config_.pools) RETURN_IF_ERROR(Await(ipam_->PutPool(pool)));
  return OkStatus();
}

Status Agent::OpenCatalog() {
  io::SystemFiles files;
  ASSIGN_OR_RETURN(uint64_t epoch, discovery::NextEpoch(files, process_.clock(), config_.state_dir + "/agent/epoch"));
  catalog_ = std::make_unique<discovery::Catalog>(config_.node_name, epoch);
  picture_ = std::make_unique<lb::Picture>(config_.lb);
  catalog_->Watch(*this);
  catalog_->Upsert(discovery::NodeRow{config_.node_name, config_.site, NodeAddresses()});
  for (const ipam::Lease& lease : ipam_->Leases()) LeaseChanged(lease, false);
  ipam_->SetListener([this](const ipam::Lease& lease, bool gone) { LeaseChanged(lease, gone); });
  return OkStatus();
}

Status Agent::OpenDataPlane() {
  driver_ = dataplane::MakeBridgeDriver();
  if (IpAddress dns = ContainerDnsAddress(config_); dns.is_set()) return dataplane::EnsureHostAddress(dns);
  return OkStatus();
}

Status Agent::ServeStreams() {
  RETURN_IF_ERROR(MakeFolder(Parent(config_.discovery_socket), 0755));
  ASSIGN_OR_RETURN(SocketAddress address, SocketAddress::Unix(config_.discovery_socket));
  // Anyone may connect; who is not root, the service user or us is turned away by its credentials.
  ASSIGN_OR_RETURN(io::Listener listener,
                   io::Listener::Open(process_.proactor(), address, {.replace_stale = true, .mode = 0666}));
  stream_listener_ = std::make_unique<io::Listener>(std::move(listener));
  discovery::PeerPolicy policy;
  if (auto user = FindServiceUser(); user.ok()) policy.uids.push_back(user->uid);
  publisher_ = std::make_unique<discovery::Publisher>(process_.proactor(), *catalog_, policy, process_.metrics());
  return OkStatus();
}

Status Agent::ServeApi() {
  AgentFacts facts{.node = config_.node_name,
                   .version = FAIRLEAD_VERSION,
                   .started_wall = process_.clock().WallNow(),
                   .branch_zone = config_.dns_branch_zone,
                   .balancer = BalancerAddresses(config_)};
  facts.engines = [this] {
    bool connected = watcher_ != nullptr && watcher_->connected();
    return std::vector<EngineState>{{"docker", connected, Cat("unix:", config_.docker_socket)}};
  };
  api_ = std::make_unique<AgentApi>(*catalog_, *ipam_, *picture_, publisher_.get(), std::move(facts));
  auto handle = [this](const http::Request& request, const http::RequestContext& context) {
    return api_->Handle(request, context);
  };
  RETURN_IF_ERROR(MakeFolder(Parent(config_.api_socket), 0755));
  ASSIGN_OR_RETURN(SocketAddress socket, SocketAddress::Unix(config_.api_socket));
  RETURN_IF_ERROR(process_.Serve(socket, handle, {.replace_stale = true, .mode = 0660}));
  // Members of the group may operate; without such a group root alone does.
  if (const group* operators = getgrnam("fairlead"); operators != nullptr && chown(config_.api_socket.c_str(), 0, operators->gr_gid) != 0)
    return ErrnoStatus(errno, Cat("give ", config_.api_socket, " to group fairlead"));
  return process_.Serve(config_.api_listen, handle);
}

// The plugin socket comes from systemd (fairlead.socket), from the holder, or is our own where neither is there.
Status Agent::ServePlugin() {
  ASSIGN_OR_RETURN(SocketAddress docker, SocketAddress::Unix(config_.docker_socket));
  engine_ = std::make_unique<runtime::DockerEngine>(process_.proactor(), docker);
  runtime::PluginConfig plugin{
      .node = config_.node_name, .driver = config_.plugin_name, .dns_address = ContainerDnsAddress(config_)};
  plugin_ = std::make_unique<runtime::DockerPlugin>(
      plugin, runtime::DockerPlugin::Parts{process_.proactor(), process_.clock(), process_.random(), *engine_, *ipam_,
                                           *plugin_store_, *store_thread_, *driver_, *network_thread_});
  RETURN_IF_ERROR(Await(plugin_->Start()));

  StatusOr<io::Listener> listener = Unavailable("unset");
  const char* holder = getenv("FAIRLEAD_PLUGIN_HOLDER");
  if (sd_listen_fds(1) == 1) {
    listener = io::Listener::Adopt(process_.proactor(), SD_LISTEN_FDS_START);
  } else if (holder != nullptr) {
    ASSIGN_OR_RETURN(runtime::HeldListener held, runtime::TakeListener(holder));
    holder_control_ = held.control;
    listener = io::Listener::Adopt(process_.proactor(), held.listener);
  } else {
    RETURN_IF_ERROR(MakeFolder(config_.plugin_dir, 0755));
    ASSIGN_OR_RETURN(SocketAddress address,
                     SocketAddress::Unix(Cat(config_.plugin_dir, "/", config_.plugin_name, ".sock")));
    listener = io::Listener::Open(process_.proactor(), address, {.replace_stale = true});
  }
  RETURN_IF_ERROR(listener.status());
  plugin_server_ = std::make_unique<http::Server>(
      process_.proactor(), [this](const http::Request& request, const http::RequestContext& context) {
        return plugin_->Handle(request, context);
      });
  plugin_server_->Serve(*std::move(listener));
  return OkStatus();
}

void Agent::Start() {
  process_.SetObstacle("engine", "docker has not been listed yet");
  runtime::EndpointSink& sink = *this;
  watcher_ = std::make_unique<runtime::EngineWatcher>(
      process_.proactor(), *engine_,
      runtime::RowContext{.node = config_.node_name, .driver = config_.plugin_name, .node_addresses = NodeAddresses()},
      sink);
  process_.tasks().Spawn(watcher_->Run());
  process_.OnScrape([this] { CountForScrape(); });
  process_.tasks().Spawn(ExpireLeases());
  if (getenv("FAIRLEAD_PARENT") != nullptr) {
    process_.SetObstacle("dns", "starting");
    process_.SetObstacle("lb", "starting");
    process_.tasks().Spawn(WatchSiblings());
  }
  process_.tasks().Spawn(io::AcceptLoop(*stream_listener_, process_.tasks(),
                                        [this](int fd) { return publisher_->Serve(fd); }));
}

void Agent::Stop() {
  if (plugin_server_ != nullptr) {
    Await([](http::Server* server) -> io::Task<bool> {
      co_await server->Stop();
      co_return true;
    }(plugin_server_.get()));
  }
  if (plugin_ != nullptr) {
    Await([](runtime::DockerPlugin* plugin) -> io::Task<bool> {
      co_await plugin->Stop();
      co_return true;
    }(plugin_.get()));
  }
  if (holder_control_ >= 0) close(holder_control_);  // gives the plugin socket back
  if (catalog_ != nullptr) catalog_->Unwatch(*this);
}

void Agent::Upsert(discovery::EndpointRow row) {
  for (const discovery::Address& address : row.addresses)
    if (auto lease = ipam_->Find({address.network, config_.node_name, row.name, address.ip.is_v6()}); lease.has_value())
      row.lease_revision = std::max(row.lease_revision, lease->revision);
  catalog_->Upsert(std::move(row));
}

void Agent::Remove(std::string engine_id) {
  plugin_->ContainerGone(engine_id);
  discovery::EndpointRow row;
  row.node = config_.node_name;
  row.engine_id = std::move(engine_id);
  catalog_->Remove(KeyOf(row));
}

void Agent::Synced() {
  catalog_->MarkSynced();
  process_.SetObstacle("engine", "");
  process_.tasks().Spawn(EnsureNetworks(process_.proactor(), config_));
}

void Agent::Inspected(const runtime::ContainerDetails& container) { plugin_->ContainerSeen(container); }
void Agent::NetworkSeen(const runtime::NetworkDetails& network) { plugin_->NetworkSeen(network); }
void Agent::OnChanges(const std::vector<discovery::Change>& changes) { picture_->Apply(changes); }

void Agent::LeaseChanged(const ipam::Lease& lease, bool gone) {
  discovery::LeaseRow row = runtime::RowOf(lease);
  if (gone) {
    catalog_->Remove(KeyOf(row));
  } else {
    catalog_->Upsert(std::move(row));
  }
}

// Under `fairlead up` one /readyz speaks for all three.
io::Task<void> Agent::WatchSiblings() {
  io::Proactor& proactor = process_.proactor();
  const std::pair<const char*, SocketAddress> siblings[] = {{"dns", config_.dns_http}, {"lb", config_.lb_listen}};
  do {
    for (const auto& [name, address] : siblings) {
      http::Request request{.method = "GET", .target = "/readyz"};
      auto answer = co_await http::Fetch(proactor, address, std::move(request), proactor.Now() + kSecond);
      std::string obstacle;
      if (!answer.ok()) obstacle = Message(answer.status());
      if (answer.ok() && answer->status != 200) obstacle = Trim(answer->body.substr(0, answer->body.find('\n')));
      process_.SetObstacle(name, obstacle);
    }
  } while ((co_await io::Sleep(proactor, kSiblingInterval)).ok());
}

io::Task<void> Agent::ExpireLeases() {
  while ((co_await io::Sleep(process_.proactor(), kExpireInterval)).ok()) {
    if (watcher_->connected()) co_await DetachLeftLeases();
    if (Status status = co_await ipam_->Expire(); !status.ok())
      LOG(kWarning, "leases past their time stay for now", {"because", Message(status)});
  }
}

// An engine that let a container go while we were away told nobody: its release met the holder. Such a lease is
// detached when the engine's own whole list has no running container at the address; the name keeps it all the same.
io::Task<void> Agent::DetachLeftLeases() {
  std::set<IpAddress> in_use;
  catalog_->rows().ForEach([&](const std::shared_ptr<const discovery::Row>& row) {
    if (const discovery::EndpointRow* endpoint = row->endpoint())
      for (const discovery::Address& address : endpoint->addresses) in_use.insert(address.ip);
  });
  Nanos now = process_.clock().WallNow();
  for (const ipam::Lease& lease : ipam_->Leases()) {
    if (!lease.attached || in_use.contains(lease.ip) || now - lease.since_wall < kExpireInterval) continue;
    if (Status status = co_await ipam_->Detach(lease.pool, lease.ip); status.ok())
      LOG(kInfo, "lease detached", {"lease", lease.key.ToString()}, {"address", lease.ip.ToString()},
          {"because", "no container runs at it"});
  }
}

void Agent::CountForScrape() {
  for (const ipam::PoolSpec& pool : ipam_->Pools()) {
    ipam::Ipam::PoolUsage usage = ipam_->Usage(pool.name);
    const std::pair<const char*, uint64_t> states[] = {{"attached", usage.attached}, {"detached", usage.detached},
                                                       {"quarantined", usage.quarantined}, {"reserved", usage.reserved},
                                                       {"size", usage.size}};
    for (const auto& [state, count] : states)
      process_.metrics()
          .gauge("fairlead_ipam_pool_addresses", "Addresses of a pool by state", {{"pool", pool.name}, {"state", state}})
          .Set(static_cast<double>(count));
  }
  const runtime::DockerPlugin::Stats& plugin = plugin_->stats();
  const runtime::EngineWatcher::Stats& engine = watcher_->stats();
  const std::pair<const char*, uint64_t> counts[] = {
      {"plugin_calls", plugin.calls},     {"plugin_errors", plugin.errors}, {"plugin_timeouts", plugin.timeouts},
      {"provisional", plugin.provisional}, {"renamed", plugin.renamed},      {"events", engine.events},
      {"event_overflows", engine.overflows}, {"lists", engine.lists},        {"inspections", engine.inspections}};
  for (const auto& [what, count] : counts)
    process_.metrics().gauge("fairlead_engine_activity", "What passed between engine and agent", {{"what", what}})
        .Set(static_cast<double>(count));
}

int RunAgent(const Config& config) {
  RaiseDescriptorLimit();
  StatusOr<std::unique_ptr<Process>> process = Process::Make("agent");
  if (!process.ok()) return Fail(process.status());
  StatusOr<std::unique_ptr<Agent>> agent = Agent::Make(config, **process);
  if (!agent.ok()) return Fail(agent.status());
  (*agent)->Start();
  (*process)->Run();
  (*agent)->Stop();
  return 0;
}

}  // namespace fairlead::app
