#include "runtime-shim/docker_plugin.h"

#include <algorithm>
#include <array>
#include <memory>
#include <set>

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

Nanos TimeoutOf(std::string_view call) { return call.starts_with("NetworkDriver.") ? kKernelTimeout : kAnswerTimeout; }

http::Reply JsonReply(std::string body) {
  http::Reply reply;
  reply.headers = {{"Content-Type", "application/vnd.docker.plugins.v1.2+json"}};
  reply.body = std::move(body);
  return reply;
}

}  // namespace

struct DockerPlugin::State {
  State(PluginConfig c, Parts p)
      : config(std::move(c)),
        parts(p),
        objects(p.proactor, p.store, p.store_thread),
        giver(p.proactor, p.ipam, p.driver, p.probe_thread),
        names(config.node, config.site, p.proactor, p.engine, p.ipam, giver, objects, p.random, parts.neighbours),
        ipam(p.proactor, p.engine, p.ipam, objects, names, p.random),
        network(config.node, config.dns_address,
                {p.proactor, p.engine, p.ipam, objects, names, ipam, p.driver, p.network_thread, tasks, parts.neighbours}),
        pinner(p.proactor, p.engine, p.ipam, objects, names, tasks) {
    parts.ipam.SetConfigured([this](const ipam::Lease& lease) { return names.Configured(lease.key.network, lease.ip); });
  }
  State(const State&) = delete;
  ~State() { parts.ipam.SetConfigured(nullptr); }

  io::Task<StatusOr<Json>> Dispatch(std::string_view call, const Json& request, Nanos deadline);
  io::Task<void> Run(std::shared_ptr<PendingCall> pending, std::string call, std::string body);
  bool Concerns(const ContainerDetails& container) const;
  void Forget(const std::string& id);
  io::Task<void> SettleContainer(ContainerDetails container);
  io::Task<void> SettleAgain();
  io::Task<void> NameNetwork(NetworkRecord network);
  io::Task<void> ReapUnclaimed();
  io::Task<StatusOr<AnnouncedStart>> StartOf(std::string container);
  void PinIfUncertain(const ContainerDetails& container, const std::string& name);
  io::Task<void> PinWhenQuiet(std::string container);
  io::Task<void> WaitAtGate(AnnouncedStart start);
  void OpenGate();
  void MarkEphemeral(const ContainerDetails& container, const std::string& pool, const IpAddress& ip);
  bool Orphan(const ipam::Lease& lease) const;

  PluginConfig config;
  Parts parts;
  io::TaskGroup tasks;
  PluginState objects;
  AddressGiver giver;
  LeaseNames names;
  IpamDriver ipam;
  NetworkDriver network;
  Pinner pinner;
  std::set<std::string> pinned_soon;                   // containers at rest that are about to be pinned
  std::map<std::string, io::Event*> at_gate;           // starts that wait, by container
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
  if (request.is_object()) result = co_await Dispatch(call, request, parts.proactor.Now() + TimeoutOf(call));
  if (!result.ok()) {
    stats.errors++;
    LOG(kWarning, "plugin call failed", {"call", call}, {"error", Message(result.status())});
  }
  OpenGate();  // a start that has asked makes room for the next
  pending->reply = result.ok() ? DumpJson(*result) : ErrorReply(call, Message(result.status()));
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
// On another driver's network no endpoint tells.
bool DockerPlugin::State::Orphan(const ipam::Lease& lease) const {
  if (!lease.attached || parts.clock.WallNow() - lease.since_wall < kClaimTimeout) return false;
  if (!parts.neighbours.holder(lease.key).empty()) return false;
  bool ours = false;
  for (const auto& [id, where] : objects.networks()) {
    if (where.name != lease.key.network && id != lease.key.network) continue;
    if (objects.UserOf(id, lease.ip) != nullptr) return false;
    ours = true;
  }
  return ours;
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
    co_await network.RecheckFilters();
    co_await pinner.Refresh(parts.clock.WallNow());
  }
}

