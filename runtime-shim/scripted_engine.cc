#include "runtime-shim/scripted_engine.h"

#include <algorithm>

#include "base/io/await.h"

namespace fairlead::runtime {

class ScriptedEngine::Stream final : public EventStream {
 public:
  Stream(ScriptedEngine& engine) : engine_(engine), signal_(engine.proactor_) { engine.streams_.insert(this); }
  ~Stream() override { engine_.streams_.erase(this); }

  io::Task<StatusOr<EngineEvent>> Next() override {
    while (queue_.empty() && !broken_) {
      io::IoResult woken = co_await signal_.Wait();
      if (!woken.ok()) co_return woken.ToStatus("engine events");
    }
    if (queue_.empty()) co_return Error(StatusCode::kOutOfRange, "the engine ended the event stream");
    EngineEvent event = std::move(queue_.front());
    queue_.pop_front();
    co_return event;
  }
  void Push(const EngineEvent& event) {
    queue_.push_back(event);
    signal_.Set();
  }
  void Break() {
    broken_ = true;
    signal_.Set();
  }

 private:
  ScriptedEngine& engine_;
  io::Event signal_;
  std::deque<EngineEvent> queue_;
  bool broken_ = false;
};

ScriptedEngine::~ScriptedEngine() { CHECK(streams_.empty()); }

void ScriptedEngine::Emit(std::string type, std::string action, std::string id, Labels attributes, bool lost,
                          bool early) {
  wall_ = std::max(wall_ + kMicrosecond, clock_ != nullptr ? clock_->WallNow() : 0);
  EngineEvent event{.type = std::move(type), .action = std::move(action), .id = std::move(id),
                    .attributes = std::move(attributes), .time_wall = wall_, .early = early};
  if (lost) return;
  replay_.push_back(event);
  if (replay_.size() > kReplay) replay_.pop_front();
  for (Stream* stream : streams_) stream->Push(event);
}

void ScriptedEngine::BreakStreams(bool forget_replay) {
  if (forget_replay) replay_.clear();
  for (Stream* stream : streams_) stream->Break();
}

void ScriptedEngine::SetLocked(const std::string& id, bool locked) {
  if (locked) {
    locked_.insert(id);
  } else {
    locked_.erase(id);
  }
}

ContainerSummary SummaryOf(const ContainerDetails& container) {
  ContainerSummary summary{container.id, container.name, container.state, container.state, container.labels,
                           container.networks};
  if (!container.health.empty()) summary.status = Cat("Up (", container.health, ")");
  return summary;
}

io::Task<StatusOr<std::vector<ContainerSummary>>> ScriptedEngine::ListContainers(Nanos deadline) {
  lists++;
  if (down_) co_return Unavailable("the engine is down");
  if (silent_) {
    io::IoResult slept = co_await io::Sleep(proactor_, deadline - proactor_.Now());
    if (!slept.ok()) co_return slept.ToStatus("list");
    co_return DeadlineExceeded("the engine did not answer");
  }
  if (list_takes != 0)
    if (io::IoResult slept = co_await io::Sleep(proactor_, list_takes); !slept.ok()) co_return slept.ToStatus("list");
  std::vector<ContainerSummary> list;
  for (const auto& [id, container] : containers_) list.push_back(SummaryOf(container));
  co_return list;
}

io::Task<StatusOr<ContainerDetails>> ScriptedEngine::InspectContainer(std::string id, Nanos deadline) {
  inspections++;
  if (down_) co_return Unavailable("the engine is down");
  if (locked_.contains(id)) {
    io::IoResult slept = co_await io::Sleep(proactor_, deadline - proactor_.Now());
    if (!slept.ok()) co_return slept.ToStatus("inspection");
    co_return DeadlineExceeded("container ", id, " is locked");
  }
  if (auto slow = slow_.find(id); slow != slow_.end()) {
    io::IoResult slept = co_await io::Sleep(proactor_, std::min(slow->second, deadline - proactor_.Now()));
    if (!slept.ok()) co_return slept.ToStatus("inspection");
    if (proactor_.Now() >= deadline) co_return DeadlineExceeded("container ", id, " is slow");
  }
  auto found = containers_.find(id);
  if (found == containers_.end()) co_return NotFound("no such container: ", id);
  ContainerDetails container = found->second;
  if (answer_takes > 0) {
    io::IoResult slept = co_await io::Sleep(proactor_, answer_takes);
    if (!slept.ok()) co_return slept.ToStatus("inspection");
  }
  co_return container;
}

io::Task<StatusOr<std::vector<NetworkDetails>>> ScriptedEngine::ListNetworks(Nanos) {
  if (down_) co_return Unavailable("the engine is down");
  std::vector<NetworkDetails> list;
  for (const auto& [id, network] : networks_) list.push_back(network);
  co_return list;
}

io::Task<StatusOr<NetworkDetails>> ScriptedEngine::InspectNetwork(std::string id, Nanos) {
  network_inspections++;
  if (down_) co_return Unavailable("the engine is down");
  const NetworkDetails* found = FindNetwork(id);
  if (found == nullptr) co_return NotFound("no such network: ", id);
  co_return *found;
}

const NetworkDetails* ScriptedEngine::FindNetwork(const std::string& id_or_name) const {
  if (auto found = networks_.find(id_or_name); found != networks_.end()) return &found->second;
  for (const auto& [id, network] : networks_) {
    if (network.name == id_or_name) return &network;
  }
  return nullptr;
}

io::Task<StatusOr<EngineVersion>> ScriptedEngine::Version(Nanos) {
  if (down_) co_return Unavailable("the engine is down");
  co_return version;
}

ScriptedEngine::Outcome ScriptedEngine::NextOutcome() {
  if (down_) return Outcome::kRefused;
  if (fault_count_ == 0 || fault_after_-- > 0) return Outcome::kDone;
  fault_count_--;
  fault_after_ = 0;
  return fault_ == Fault::kRefused ? Outcome::kRefused : Outcome::kAnswerLost;
}

io::Task<Status> ScriptedEngine::Unlocked(std::string container, Nanos deadline) {
  while (locked_.contains(container)) {
    if (proactor_.Now() >= deadline) co_return DeadlineExceeded("container ", container, " is locked");
    io::IoResult slept = co_await io::Sleep(proactor_, kMillisecond);
    if (!slept.ok()) co_return slept.ToStatus("wait for a container");
  }
  co_return OkStatus();
}

io::Task<Status> ScriptedEngine::DisconnectNetwork(std::string network, std::string container, Nanos deadline) {
  disconnects++;
  CO_RETURN_IF_ERROR(co_await Unlocked(container, deadline));
  if (on_change) on_change("disconnect", container);
  Outcome outcome = NextOutcome();
  if (outcome == Outcome::kRefused) co_return Unavailable("the engine is down");
  const NetworkDetails* where = FindNetwork(network);
  auto found = containers_.find(container);
  if (where == nullptr || found == containers_.end()) co_return NotFound("no such network or container");
  size_t left = std::erase_if(found->second.networks, [&](const NetworkAttachment& at) { return at.network == where->name; });
  if (left == 0) co_return FailedPrecondition("container ", container, " is not connected to network ", where->name);
  if (on_changed) on_changed(container);
  co_return outcome == Outcome::kDone ? OkStatus() : Unavailable("connection reset");
}

io::Task<Status> ScriptedEngine::ConnectNetwork(std::string network, std::string container, EndpointSettings settings, Nanos deadline) {
  connects++;
  CO_RETURN_IF_ERROR(co_await Unlocked(container, deadline));
  if (on_change) on_change("connect", container);
  Outcome outcome = NextOutcome();
  if (outcome == Outcome::kRefused) co_return Unavailable("the engine is down");
  const NetworkDetails* where = FindNetwork(network);
  auto found = containers_.find(container);
  if (where == nullptr || found == containers_.end()) co_return NotFound("no such network or container");
  std::vector<NetworkAttachment>& networks = found->second.networks;
  bool there = std::ranges::find(networks, where->name, &NetworkAttachment::network) != networks.end();
  if (!there) {
    networks.push_back({.network = where->name, .network_id = where->id, .wanted = settings.ipv4, .wanted_v6 = settings.ipv6,
                        .mac = settings.mac, .aliases = settings.aliases, .links = settings.links,
                        .driver_opts = settings.driver_opts});
  }
  if (on_changed) on_changed(container);
  co_return outcome == Outcome::kDone ? OkStatus() : Unavailable("connection reset");
}

io::Task<Status> ScriptedEngine::CreateNetwork(NetworkDetails wanted, Nanos) {
  if (down_) co_return Unavailable("the engine is down");
  if (FindNetwork(wanted.name) != nullptr) co_return FailedPrecondition("network with name ", wanted.name, " already exists");
  wanted.id = Cat("id of ", wanted.name);
  for (const SubnetConfig& config : wanted.configs) wanted.subnets.push_back(config.subnet);
  networks_[wanted.id] = std::move(wanted);
  co_return OkStatus();
}

io::Task<Status> ScriptedEngine::RemoveNetwork(std::string network, Nanos) {
  if (down_) co_return Unavailable("the engine is down");
  const NetworkDetails* found = FindNetwork(network);
  if (found == nullptr) co_return NotFound("no such network: ", network);
  if (!found->members.empty()) co_return FailedPrecondition("network ", network, " has active endpoints");
  networks_.erase(found->id);
  co_return OkStatus();
}

io::Task<Status> ScriptedEngine::RemoveContainer(std::string id, Nanos deadline) {
  if (down_) co_return Unavailable("the engine is down");
  CO_RETURN_IF_ERROR(co_await Unlocked(id, deadline));
  containers_.erase(id);
  co_return OkStatus();
}

io::Task<StatusOr<std::unique_ptr<EventStream>>> ScriptedEngine::Events(Nanos since_wall, Nanos) {
  if (down_) co_return Unavailable("the engine is down");
  auto stream = std::make_unique<Stream>(*this);
  for (const EngineEvent& event : replay_) {
    if (since_wall != 0 && event.time_wall >= since_wall) stream->Push(event);
  }
  co_return std::unique_ptr<EventStream>(std::move(stream));
}

}  // namespace fairlead::runtime
