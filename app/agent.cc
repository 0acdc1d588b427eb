#include "app/agent.h"

#include <grp.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "app/agent_metrics.h"
#include "app/api_reply.h"
#include "app/engine_networks.h"
#include "app/node_addresses.h"
#include "app/privileges.h"
#include "app/programs.h"
#include "base/http/client.h"
#include "base/log.h"
#include "dataplane/interface_name.h"
#include "discovery/epoch.h"
#include "runtime-shim/lease_row.h"
#include "runtime-shim/own_calls.h"
#include "runtime-shim/plugin_holder.h"
#include "runtime-shim/plugin_state.h"

namespace fairlead::app {
namespace {

constexpr Nanos kExpireInterval = kMinute;
constexpr Nanos kSiblingInterval = 200 * kMillisecond;

std::string KeyOfContainer(const std::string& node, const std::string& engine_id) {
  discovery::EndpointRow row;
  row.node = node;
  row.engine_id = engine_id;
  return KeyOf(row);
}

// A socket file outlives its program.
bool SomebodyListens(const SocketAddress& address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool listens = fd >= 0 && connect(fd, address.raw(), address.size()) == 0;
  if (fd >= 0) close(fd);
  return listens;
}

Status MakeFolder(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoStatus(error.value(), Cat("make folder ", path));
  if (chmod(path.c_str(), mode) == 0) return OkStatus();
  Status failed = ErrnoStatus(errno, Cat("folder ", path));
  return Error(failed.code(), Message(failed), "; it must be writable for the agent");
}

std::string Parent(const std::string& path) { return std::filesystem::path(path).parent_path(); }

// The kernel's side for the reconciler.
io::Task<StatusOr<std::vector<std::string>>> KernelEndpoints(io::Offload& thread, io::Proactor& worker, dataplane::Driver& driver) {
  co_return co_await io::OffloadTo(thread, worker, [&] { return driver.ListEndpoints(); });
}

io::Task<Status> RemoveInterface(io::Offload& thread, io::Proactor& worker, dataplane::Driver& driver, std::string id) {
  co_return co_await io::OffloadTo(thread, worker, [&] { return driver.Detach(id); });
}

io::Task<std::set<std::string>> MissingBridges(io::Offload& thread, io::Proactor& worker, std::vector<runtime::NetworkRecord> networks) {
  co_return co_await io::OffloadTo(thread, worker, [&] {
    std::set<std::string> missing;
    for (const runtime::NetworkRecord& network : networks)
      if (if_nametoindex(dataplane::BridgeName(runtime::SpecOf(network)).c_str()) == 0) missing.insert(network.id);
    return missing;
  });
}

// The address that containers of every network reach the name server at: the link-local one of dns.listen.
IpAddress ContainerDnsAddress(const Config& config) {
  Prefix link_local = *Prefix::Parse("169.254.0.0/16");
  for (const SocketAddress& address : config.dns_listen)
    if (address.port() == 53 && link_local.Contains(address.ip())) return address.ip();
  return {};
}

io::Task<StatusOr<bool>> KeepForPodman(runtime::Attachments* attachments, dataplane::NetworkSpec network) {
  if (attachments == nullptr) co_return false;
  co_return co_await attachments->KeepNetwork(std::move(network));
}

// What a small program asked its part of the agent, which may not have been made yet.
template <class Plugin>
io::Task<StatusOr<nlohmann::json>> CallOf(const std::unique_ptr<Plugin>& plugin, nlohmann::json request) {
  if (plugin == nullptr) co_return Unavailable("the agent is starting");
  co_return co_await plugin->Handle(std::move(request));
}

// Await() gives a value.
template <class Part>
io::Task<bool> Stopped(Part* part) {
  co_await part->Stop();
  co_return true;
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
  for (auto step : {&Agent::OpenStores, &Agent::OpenCatalog, &Agent::OpenDataPlane, &Agent::OpenEngine,
                    &Agent::ServeStreams, &Agent::ServeApi, &Agent::StartPlugin, &Agent::ServeAttachments,
                    &Agent::ServePlugin, &Agent::StartReconciler})
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
  probe_thread_ = io::MakeThreadOffload("probe");
  ASSIGN_OR_RETURN(lease_store_, ipam::SqliteLeaseStore::Open(folder + "/leases.db"));
  ASSIGN_OR_RETURN(attachment_store_, runtime::AttachmentStore::Open(folder + "/attachments.db"));
  ASSIGN_OR_RETURN(plugin_store_, runtime::PluginStore::Open(folder + "/docker-plugin.db"));
  ipam_ = std::make_unique<ipam::Ipam>(*lease_store_, *store_thread_, process_.proactor(), process_.clock());
  RETURN_IF_ERROR(Await(ipam_->Load()));
  lease_rows_ = std::make_unique<runtime::LeaseRows>(*ipam_);
  for (const ipam::PoolSpec& pool : config_.pools) RETURN_IF_ERROR(Await(ipam_->PutPool(pool)));
  return OkStatus();
}

Status Agent::OpenCatalog() {
  ASSIGN_OR_RETURN(uint64_t epoch, discovery::NextEpoch(files_, process_.clock(), config_.state_dir + "/agent/epoch"));
  catalog_ = std::make_unique<discovery::Catalog>(config_.node_name, epoch);
  ASSIGN_OR_RETURN(hosts_, HostNames::Make(process_, config_));
  file_endpoints_ = std::make_unique<FileEndpoints>(hosts_->book(), [this](const std::string& service, std::vector<lb::StaticEndpoint> now) {
    auto spec = std::ranges::find(balancer_.services, service, &lb::ServiceSpec::name);
    if (spec != balancer_.services.end()) spec->endpoints = std::move(now);
  });
  balancer_ = file_endpoints_->Expand(config_.lb);
  file_endpoints_->Adopt(config_.lb);
  checks_ = std::make_unique<health::RowChecks>(process_.proactor(), process_.random(),
                                                [this](discovery::EndpointRow row) { Publish(std::move(row)); },
                                                [this](std::string_view key) { return catalog_->FindEndpoint(key); });
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

Status Agent::OpenEngine() {
  // Without an engine nobody listens there: what is for engines alone says so.
  ASSIGN_OR_RETURN(SocketAddress docker, SocketAddress::Unix(HasDocker() ? config_.docker_socket : "/run/fairlead/no-docker.sock"));
  RETURN_IF_ERROR(MakeFolder(Parent(config_.api_socket), 0755));
  io::SystemFiles files;
  ASSIGN_OR_RETURN(std::string secret, runtime::OwnCallSecret(files, Parent(config_.api_socket) + "/authz.secret", process_.random()));
  engine_ = std::make_unique<runtime::DockerEngine>(process_.proactor(), docker, secret);
  if (!config_.containerd_socket.empty()) {
    ASSIGN_OR_RETURN(SocketAddress containerd, SocketAddress::Unix(config_.containerd_socket));
    containerd_thread_ = io::MakeThreadOffload("containerd");
    containerd_ = std::make_unique<runtime::ContainerdEngine>(
        process_.proactor(), *containerd_thread_, runtime::ContainerdOptions{.socket = containerd, .namespaces = config_.containerd_namespaces});
  }
  podman_socket_ = config_.podman_socket;
  if (podman_socket_.empty() && access(kDefaultPodmanSocket, F_OK) == 0) podman_socket_ = kDefaultPodmanSocket;
  if (podman_socket_.empty()) return OkStatus();
  ASSIGN_OR_RETURN(SocketAddress podman, SocketAddress::Unix(podman_socket_));
  podman_ = std::make_unique<runtime::PodmanEngine>(process_.proactor(), podman);
  return OkStatus();
}

std::vector<EngineState> Agent::Engines() const {
  auto state = [](const char* name, const std::unique_ptr<runtime::EngineWatcher>& watcher, const std::string& socket) {
    return EngineState{name, watcher != nullptr && watcher->connected(), Cat("unix:", socket)};
  };
  std::vector<EngineState> engines;
  if (HasDocker()) engines.push_back(state("docker", watcher_, config_.docker_socket));
  if (!podman_socket_.empty()) engines.push_back(state("podman", podman_watcher_, podman_socket_));
  if (containerd_ != nullptr) engines.push_back(state("containerd", containerd_watcher_, config_.containerd_socket));
  return engines;
}

OperatorParts Agent::Parts() {
  return {process_.proactor(), process_.clock(), *ipam_, *engine_, config_.node_name, config_.site, config_.plugin_name};
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
  facts.engines = [this] { return Engines(); };
  if (auto admin = SocketAddress::Unix(config_.lb_admin_socket); admin.ok()) facts.balancer_admin = *admin;
  facts.expires_wall = [this](const std::string& uid) {
    const EndpointBook::Entry* entry = book_->FindUid(uid);
    return entry == nullptr ? kNever : book_->ExpiresWall(*entry);
  };
  facts.operators = Operators::OfThisHost();
  audit_ = std::make_unique<AuditLog>(files_, *store_thread_, process_.proactor(), process_.clock(),
                                      config_.state_dir + "/agent/audit.jsonl");
  api_ = std::make_unique<AgentApi>(AgentApi::Parts{*catalog_, *ipam_, balancer_, publisher_.get(), *audit_}, std::move(facts));
  RETURN_IF_ERROR(AddOperatorPages());
  // The API answers while the agent is still starting: then these calls are told to try later, as if it were away.
  api_->AddShim("cni", [this](nlohmann::json request) { return CallOf(cni_, std::move(request)); });
  api_->AddShim("netavark", [this](nlohmann::json request) { return CallOf(netavark_, std::move(request)); });
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

Status Agent::AddOperatorPages() {
  std::set<std::string> file_pools;
  for (const ipam::PoolSpec& pool : config_.pools) file_pools.insert(pool.name);
  lease_api_ = std::make_unique<LeaseApi>(Parts());
  pool_api_ = std::make_unique<PoolApi>(Parts(), std::move(file_pools), Join(config_.files, ", "));
  network_api_ = std::make_unique<NetworkApi>(Parts());
  lease_api_->AddTo(*api_);
  pool_api_->AddTo(*api_);
  network_api_->AddTo(*api_);
  adopter_ = std::make_unique<Adopter>(Parts(), files_, *store_thread_, config_.state_dir + "/agent/adopted.json");
  RETURN_IF_ERROR(Await(adopter_->Load()));
  adopter_->AddTo(*api_);
  EndpointBook::Sink& rows = *this;
  book_ = std::make_unique<EndpointBook>(process_.proactor(), files_, *store_thread_, hosts_->book(),
                                         config_.state_dir + "/agent/endpoints.json", config_.node_name, rows);
  RETURN_IF_ERROR(Await(book_->Load()));
  endpoint_api_ = std::make_unique<EndpointApi>(*book_, [this](std::string service, HostPort address) {
    return RemoveOfFile(std::move(service), address);
  });
  endpoint_api_->AddTo(*api_);
  env_api_ = std::make_unique<EnvApi>(Parts(), *catalog_, *book_, [this](const std::string& engine) -> runtime::Engine* {
    if (engine == "docker") return engine_.get();
    if (engine == "podman") return podman_.get();
    return engine == "containerd" ? containerd_.get() : nullptr;
  });
  env_api_->AddTo(*api_);
  return OkStatus();
}

Status Agent::StartReconciler() {
  Reconciler::Host host;
  host.records = [this] { return plugin_->Snapshot(); };
  host.kernel_endpoints = [this] { return KernelEndpoints(*network_thread_, process_.proactor(), *driver_); };
  host.missing_bridges = [this](std::vector<runtime::NetworkRecord> networks) {
    return MissingBridges(*network_thread_, process_.proactor(), std::move(networks));
  };
  host.remove_interface = [this](std::string id) {
    return RemoveInterface(*network_thread_, process_.proactor(), *driver_, std::move(id));
  };
  host.forget_endpoint = [this](std::string id) { return plugin_->ForgetEndpoint(std::move(id)); };
  host.forget_network = [this](std::string id) { return plugin_->ForgetNetwork(std::move(id)); };
  host.restore_network = [this](std::string id) { return plugin_->RestoreNetwork(std::move(id)); };
  host.file_pools = [this]() -> StatusOr<std::vector<ipam::PoolSpec>> {
    ASSIGN_OR_RETURN(Config now, LoadConfig({.file = config_.file}));
    return std::move(now.pools);
  };
  host.used_elsewhere = [this](const IpAddress& ip) { return attachments_->Uses(ip); };
  reconciler_ = std::make_unique<Reconciler>(Parts(), std::move(host));
  reconciler_->AddTo(*api_);
  return OkStatus();
}

Status Agent::StartPlugin() {
  runtime::PluginConfig plugin{
      .node = config_.node_name, .driver = config_.plugin_name, .site = config_.site, .dns_address = ContainerDnsAddress(config_)};
  plugin_ = std::make_unique<runtime::DockerPlugin>(
      plugin, runtime::DockerPlugin::Parts{process_.proactor(), process_.clock(), process_.random(), *engine_, *ipam_,
                                           *plugin_store_, *store_thread_, *driver_, *network_thread_, *probe_thread_, PodmanAsNeighbour()});
  RETURN_IF_ERROR(Await(plugin_->Start()));
  api_->AddShim("pin", [this](nlohmann::json request) { return plugin_->PinContainer(std::move(request)); });
  api_->AddShim("starting", [this](nlohmann::json request) { return plugin_->StartingContainer(std::move(request)); });
  return OkStatus();
}

// The plugin socket comes from systemd (fairlead.socket), from the holder, or is our own where neither is there. Calls
// are taken when the attachments are known: some of them ask who has a name.
Status Agent::ServePlugin() {
  if (!HasDocker()) return OkStatus();
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
        if (watcher_ != nullptr) watcher_->EngineCalled();
        return plugin_->Handle(request, context);
      });
  plugin_server_->Serve(*std::move(listener));
  return OkStatus();
}

// After the Docker plugin: a network that it knows is used as it is.
Status Agent::ServeAttachments() {
  const IpAddress dns = ContainerDnsAddress(config_);
  attachments_ = std::make_unique<runtime::Attachments>(
      config_.node_name, config_.site, dns,
      runtime::Attachments::Parts{
          .proactor = process_.proactor(), .ipam = *ipam_, .store = *attachment_store_, .store_thread = *store_thread_,
          .driver = *driver_, .network_thread = *network_thread_, .probe_thread = *probe_thread_,
          .namespace_there = [](const std::string& path) { return access(path.c_str(), F_OK) == 0; },
          .holder_elsewhere = [this](const ipam::LeaseKey& key) { return HolderInDocker(key); },
          .known_network = [this](const std::string& name) { return plugin_->NetworkNamed(name); }});
  RETURN_IF_ERROR(Await(attachments_->Start()));
  cni_ = std::make_unique<runtime::CniPlugin>(
      runtime::CniPlugin::Parts{process_.proactor(), *attachments_, *store_thread_});
  netavark_ = std::make_unique<runtime::NetavarkPlugin>(*attachments_, dns);
  return OkStatus();
}

// The attachments are made after the plugin: until then their containers' names are asked for by nobody.
runtime::Neighbours Agent::PodmanAsNeighbour() {
  runtime::Neighbours podman;
  podman.holder = [this](const ipam::LeaseKey& key) { return attachments_ ? attachments_->HolderOf(key) : ""; };
  podman.keep_network = [this](dataplane::NetworkSpec network) { return KeepForPodman(attachments_.get(), std::move(network)); };
  podman.may_make = [this](const dataplane::NetworkSpec& network) {
    return attachments_ ? attachments_->MayMake(network) : OkStatus();
  };
  return podman;
}

// The plugin knows its own endpoints at once, the rows also containers that another driver gave the address.
std::string Agent::HolderInDocker(const ipam::LeaseKey& key) const {
  std::string holder = plugin_->HolderOf(key);
  const auto lease = ipam_->Find(key);
  if (!holder.empty() || !lease || !lease->attached) return holder;
  catalog_->ForEach([&](const std::shared_ptr<const discovery::Row>& row) {
    if (const discovery::EndpointRow* endpoint = row->endpoint(); endpoint != nullptr && endpoint->engine == "docker")
      for (const discovery::Address& address : endpoint->addresses)
        if (address.ip == lease->ip) holder = Cat("container ", endpoint->name, " of Docker");
  });
  return holder;
}

void Agent::FollowEngines() {
  runtime::EndpointSink& sink = *this;
  runtime::RowContext context{.node = config_.node_name, .drivers = {config_.plugin_name}, .node_addresses = NodeAddresses(), .dialects = config_.dialects};
  watcher_ = std::make_unique<runtime::EngineWatcher>(process_.proactor(), *engine_, context, sink);
  ObserveLag("docker", *watcher_);
  // On a host of Podman alone there is no Docker to wait for; one that comes later is followed all the same.
  if (HasDocker() && (config_.docker_wanted || (config_.podman_socket.empty() && containerd_ == nullptr) || access(config_.docker_socket.c_str(), F_OK) == 0))
    unlisted_.insert("docker");
  if (podman_ != nullptr) {
    context.engine = "podman";
    context.drivers = {"fairlead-cni", "fairlead-netavark"};
    podman_watcher_ = std::make_unique<runtime::EngineWatcher>(process_.proactor(), *podman_, context, podman_sink_);
    ObserveLag("podman", *podman_watcher_);
    // One that nobody asked for and nobody serves holds nothing up; it is followed once it is served.
    auto socket = SocketAddress::Unix(podman_socket_);
    if (!config_.podman_socket.empty() || (socket.ok() && SomebodyListens(*socket))) unlisted_.insert("podman");
    process_.tasks().Spawn(podman_watcher_->Run());
  }
  if (containerd_ != nullptr) {
    context.engine = "containerd";
    context.drivers = {"fairlead-cni"};
    containerd_watcher_ = std::make_unique<runtime::EngineWatcher>(process_.proactor(), *containerd_, context, containerd_sink_);
    ObserveLag("containerd", *containerd_watcher_);
    unlisted_.insert("containerd");
    process_.tasks().Spawn(containerd_watcher_->Run());
  }
  SayUnlisted();
  if (HasDocker()) process_.tasks().Spawn(watcher_->Run());
  // Nobody will tell of containers: what owners registered is all there is.
  if (!HasDocker() && unlisted_.empty()) process_.tasks().Spawn(EndFirstLook());
}

void Agent::Start() {
  process_.OnScrape([this] { CountForScrape(); });
  process_.tasks().Spawn(ExpireLeases());
  process_.tasks().Spawn(book_->Run());
  hosts_->Start();
  FollowEngines();
  if (getenv("FAIRLEAD_PARENT") != nullptr) {
    process_.SetObstacle("dns", "starting");
    process_.SetObstacle("lb", "starting");
    process_.tasks().Spawn(WatchSiblings());
  }
  process_.tasks().Spawn(io::AcceptLoop(*stream_listener_, process_.tasks(),
                                        [this](int fd) { return publisher_->Serve(fd); }));
}

void Agent::Stop() {
  if (plugin_server_ != nullptr) Await(Stopped(plugin_server_.get()));
  if (plugin_ != nullptr) Await(Stopped(plugin_.get()));
  if (checks_ != nullptr) Await(Stopped(checks_.get()));
  if (holder_control_ >= 0) close(holder_control_);  // gives the plugin socket back
}

// A health_check of the file goes before those of labels.
void Agent::Upsert(discovery::EndpointRow row) {
  for (discovery::ServiceEntry& entry : row.services) {
    const std::string name = lb::ServiceNameOf(row, entry);
    for (const lb::ServiceSpec& spec : config_.lb.services) {
      if (spec.name != name) continue;
      if (spec.health_check.kind != discovery::CheckKind::kNone) entry.check = spec.health_check;
      entry.fail_open_below = spec.fail_open_below;
    }
  }
  checks_->Upsert(std::move(row));
}

std::shared_ptr<const discovery::EndpointRow> Agent::Find(const std::string& engine_id) {
  return checks_->Find(KeyOfContainer(config_.node_name, engine_id));
}

void Agent::ObserveLag(const std::string& engine, runtime::EngineWatcher& watcher) {
  watcher.ObserveLag(process_.metrics().histogram("fairlead_discovery_event_lag_seconds",
                                                  "From an engine's event to the catalog that has what it told of", {{"engine", engine}}));
}

void Agent::Registered(discovery::EndpointRow row) { Upsert(std::move(row)); }

void Agent::Unregistered(const std::string& key) {
  checks_->Remove(key);
  catalog_->Remove(key);
}

// The balancer first: it has the traffic. What we know of the file is for those who ask.
io::Task<Status> Agent::RemoveOfFile(std::string service, HostPort address) {
  CO_RETURN_IF_ERROR(file_endpoints_->Has(service, address));
  CO_ASSIGN_OR_RETURN(SocketAddress admin, SocketAddress::Unix(config_.lb_admin_socket));
  http::Request request{.method = "DELETE", .target = Cat("/v1/endpoints?service=", PercentEncode(service), "&address=",
                                                          PercentEncode(address.ToString()))};
  auto answer = co_await http::Fetch(process_.proactor(), admin, std::move(request), process_.proactor().Now() + kSecond);
  if (!answer.ok()) co_return Unavailable("the balancer of this host does not answer, so the endpoint stays: ", Message(answer.status()));
  if (answer->status != 200) co_return ErrorOf(answer->status, nlohmann::json::parse(answer->body, nullptr, false));
  co_return file_endpoints_->Remove(service, address);
}

void Agent::Publish(discovery::EndpointRow row) {
  row.lease_revision = 0;
  for (const discovery::Address& address : row.addresses)
    if (auto lease = ipam_->Find({address.network, config_.node_name, row.name, address.ip.is_v6()}); lease.has_value())
      row.lease_revision = std::max(row.lease_revision, lease->revision);
  bool docker = row.engine == "docker";  // whose networks alone are adopted
  bool out_of_step = docker && row.state == discovery::RunState::kRunning && std::ranges::any_of(row.addresses, [&](const auto& address) {
    return adopter_->OutOfStep(address.network, row.name, address.ip);
  });
  catalog_->Upsert(std::move(row));
  if (out_of_step) process_.tasks().Spawn(adopter_->Follow());
}

void Agent::Remove(std::string engine_id) {
  plugin_->ContainerGone(engine_id);
  RemoveRow(engine_id);
}

void Agent::RemoveRow(const std::string& engine_id) {
  const std::string key = KeyOfContainer(config_.node_name, engine_id);
  checks_->Remove(key);
  catalog_->Remove(key);
}

// What the former agent had found healthy stays in the traffic until this one has looked itself.
io::Task<void> Agent::EndFirstLook() {
  if (co_await checks_->FirstLook()) catalog_->MarkSynced();
}

// Consumers drop what the former agent had and this one has not only once every engine has told what it has.
void Agent::Listed(const std::string& engine) {
  unlisted_.erase(engine);
  SayUnlisted();
  if (unlisted_.empty()) process_.tasks().Spawn(EndFirstLook());
}

void Agent::SayUnlisted() {
  process_.SetObstacle("engine", unlisted_.empty() ? "" : Cat(*unlisted_.begin(), " has not been listed yet"));
}

void Agent::Synced() {
  Listed("docker");
  process_.tasks().Spawn(EnsureNetworks(Parts(), config_.networks));
  process_.tasks().Spawn(KeepTrue());
}

void Agent::Inspected(const runtime::ContainerDetails& container) { plugin_->ContainerSeen(container); }
void Agent::NetworkSeen(const runtime::NetworkDetails& network) { plugin_->NetworkSeen(network); }

void Agent::LeaseChanged(const ipam::Lease& lease, bool gone) {
  for (runtime::LeaseRows::Change& change : lease_rows_->Of(lease, gone)) {
    if (change.gone) {
      catalog_->Remove(KeyOf(change.row));
    } else {
      catalog_->Upsert(std::move(change.row));
    }
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
    if (watcher_->connected()) co_await KeepTrue();
    if (Status status = co_await ipam_->Expire(); !status.ok())
      LOG(kWarning, "leases past their time stay for now", {"because", Message(status)});
  }
}

// What no call or event told: an engine that let a container go while we were away met the holder; a container of an
// adopted network was re-created there.
io::Task<void> Agent::KeepTrue() {
  co_await adopter_->Follow();
  co_await reconciler_->Reconcile();
}

void Agent::CountForScrape() {
  Metrics& metrics = process_.metrics();
  ScrapePools(*ipam_, metrics);
  ScrapeDocker(plugin_->stats(), metrics);
  ScrapeWatch("docker", watcher_->stats(), metrics);
  if (podman_watcher_ != nullptr) ScrapeWatch("podman", podman_watcher_->stats(), metrics);
  if (containerd_watcher_ != nullptr) ScrapeWatch("containerd", containerd_watcher_->stats(), metrics);
  ScrapeAttachments(attachments_->stats(), attachments_->records().size(), metrics);
  ScrapeProbes("cni", attachments_->giver_stats(), metrics);
  ScrapeReconciler(reconciler_->stats(), metrics);
  ScrapeAudit(audit_->stats(), metrics);
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
