// ScriptedEngine: an engine whose containers a test or the simulator moves by hand. It keeps Docker's habits that matter:
// a short replay buffer, events lost on a restart, an inspection that waits while its container is being started.
#pragma once

#include <deque>
#include <map>
#include <set>

#include "base/io/proactor.h"
#include "runtime-shim/engine.h"
#include "base/io/event.h"

namespace fairlead::runtime {

class ScriptedEngine final : public Engine {
 public:
  explicit ScriptedEngine(io::Proactor& proactor) : proactor_(proactor) {}
  ~ScriptedEngine() override;

  // --- the script
  ContainerDetails& container(const std::string& id) { return containers_[id]; }
  bool Has(const std::string& id) const { return containers_.contains(id); }
  const std::map<std::string, ContainerDetails>& containers() const { return containers_; }
  void Remove(const std::string& id) { containers_.erase(id); }
  NetworkDetails& network(const std::string& id) { return networks_[id]; }
  // Publishes an event at the next tick of the engine's own clock. `lost`: only the list knows of it.
  void Emit(std::string type, std::string action, std::string id, Labels attributes = {}, bool lost = false);
  void BreakStreams(bool forget_replay);   // every subscriber's stream ends; a restarted daemon forgets its replay
  void SetDown(bool down) { down_ = down; }  // every call fails
  void SetSilent(bool silent) { silent_ = silent; }  // lists wait for their deadline, as while dockerd boots
  void SetLocked(const std::string& id, bool locked);  // inspections of it wait for their deadline

  uint64_t lists = 0, inspections = 0;
  size_t subscribers() const { return streams_.size(); }

  // --- Engine
  io::Task<StatusOr<std::vector<ContainerSummary>>> ListContainers(Nanos deadline) override;
  io::Task<StatusOr<ContainerDetails>> InspectContainer(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::vector<NetworkDetails>>> ListNetworks(Nanos deadline) override;
  io::Task<StatusOr<NetworkDetails>> InspectNetwork(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::unique_ptr<EventStream>>> Events(Nanos since_wall, Nanos deadline) override;

 private:
  class Stream;
  static constexpr size_t kReplay = 256;   // as Docker

  io::Proactor& proactor_;
  std::map<std::string, ContainerDetails> containers_;
  std::map<std::string, NetworkDetails> networks_;
  std::deque<EngineEvent> replay_;
  std::set<Stream*> streams_;
  std::set<std::string> locked_;
  Nanos wall_ = 1'700'000'000 * kSecond;
  bool down_ = false, silent_ = false;
};

ContainerSummary SummaryOf(const ContainerDetails& container);

}  // namespace fairlead::runtime
