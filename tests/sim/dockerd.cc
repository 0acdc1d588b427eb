#include "tests/sim/dockerd.h"

#include "base/http/client.h"

namespace fairlead::fleet {
namespace {

constexpr Nanos kPluginPatience = 15 * kSecond;   // dockerd tries a plugin that is away for so long
constexpr Nanos kCallTimeout = 60 * kSecond;      // it waits for an answer for ever; a bound so that a run ends
constexpr Nanos kStopTimeout = 10 * kSecond;
constexpr Nanos kLongestGrace = 400 * kMillisecond;  // of a program between SIGTERM and its last request
constexpr Nanos kTeardown = 3 * kMillisecond;      // of a namespace
constexpr Nanos kLongestEventDelay = 2 * kMillisecond;

sim::SimProactorOptions Small() { return {.buffers = {{32, 4096}, {4, 4096}}}; }

}  // namespace

Dockerd::Dockerd(const Parts& parts) : parts_(parts), proactor_(parts.world, parts.host, Small()), random_(parts.world.random().Next()) {}
Dockerd::~Dockerd() = default;

// --- what the agent sees

void Dockerd::SetView(runtime::ScriptedEngine* view) {
  if (view_ != nullptr) view_->on_changed = nullptr;  // what a killed agent still had under way changes nothing
  view_ = view;
  if (view_ != nullptr) view_->SetClock(parts_.world.clock());
  view_number_++;
  if (view_ == nullptr) return;
  view_->SetDown(!up_);
  view_->on_changed = [this](const std::string& id) { Placed(id); };
  if (!network_.id.empty()) view_->network(network_.id) = network_;
  for (const auto& [id, container] : containers_) Show(id);
  for (const std::string& id : starting_) view_->SetLocked(id, true);
}

void Dockerd::Show(const std::string& id) {
  if (view_ == nullptr) return;
  auto found = containers_.find(id);
  if (found == containers_.end()) {
    view_->Remove(id);
  } else {
    view_->container(id) = found->second.details;
  }
  if (network_.id.empty()) return;
  network_.members.clear();
  for (const auto& [other, container] : containers_)
    if (!container.endpoint.empty()) network_.members.push_back({container.endpoint, container.details.name});
  view_->network(network_.id) = network_;
}

// The agent took a container from its network, or put it back with an address of its own.
void Dockerd::Placed(const std::string& id) {
  auto found = containers_.find(id);
  if (found == containers_.end()) return;
  Container& container = found->second;
  if (container.running() || starting_.contains(id))  // while it is being stopped a change waits for its lock
    return parts_.verdict.Fail("pins", Cat(container.details.name, " is taken from its network while it runs"));
  container.details.networks = view_->container(id).networks;
  parts_.verdict.Tell(container.details.networks.empty() ? Cat("off its network: ", container.details.name)
                                                         : Cat("pinned: ", container.details.name, " at ",
                                                               container.details.networks[0].wanted.ToString()));
}

// Events come in order, each a little after what it tells of.
void Dockerd::Emit(std::string type, std::string action, const std::string& id, runtime::Labels attributes) {
  if (view_ == nullptr || !up_) return;
  bool lost = losing_events_ && random_.OneIn(4);
  last_event_at_ = std::max(last_event_at_ + 1, parts_.world.Now() + static_cast<Nanos>(random_.Below(kLongestEventDelay)));
  parts_.world.After(last_event_at_ - parts_.world.Now(), [this, type, action, id, attributes, lost, view = view_number_] {
    if (view == view_number_ && view_ != nullptr) view_->Emit(type, action, id, attributes, lost);
  });
}

void Dockerd::CutEvents() {
  if (view_ != nullptr) view_->BreakStreams(/*forget_replay=*/true);
}

// --- the plugin

// Tries again while nobody answers, as docker's client of plugins does: the agent must take a call twice.
io::Task<StatusOr<runtime::Json>> Dockerd::Call(std::string method, Json body) {
  SocketAddress socket = *SocketAddress::Unix(kPluginSocket);
  const Nanos began = proactor_.Now();
  for (Nanos pause = kSecond;; pause *= 2) {
    if (!up_) co_return Unavailable("the engine has ended");
    http::Request request{.method = "POST", .target = Cat("/", method), .body = body.dump()};
    auto answer = co_await http::Fetch(proactor_, socket, std::move(request), proactor_.Now() + kCallTimeout);
    if (answer.ok()) {
      Json json = Json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
      std::string error = runtime::Text(json, "Err") + runtime::Text(json, "Error");
      parts_.verdict.Tell(Cat("  ", method, " ", body.dump(), " -> ", answer->body));
      if (!error.empty()) co_return Unavailable(error);
      co_return json;
    }
    if (proactor_.Now() + pause - began > kPluginPatience) co_return answer.status();
    if (!(co_await io::Sleep(proactor_, pause)).ok()) co_return Unavailable("the engine ends");
  }
}

void Dockerd::CreateNetwork() { tasks_.Spawn(MakeNetwork()); }

io::Task<void> Dockerd::MakeNetwork() {
  (void)co_await io::Sleep(proactor_, 0);  // asked from outside: its idea of now is old
  auto pool = co_await Call("IpamDriver.RequestPool", {{"AddressSpace", "fairlead-local"}, {"Pool", kSubnet}, {"SubPool", ""},
                                                       {"Options", {{"pool", "shop"}}}, {"V6", false}});
  if (!pool.ok()) co_return parts_.verdict.Fail("progress", Cat("no pool: ", Message(pool.status())));
  pool_id_ = runtime::Text(*pool, "PoolID");
  Json gateway{{"PoolID", pool_id_}, {"Address", "10.50.0.1"}, {"Options", {{"RequestAddressType", "com.docker.network.gateway"}}}};
  auto granted = co_await Call("IpamDriver.RequestAddress", gateway);
  if (!granted.ok()) co_return parts_.verdict.Fail("progress", Cat("no gateway: ", Message(granted.status())));
  std::string id = NewId();
  Json data = Json::array({{{"AddressSpace", "fairlead-local"}, {"Gateway", "10.50.0.1/24"}, {"Pool", kSubnet}}});
  auto made = co_await Call("NetworkDriver.CreateNetwork",
                            {{"NetworkID", id}, {"Options", Json::object()}, {"IPv4Data", data}, {"IPv6Data", Json::array()}});
  if (!made.ok()) co_return parts_.verdict.Fail("progress", Cat("no network: ", Message(made.status())));
  network_ = {.id = id, .name = kNetworkName, .driver = "fairlead", .subnets = {*Prefix::Parse(kSubnet)}};
  network_ready_ = true;
  if (view_ != nullptr) view_->network(id) = network_;
  Emit("network", "create", id);
}

// --- containers

std::string Dockerd::NewId() {
  static constexpr std::string_view kHex = "0123456789abcdef";
  std::string id;
  for (int i = 0; i < 64; i++) id += kHex[random_.Below(16)];
  return id;
}

std::string Dockerd::Create(const std::string& name, const std::string& canonical, const std::string& service,
                            const std::string& project, bool compose, bool auto_remove) {
  std::string id = NewId();
  Container& container = containers_[id];
  container.canonical = canonical;
  container.service = Cat(service, ".", project);
  container.ephemeral = auto_remove;
  runtime::ContainerDetails& details = container.details;
  details = {.id = id, .name = name, .state = "created", .created_wall = Wall()};
  details.labels = {{"fairlead.service", service}, {"fairlead.project", project}};
  if (compose) details.labels["com.docker.compose.project"] = project;
  details.exposed = {{kContainerPort, "tcp"}};
  details.auto_remove = auto_remove;
  details.networks = {{.network = kNetworkName, .network_id = network_.id}};
  parts_.verdict.Tell(Cat("create ", name, " (", id.substr(0, 6), ") of ", container.service, auto_remove ? " --rm" : ""));
  Show(id);
  Emit("container", "create", id);
  return id;
}

bool Dockerd::OthersStart(const std::string& id) {
  bool others = false;
  for (const std::string& other : starting_) {
    if (other == id) continue;
    containers_.at(other).guessed = others = true;
  }
  return others;
}

void Dockerd::Start(const std::string& id) {
  if (!up_ || !containers_.contains(id)) return;
  Container& container = containers_.at(id);
  if (container.busy || container.running()) return;
  if (container.details.networks.empty()) return parts_.verdict.Tell(Cat("not started, off its network: ", container.details.name));
  container.busy = true;
  starting_.insert(id);
  bool alone = !OthersStart(id);
  container.guessed = !parts_.tells_names && !alone;
  parts_.verdict.Tell(Cat("start ", container.details.name, " (", id.substr(0, 6), ")", alone ? "" : " beside others"));
  if (view_ != nullptr) view_->SetLocked(id, true);
  tasks_.Spawn(RunStart(id));
}

io::Task<void> Dockerd::RunStart(std::string id) {
  (void)co_await io::Sleep(proactor_, 0);
  Status attached = co_await Attach(id);
  Container& container = containers_.at(id);
  if (attached.ok()) {
    runtime::ContainerDetails& details = container.details;
    details.state = "running";
    details.pid = static_cast<int32_t>(1000 + random_.Below(30'000));
    details.started_wall = Wall();
    details.networks[0].endpoint_id = container.endpoint;
    details.networks[0].ipv4 = {container.ip, 24};
    container.process = std::make_unique<ContainerProcess>(parts_.world, container.ip, container.service, id);
    parts_.verdict.Tell(Cat("running ", details.name, " (", id.substr(0, 6), ") at ", container.ip.ToString()));
  } else {
    parts_.verdict.Tell(Cat("not started ", container.details.name, ": ", Message(attached)));
    co_await Release(id);  // of an engine that has ended: when it is back
  }
  container.busy = false;
  starting_.erase(id);
  if (view_ != nullptr) view_->SetLocked(id, false);
  Show(id);
  if (!container.running()) co_return;
  Emit("network", "connect", network_.id, {{"container", id}});
  Emit("container", "start", id);
}

io::Task<Status> Dockerd::Attach(std::string id) {
  Container& container = containers_.at(id);
  Json options = Json::object();
  if (parts_.tells_names) options["com.docker.network.endpoint.name"] = container.details.name;
  auto answer = co_await Call("IpamDriver.RequestAddress", {{"PoolID", pool_id_}, {"Address", container.details.networks[0].wanted.ToString()}, {"Options", options}});
  if (!answer.ok()) co_return answer.status();
  container.guessed &= !container.details.networks[0].wanted.is_set();
  CO_ASSIGN_OR_RETURN(InterfaceAddress address, InterfaceAddress::Parse(runtime::Text(*answer, "Address")));
  container.ip = address.address;
  bool beside = false;  // another live container of that name holds its address: this one gets some other
  for (const auto& [other, c] : containers_) beside |= other != id && c.canonical == container.canonical && c.ip.is_set();
  parts_.leases.Granted(id, container.canonical, container.ip, !container.guessed && !beside);

  container.endpoint = NewId();
  Json interface{{"Address", address.ToString()}, {"AddressIPv6", ""}, {"MacAddress", ""}};
  auto made = co_await Call("NetworkDriver.CreateEndpoint", {{"NetworkID", network_.id}, {"EndpointID", container.endpoint},
                                                             {"Interface", interface}, {"Options", Json::object()}});
  if (!made.ok()) co_return made.status();
  if (auto mac = MacAddress::Parse(runtime::Text(runtime::Member(*made, "Interface"), "MacAddress")); mac.ok())
    container.details.networks[0].mac = *mac;
  Show(id);  // the network's members tell the name from here on
  auto joined = co_await Call("NetworkDriver.Join", {{"NetworkID", network_.id}, {"EndpointID", container.endpoint},
                                                     {"SandboxKey", Cat("/run/netns/", id.substr(0, 12))}, {"Options", Json::object()}});
  co_return joined.status();
}

void Dockerd::Stop(const std::string& id, bool by_kill) {
  Container& container = containers_.at(id);
  if (!up_ || container.busy || !container.running()) return;
  container.busy = container.stopping = true;
  parts_.verdict.Tell(Cat(by_kill ? "kill " : "stop ", container.details.name, " (", id.substr(0, 6), ")"));
  tasks_.Spawn(RunStop(id, by_kill, container.ephemeral));
}

void Dockerd::Remove(const std::string& id) {
  Container& container = containers_.at(id);
  if (!up_ || container.busy) return;
  container.busy = container.stopping = true;
  parts_.verdict.Tell(Cat("rm -f ", container.details.name, " (", id.substr(0, 6), ")"));
  tasks_.Spawn(RunStop(id, /*by_kill=*/true, /*remove=*/true));
}

io::Task<void> Dockerd::RunStop(std::string id, bool by_kill, bool remove) {
  (void)co_await io::Sleep(proactor_, 0);
  Container& container = containers_.at(id);
  if (container.running()) {
    Emit("container", "kill", id, {{"signal", by_kill ? "9" : "15"}});
    if (!by_kill) container.process->Terminate(static_cast<Nanos>(random_.Below(kLongestGrace)));
    const Nanos until = proactor_.Now() + (by_kill ? 0 : kStopTimeout);
    while (!container.process->exited() && proactor_.Now() < until)
      if (!(co_await io::Sleep(proactor_, 20 * kMillisecond)).ok()) break;
    Exit(container);
    Emit("container", "die", id);
    co_await Release(id);
    Show(id);
    Emit("network", "disconnect", network_.id, {{"container", id}});
    Emit("container", "stop", id);
  }
  container.busy = container.stopping = false;
  if (!remove || !up_) co_return;
  if (container.ephemeral) parts_.leases.Forget(container.canonical);
  containers_.erase(id);
  Show(id);
  Emit("container", "destroy", id);
}

void Dockerd::Exit(Container& container) {
  container.process->Kill();
  parts_.leases.Released(container.details.id, container.ip);
  ended_.push_back(std::move(container.process));
  // The namespace goes after the process: its last segments are out by then, and nobody answers there any more.
  parts_.kernel.NamespaceGone(container.endpoint);
  parts_.world.After(kTeardown, [this, ip = container.ip] {
    for (const auto& [id, other] : containers_)
      if (other.ip == ip && other.process != nullptr) return;
    parts_.world.network().Host(ip).down = true;
  });
  container.details.state = "exited";
  container.details.pid = 0;
  container.details.finished_wall = Wall();
  Show(container.details.id);
}

// Goes on when the plugin refuses or is away: the container has ended whatever the plugin says. An engine that ends before
// it has stored the endpoint forgets the address.
io::Task<void> Dockerd::Release(std::string id) {
  Container& container = containers_.at(id);
  if (!up_) co_return;
  const bool forgotten = container.endpoint.empty() && container.aborted;
  if (!container.endpoint.empty()) {
    Json endpoint{{"NetworkID", network_.id}, {"EndpointID", container.endpoint}};
    (void)co_await Call("NetworkDriver.Leave", endpoint);
    (void)co_await Call("NetworkDriver.DeleteEndpoint", endpoint);
  }
  if (!up_) co_return;
  if (container.ip.is_set()) {
    parts_.leases.Released(id, container.ip);  // of a start that failed
    if (!forgotten) (void)co_await Call("IpamDriver.ReleaseAddress", {{"PoolID", pool_id_}, {"Address", container.ip.ToString()}});
  }
  container.aborted = false;
  container.endpoint.clear();
  container.ip = {};
  for (runtime::NetworkAttachment& at : container.details.networks)
    at = {.network = kNetworkName, .network_id = network_.id, .wanted = at.wanted};
}

void Dockerd::Rename(const std::string& id, const std::string& name, const std::string& canonical) {
  Container& container = containers_.at(id);
  if (!up_ || container.busy) return;
  parts_.verdict.Tell(Cat("rename ", container.details.name, " (", id.substr(0, 6), ") to ", name));
  parts_.leases.Renamed(container.canonical, canonical, container.ip.is_set());
  runtime::Labels old{{"oldName", Cat("/", container.details.name)}};
  container.details.name = name;
  container.canonical = canonical;
  Show(id);
  Emit("container", "rename", id, old);
}

// --- the daemon

void Dockerd::Restart(Nanos away, bool live_restore) {
  if (!up_) return;
  parts_.verdict.Tell(Cat("engine ends", live_restore ? ", its containers live on" : ""));
  up_ = false;
  if (view_ != nullptr) {
    view_->SetDown(true);
    view_->BreakStreams(/*forget_replay=*/true);
  }
  tasks_.Spawn(RunRestart(away, live_restore));
}

io::Task<void> Dockerd::RunRestart(Nanos away, bool live_restore) {
  (void)co_await io::Sleep(proactor_, 0);
  std::vector<std::string> ended;
  for (auto& [id, container] : containers_) {
    if (live_restore || !container.running() || container.busy) continue;
    container.busy = true;
    Exit(container);
    ended.push_back(id);
  }
  (void)co_await io::Sleep(proactor_, away);
  std::vector<std::string> stale;  // starts and stops that it was in the middle of
  for (auto& [id, container] : containers_) {
    if (container.busy || container.running() || !(container.ip.is_set() || !container.endpoint.empty())) continue;
    container.busy = container.aborted = true;
    stale.push_back(id);
  }
  up_ = true;
  parts_.verdict.Tell("engine is back");
  if (view_ != nullptr) view_->SetDown(false);
  stale.insert(stale.end(), ended.begin(), ended.end());
  for (const std::string& id : stale) {
    co_await Release(id);
    containers_.at(id).busy = false;
    Show(id);
  }
  for (const std::string& id : ended) Start(id);  // restart policies: all at once
}

void Dockerd::Reap() {
  for (auto& process : ended_) process->Reap();
  ended_.clear();
}

void Dockerd::Shutdown() {
  tasks_.Drain(proactor_);
  for (auto& [id, container] : containers_) {
    if (container.process == nullptr) continue;
    container.process->Kill();
    ended_.push_back(std::move(container.process));
  }
  Reap();
}

}  // namespace fairlead::fleet