// --- starts that the runtime wrapper announces

// What a start will ask for. Nothing: engines before 26 ask ahead of the runtime, those from 29 on tell the name.
io::Task<StatusOr<AnnouncedStart>> DockerPlugin::State::StartOf(std::string id) {
  constexpr EngineVersion kAsksAfterCreate{1, 45}, kTellsNames{1, 52};
  const Nanos deadline = parts.proactor.Now() + kEngineTimeout;
  CO_ASSIGN_OR_RETURN(EngineVersion version, co_await parts.engine.Version(deadline));
  AnnouncedStart start{.id = id};
  if (version < kAsksAfterCreate || version >= kTellsNames) co_return start;
  CO_ASSIGN_OR_RETURN(std::vector<ContainerSummary> list, co_await parts.engine.ListContainers(deadline));
  auto container = std::ranges::find(list, id, &ContainerSummary::id);
  if (container == list.end()) co_return NotFound("the engine has no container ", id);
  start.asker = {container->name, container->labels};
  const Records<PoolRecord> pools = objects.pools();
  for (const auto& [pool_id, pool] : pools) {
    std::string where = co_await names.NetworkName(pool.network_id, deadline);
    auto at = std::ranges::find(container->networks, where, &NetworkAttachment::network);
    if (where.empty() || at == container->networks.end()) continue;
    ExpectedRequest request{where, pool.subnet.network().is_v6(), {}};
    request.wanted = at->Wanted(request.v6);
    bool counted = std::ranges::find(start.requests, request) != start.requests.end();  // one of a family, however many subnets
    if (!counted) start.requests.push_back(std::move(request));
  }
  co_return start;
}

void DockerPlugin::State::OpenGate() {
  for (const std::string& id : names.gate().Tick(parts.proactor.Now())) {
    if (auto waiting = at_gate.find(id); waiting != at_gate.end()) waiting->second->Set();
  }
}

io::Task<void> DockerPlugin::State::WaitAtGate(AnnouncedStart start) {
  StartGate& gate = names.gate();
  io::Event open(parts.proactor);
  const std::string id = start.id;
  const Nanos give_up = parts.proactor.Now() + kGateWait;
  if (!at_gate.emplace(id, &open).second) co_return;  // the same start, announced twice
  gate.Announce(std::move(start), parts.proactor.Now());
  OpenGate();
  for (;;) {
    io::IoResult woken = co_await open.Wait(std::min(gate.NextTick(), give_up));
    if (!woken.timed_out()) break;
    if (parts.proactor.Now() >= give_up) gate.PassAnyway(id, parts.proactor.Now());
    OpenGate();
  }
  at_gate.erase(id);
  gate.PassAnyway(id, parts.proactor.Now());  // where its caller went away before its turn
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
      std::string pool = ip.is_set() && !at.endpoint_id.empty() ? names.PoolAt(at.network_id, ip) : "";
      if (pool.empty() || !settled.ok()) continue;
      // What was inspected may be over: only the endpoint that has the address now is settled.
      const EndpointRecord* user = objects.UserOf(at.network_id, ip);
      if (user != nullptr && user->id != at.endpoint_id) continue;
      if (container.auto_remove) MarkEphemeral(container, pool, ip);
      settled = co_await names.Settle(pool, ip, at.network, who);
      if (settled.ok()) network.Named(at.endpoint_id);
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
    PinIfUncertain(container, who.name);
    co_return;
  }
  known->second = before;  // it is a rename again when it is tried again
  if (unsettled.insert_or_assign(container.id, container).second)
    LOG(kWarning, "lease keeps its name", {"container", who.name}, {"error", Message(failed)});
}

// Its last start had to be guessed: with its own address by configuration the next one need not be.
void DockerPlugin::State::PinIfUncertain(const ContainerDetails& container, const std::string& name) {
  if (container.state != "exited" && container.state != "created") return;
  bool wanted = std::ranges::any_of(container.networks, [&](const NetworkAttachment& at) {
    return names.Uncertain(at.network, name) && !objects.FindPin(PinId(container.id, at.network));
  });
  if (wanted && pinned_soon.insert(container.id).second) tasks.Spawn(PinWhenQuiet(container.id));
}

