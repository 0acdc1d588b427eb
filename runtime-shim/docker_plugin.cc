#include "runtime-shim/docker_plugin.h"

#include <array>
#include <memory>

#include "base/log.h"
#include "runtime-shim/network_driver.h"
#include "runtime-shim/plugin_holder.h"
#include "base/io/event.h"

namespace fairlead::runtime {
namespace {

// A call under way and whoever waits for its answer; either may be gone before the other.
struct PendingCall {
  explicit PendingCall(io::Proactor& proactor) : done(proactor) {}
  io::Event done;
  bool answered = false, abandoned = false;
  std::string reply;
};

http::Reply JsonReply(std::string body) {
  http::Reply reply;
  reply.headers = {{"Content-Type", "application/vnd.docker.plugins.v1.2+json"}};
  reply.body = std::move(body);
  return reply;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

struct DockerPlugin::State {
  State(PluginConfig c, Parts p)
      : config(std::move(c)),
        parts(p),
        objects(p.proactor, p.store, p.store_thread),
        names(config.node, p.proactor, p.engine, p.ipam, objects, p.random),
        ipam(p.engine, p.ipam, objects, names, p.random),
        network(config.node, config.dns_address,
                {p.proactor, p.engine, p.ipam, objects, names, ipam, p.driver, p.network_thread, tasks}) {}

  io::Task<StatusOr<Json>> Dispatch(std::string_view call, const Json& request, Nanos deadline);
  io::Task<void> Run(std::shared_ptr<PendingCall> pending, std::string call, std::string body);
  io::Task<void> SettleContainer(ContainerDetails container);
  io::Task<void> SettleAgain();
  io::Task<void> NameNetwork(NetworkRecord network);
  io::Task<void> ReapUnclaimed();
  void MarkEphemeral(const ContainerDetails& container, const std::string& pool, const IpAddress& ip);
  std::optional<PoolRecord> PoolOf(const NetworkAttachment& at, const IpAddress& ip) const;
  bool Orphan(const ipam::Lease& lease) const;

  PluginConfig config;
  Parts parts;
  io::TaskGroup tasks;
  PluginState objects;
  LeaseNames names;
  IpamDriver ipam;
  NetworkDriver network;
  std::map<std::string, std::string> container_names;  // id → canonical name, to notice renames
  std::map<std::string, ContainerDetails> unsettled;   // by id: their leases could not be given their names yet
  Stats stats;
};

io::Task<StatusOr<Json>> DockerPlugin::State::Dispatch(std::string_view call, const Json& request, Nanos deadline) {
  using IpamCall = io::Task<StatusOr<Json>> (IpamDriver::*)(const Json&, Nanos);
  using NetworkCall = io::Task<StatusOr<Json>> (NetworkDriver::*)(const Json&, Nanos);
  static constexpr std::array<std::pair<std::string_view, IpamCall>, 4> kIpam{{
      {"IpamDriver.RequestPool", &IpamDriver::RequestPool},
      {"IpamDriver.ReleasePool", &IpamDriver::ReleasePool},
      {"IpamDriver.RequestAddress", &IpamDriver::RequestAddress},
      {"IpamDriver.ReleaseAddress", &IpamDriver::ReleaseAddress}}};
  static constexpr std::array<std::pair<std::string_view, NetworkCall>, 13> kNetwork{{
      {"NetworkDriver.CreateNetwork", &NetworkDriver::CreateNetwork},
      {"NetworkDriver.DeleteNetwork", &NetworkDriver::DeleteNetwork},
      {"NetworkDriver.CreateEndpoint", &NetworkDriver::CreateEndpoint},
      {"NetworkDriver.DeleteEndpoint", &NetworkDriver::DeleteEndpoint},
      {"NetworkDriver.EndpointOperInfo", &NetworkDriver::EndpointInfo},
      {"NetworkDriver.Join", &NetworkDriver::Join},
      {"NetworkDriver.Leave", &NetworkDriver::Leave},
      {"NetworkDriver.DiscoverNew", &NetworkDriver::Nothing},
      {"NetworkDriver.DiscoverDelete", &NetworkDriver::Nothing},
      {"NetworkDriver.ProgramExternalConnectivity", &NetworkDriver::Nothing},
      {"NetworkDriver.RevokeExternalConnectivity", &NetworkDriver::Nothing},
      {"NetworkDriver.AllocateNetwork", &NetworkDriver::Nothing},
      {"NetworkDriver.FreeNetwork", &NetworkDriver::Nothing}}};
  for (auto [name, member] : kIpam) {
    if (name == call) co_return co_await (ipam.*member)(request, deadline);
  }
  for (auto [name, member] : kNetwork) {
    if (name == call) co_return co_await (network.*member)(request, deadline);
  }
  co_return Unimplemented("call ", call, " is not known to this plugin");
}

io::Task<void> DockerPlugin::State::Run(std::shared_ptr<PendingCall> pending, std::string call, std::string body) {
  Json request = Json::parse(body.empty() ? "{}" : body, nullptr, /*allow_exceptions=*/false);
  StatusOr<Json> result = InvalidArgument("the request is no JSON object");
  if (request.is_object()) result = co_await Dispatch(call, request, parts.proactor.Now() + kAnswerTimeout);
  if (!result.ok()) {
    stats.errors++;
    LOG(kWarning, "plugin call failed", {"call", call}, {"error", Message(result.status())});
  }
  pending->reply = result.ok() ? Dump(*result) : ErrorReply(call, Message(result.status()));
  pending->answered = true;
  pending->done.Set();
  if (!pending->abandoned || !result.ok() || call != "IpamDriver.RequestAddress") co_return;
  // dockerd was told that it failed: nobody will use or release this address.
  std::string address = Text(*result, "Address");
  Json release{{"PoolID", Text(request, "PoolID")}, {"Address", address.substr(0, address.find('/'))}};
  auto released = co_await ipam.ReleaseAddress(release, kNever);
  if (!released.ok()) LOG(kWarning, "abandoned address not detached", {"address", address});
}

// What held a name back goes by: a full disk, the name's old address until it is reaped. No event tells of it.
io::Task<void> DockerPlugin::State::SettleAgain() {
  const std::map<std::string, ContainerDetails> again = unsettled;
  for (const auto& [id, container] : again) {
    if (unsettled.contains(id)) co_await SettleContainer(container);
  }
}

// Retries and replays do not come for these, so an attached lease that no endpoint took is one of a start that failed.
bool DockerPlugin::State::Orphan(const ipam::Lease& lease) const {
  if (!lease.attached || parts.clock.WallNow() - lease.since_wall < kClaimTimeout) return false;
  bool pool_of_ours = false;
  for (const auto& [id, pool] : objects.pools()) {
    if (pool.pool != lease.pool || !pool.subnet.Contains(lease.ip)) continue;
    if (!objects.FindNetwork(pool.network_id)) return false;  // another driver's network: no endpoint tells
    if (objects.UserOf(pool, lease.ip) != nullptr) return false;
    pool_of_ours = true;
  }
  return pool_of_ours;
}

io::Task<void> DockerPlugin::State::ReapUnclaimed() {
  while ((co_await io::Sleep(parts.proactor, kClaimTimeout / 2)).ok()) {
    for (const ipam::Lease& lease : parts.ipam.Leases()) {
      if (!Orphan(lease)) continue;
      stats.unclaimed++;
      Status detached = co_await ipam.Detach(lease.pool, lease.ip);
      if (!detached.ok()) LOG(kWarning, "unclaimed address not detached", {"lease", lease.key.ToString()});
    }
    co_await SettleAgain();
  }
}

std::optional<PoolRecord> DockerPlugin::State::PoolOf(const NetworkAttachment& at, const IpAddress& ip) const {
  return ip.is_set() && !at.endpoint_id.empty() ? objects.PoolOf(at.network_id, ip) : std::nullopt;
}

void DockerPlugin::State::MarkEphemeral(const ContainerDetails& container, const std::string& pool, const IpAddress& ip) {
  auto lease = parts.ipam.FindByAddress(pool, ip);
  // A lease from before this container is its name's: one `run --rm` must not cost a lasting name its address.
  if (lease && container.created_wall != 0 && lease->acquired_wall >= container.created_wall) ipam.MarkEphemeral(pool, ip);
}

io::Task<void> DockerPlugin::State::SettleContainer(ContainerDetails container) {
  TrueName who = TrueNameOf(container.name, container.labels);
  std::string before = std::exchange(container_names[container.id], who.name);
  Status failed = OkStatus();
  for (const NetworkAttachment& at : container.networks) {
    Status settled = OkStatus();
    for (const IpAddress& ip : {at.ipv4.address, at.ipv6.address}) {
      auto pool = PoolOf(at, ip);
      if (!pool || !settled.ok()) continue;
      // What was inspected may be over: only the endpoint that has the address now is settled.
      const EndpointRecord* user = objects.UserOf(*pool, ip);
      if (user != nullptr && user->id != at.endpoint_id) continue;
      if (container.auto_remove) MarkEphemeral(container, pool->pool, ip);
      settled = co_await names.Settle(pool->pool, ip, at.network, who);
    }
    if (settled.ok() && at.endpoint_id.empty() && !before.empty() && before != who.name) {
      settled = co_await names.Move(at.network, before, who);
    }
    if (!settled.ok()) failed = settled;
  }
  auto known = container_names.find(container.id);
  if (known == container_names.end() || known->second != who.name) co_return;  // gone, or renamed: settled by itself
  if (failed.ok()) {
    unsettled.erase(container.id);
    co_return;
  }
  known->second = before;  // it is a rename again when it is tried again
  if (unsettled.insert_or_assign(container.id, container).second)
    LOG(kWarning, "lease keeps its name", {"container", who.name}, {"error", Message(failed)});
}

io::Task<void> DockerPlugin::State::NameNetwork(NetworkRecord network_record) {
  Status kept = co_await objects.Put(network_record);
  if (!kept.ok()) LOG(kWarning, "network name not kept", {"network", network_record.name}, {"error", Message(kept)});
}

DockerPlugin::DockerPlugin(PluginConfig config, Parts parts) : state_(std::make_unique<State>(std::move(config), parts)) {}
DockerPlugin::~DockerPlugin() = default;

io::Task<Status> DockerPlugin::Start() {
  CO_RETURN_IF_ERROR(co_await state_->objects.Load());
  CO_RETURN_IF_ERROR(co_await state_->network.Restore());
  state_->tasks.Spawn(state_->ReapUnclaimed());
  co_return OkStatus();
}

io::Task<void> DockerPlugin::Stop() { co_await state_->tasks.CancelAndJoin(); }

io::Task<http::Reply> DockerPlugin::Handle(const http::Request& request, const http::RequestContext&) {
  std::string call(request.path().substr(request.path().starts_with('/') ? 1 : 0));
  state_->stats.calls++;
  if (auto constant = ConstantReply(call)) co_return JsonReply(*std::move(constant));
  auto pending = std::make_shared<PendingCall>(state_->parts.proactor);
  state_->tasks.Spawn(state_->Run(pending, call, request.body));
  io::IoResult answered = co_await pending->done.Wait(state_->parts.proactor.Now() + kAnswerTimeout);
  if (pending->answered) co_return JsonReply(std::move(pending->reply));
  pending->abandoned = true;
  state_->stats.timeouts += answered.timed_out() ? 1 : 0;
  LOG(kError, "plugin call given up", {"call", call});
  co_return JsonReply(ErrorReply(call, "no answer within 2 s: the disk or the kernel is slow; try again"));
}

void DockerPlugin::ContainerSeen(const ContainerDetails& container) {
  state_->names.EngineHeard();
  state_->tasks.Spawn(state_->SettleContainer(container));
}

void DockerPlugin::ContainerGone(const std::string& id) {
  state_->container_names.erase(id);
  state_->unsettled.erase(id);
}

void DockerPlugin::NetworkSeen(const NetworkDetails& network) {
  auto known = state_->objects.FindNetwork(network.id);
  if (!known || known->name == network.name || network.name.empty()) return;
  known->name = network.name;
  state_->tasks.Spawn(state_->NameNetwork(*std::move(known)));
}

const DockerPlugin::Stats& DockerPlugin::stats() const {
  state_->stats.provisional = state_->names.provisional();
  state_->stats.renamed = state_->names.renamed();
  return state_->stats;
}

}  // namespace fairlead::runtime
