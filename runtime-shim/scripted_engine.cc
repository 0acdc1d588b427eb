#include "runtime-shim/scripted_engine.h"

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

void ScriptedEngine::Emit(std::string type, std::string action, std::string id, Labels attributes, bool lost) {
  EngineEvent event{std::move(type), std::move(action), std::move(id), std::move(attributes), wall_ += kMicrosecond};
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
  auto found = containers_.find(id);
  if (found == containers_.end()) co_return NotFound("no such container: ", id);
  co_return found->second;
}

io::Task<StatusOr<std::vector<NetworkDetails>>> ScriptedEngine::ListNetworks(Nanos) {
  if (down_) co_return Unavailable("the engine is down");
  std::vector<NetworkDetails> list;
  for (const auto& [id, network] : networks_) list.push_back(network);
  co_return list;
}

io::Task<StatusOr<NetworkDetails>> ScriptedEngine::InspectNetwork(std::string id, Nanos) {
  if (down_) co_return Unavailable("the engine is down");
  auto found = networks_.find(id);
  if (found == networks_.end()) co_return NotFound("no such network: ", id);
  co_return found->second;
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