// Not between the two halves of `docker restart`: taking a container from its network as it starts would cut it off.
io::Task<void> DockerPlugin::State::PinWhenQuiet(std::string container) {
  io::IoResult slept = co_await io::Sleep(parts.proactor, kStopQuiet);
  pinned_soon.erase(container);
  if (slept.ok()) pinner.PinSoon(container);
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
  state_->tasks.Spawn(state_->pinner.Finish());
  co_return OkStatus();
}

io::Task<void> DockerPlugin::Stop() { co_await state_->tasks.CancelAndJoin(); }

io::Task<http::Reply> DockerPlugin::Handle(const http::Request& request, const http::RequestContext&) {
  std::string call(request.path().substr(request.path().starts_with('/') ? 1 : 0));
  state_->stats.calls++;
  if (auto constant = ConstantReply(call)) co_return JsonReply(*std::move(constant));
  auto pending = std::make_shared<PendingCall>(state_->parts.proactor);
  state_->tasks.Spawn(state_->Run(pending, call, request.body));
  io::IoResult answered = co_await pending->done.Wait(state_->parts.proactor.Now() + TimeoutOf(call));
  if (pending->answered) co_return JsonReply(std::move(pending->reply));
  pending->abandoned = true;
  state_->stats.timeouts += answered.timed_out() ? 1 : 0;
  LOG(kError, "plugin call given up", {"call", call});
  co_return JsonReply(ErrorReply(call, Cat("no answer within ", TimeoutOf(call) / kSecond,
                                                " s: the disk or the kernel is slow; try again")));
}

io::Task<StatusOr<Json>> DockerPlugin::PinContainer(Json request) {
  std::string container = Text(request, "container");
  if (container.empty()) co_return InvalidArgument("pin: no container is named");
  const int64_t patience_ms = std::clamp<int64_t>(Integer(request, "patience_ms", kPinAnswer / kMillisecond), 0, kPinAnswer / kMillisecond);
  Status pinned = co_await state_->pinner.Pin(std::move(container), state_->parts.proactor.Now() + patience_ms * kMillisecond);
  if (pinned.code() == StatusCode::kDeadlineExceeded) co_return Json{{"under_way", true}};
  if (!pinned.ok()) co_return pinned;
  co_return Json::object();
}

io::Task<StatusOr<Json>> DockerPlugin::StartingContainer(Json request) {
  std::string container = Text(request, "container");
  if (container.empty()) co_return InvalidArgument("starting: no container is named");
  CO_ASSIGN_OR_RETURN(AnnouncedStart start, co_await state_->StartOf(std::move(container)));
  if (!start.requests.empty()) co_await state_->WaitAtGate(std::move(start));
  co_return Json::object();
}

// On a network of ours, or that may come to one at its start: of all others nothing is kept.
bool DockerPlugin::State::Concerns(const ContainerDetails& container) const {
  auto pin = objects.pins().lower_bound(PinId(container.id, ""));
  if (pin != objects.pins().end() && pin->second.container == container.id) return true;
  return std::ranges::any_of(container.networks, [&](const NetworkAttachment& at) {
    return at.network_id.empty() || objects.networks().contains(at.network_id);  // one that has not started yet has no id there
  });
}

void DockerPlugin::State::Forget(const std::string& id) {
  names.Gone(id);
  container_names.erase(id);
  unsettled.erase(id);
  OpenGate();
}

void DockerPlugin::ContainerSeen(const ContainerDetails& container) {
  state_->names.EngineHeard();
  if (!state_->Concerns(container)) return state_->Forget(container.id);
  state_->names.Seen(container);
  state_->OpenGate();
  state_->tasks.Spawn(state_->SettleContainer(container));
}

void DockerPlugin::ContainerGone(const std::string& id) {
  state_->Forget(id);
  state_->tasks.Spawn(state_->pinner.ContainerGone(id));
}

PluginStore::Contents DockerPlugin::Snapshot() const {
  PluginStore::Contents contents;
  for (const auto& [id, pool] : state_->objects.pools()) contents.pools.push_back(pool);
  for (const auto& [id, network] : state_->objects.networks()) contents.networks.push_back(network);
  for (const auto& [id, endpoint] : state_->objects.endpoints()) contents.endpoints.push_back(endpoint);
  return contents;
}

io::Task<Status> DockerPlugin::ForgetEndpoint(std::string id) {
  auto endpoint = state_->objects.FindEndpoint(id);
  if (!endpoint) co_return OkStatus();
  CO_RETURN_IF_ERROR((co_await state_->network.DeleteEndpoint({{"EndpointID", id}}, kNever)).status());
  for (const InterfaceAddress& address : endpoint->addresses) {
    std::string pool = state_->names.PoolAt(endpoint->network_id, address.address);
    if (!pool.empty()) CO_RETURN_IF_ERROR(co_await state_->ipam.Detach(std::move(pool), address.address));
  }
  co_return OkStatus();
}

io::Task<Status> DockerPlugin::ForgetNetwork(std::string id) {
  CO_RETURN_IF_ERROR((co_await state_->network.DeleteNetwork({{"NetworkID", id}}, kNever)).status());
  Records<PoolRecord> pools = state_->objects.pools();
  for (const auto& [pool_id, pool] : pools)
    if (pool.network_id == id) CO_RETURN_IF_ERROR((co_await state_->ipam.ReleasePool({{"PoolID", pool_id}}, kNever)).status());
  co_return OkStatus();
}

io::Task<Status> DockerPlugin::RestoreNetwork(std::string id) {
  auto network = state_->objects.FindNetwork(id);
  if (!network) co_return NotFound("network ", id, " is not known");
  const Records<EndpointRecord> endpoints = state_->objects.endpoints();
  co_return co_await io::OffloadTo(state_->parts.network_thread, state_->parts.proactor, [&]() -> Status {
    dataplane::Driver& driver = state_->parts.driver;
    RETURN_IF_ERROR(driver.EnsureNetwork(SpecOf(*network)));
    ASSIGN_OR_RETURN(const std::vector<std::string> present, driver.ListEndpoints());
    for (const auto& [endpoint_id, endpoint] : endpoints) {
      // One whose interface is gone would get a new one here, of which its container knows nothing.
      const bool there = std::ranges::find(present, endpoint_id) != present.end();
      if (endpoint.network_id == id && there) RETURN_IF_ERROR(driver.Attach(SpecOf(*network), SpecOf(endpoint)).status());
    }
    return OkStatus();
  });
}

void DockerPlugin::NetworkSeen(const NetworkDetails& network) {
  auto known = state_->objects.FindNetwork(network.id);
  if (!known || known->name == network.name || network.name.empty()) return;
  known->name = network.name;
  state_->tasks.Spawn(state_->NameNetwork(*std::move(known)));
}

std::string DockerPlugin::HolderOf(const ipam::LeaseKey& key) const { return state_->names.HolderOf(key); }

std::optional<dataplane::NetworkSpec> DockerPlugin::NetworkNamed(std::string_view name) const {
  for (const auto& [id, network] : state_->objects.networks())
    if (network.name == name) return SpecOf(network);
  return std::nullopt;
}

const DockerPlugin::Stats& DockerPlugin::stats() const {
  state_->stats.names = state_->names.stats();
  state_->stats.finder = state_->names.finder_stats();
  state_->stats.gate = state_->names.gate_stats();
  state_->stats.pins = state_->pinner.stats();
  state_->stats.giver = state_->giver.stats();
  state_->stats.network = state_->network.stats();
  return state_->stats;
}

}  // namespace fairlead::runtime
