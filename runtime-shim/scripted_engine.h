// ScriptedEngine: an engine whose containers a test or the simulator moves by hand. It keeps Docker's habits that matter:
// a short replay buffer, events lost on a restart, an inspection that waits while its container is being started.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "base/clock.h"
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
  // Whose time its events have; without it they count from a time of their own.
  void SetClock(const Clock& clock) { clock_ = &clock; }
  // Publishes an event at the next tick of the engine's own clock. `lost`: only the list knows of it.
  void Emit(std::string type, std::string action, std::string id, Labels attributes = {}, bool lost = false,
            bool early = false);
  void BreakStreams(bool forget_replay);   // every subscriber's stream ends; a restarted daemon forgets its replay
  void SetDown(bool down) { down_ = down; }  // every call fails
  void SetSilent(bool silent) { silent_ = silent; }  // lists wait for their deadline, as while dockerd boots
  void SetLocked(const std::string& id, bool locked);  // inspections of it wait for their deadline
  void SetSlow(const std::string& id, Nanos delay) { slow_[id] = delay; }  // inspections of it take so long
  std::string state_file;           // ""; one that the test writes
  Nanos list_takes = 0;
  Nanos answer_takes = 0;           // of inspections: what they tell is so old when it comes

  // The next `count` connects and disconnects that come after `after` more of them fail; their effect is lost, or only
  // their answer.
  enum class Fault { kRefused, kAnswerLost };
  void FailChanges(Fault fault, int after = 0, int count = 1) { fault_ = fault, fault_after_ = after, fault_count_ = count; }
  // Runs before each connect and disconnect: what goes on meanwhile.
  std::function<void(std::string_view what, const std::string& container)> on_change;
  // Runs after each of them that had an effect.
  std::function<void(const std::string& container)> on_changed;
  EngineVersion version{1, 41};

  uint64_t lists = 0, inspections = 0, network_inspections = 0, connects = 0, disconnects = 0;
  size_t subscribers() const { return streams_.size(); }

  // --- Engine
  io::Task<StatusOr<std::vector<ContainerSummary>>> ListContainers(Nanos deadline) override;
  io::Task<StatusOr<ContainerDetails>> InspectContainer(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::vector<NetworkDetails>>> ListNetworks(Nanos deadline) override;
  io::Task<StatusOr<NetworkDetails>> InspectNetwork(std::string id, Nanos deadline) override;
  io::Task<StatusOr<std::unique_ptr<EventStream>>> Events(Nanos since_wall, Nanos deadline) override;
  io::Task<StatusOr<std::string>> StateFile(Nanos) override { co_return state_file; }
  io::Task<StatusOr<EngineVersion>> Version(Nanos deadline) override;
  io::Task<Status> DisconnectNetwork(std::string network, std::string container, Nanos deadline) override;
  io::Task<Status> ConnectNetwork(std::string network, std::string container, EndpointSettings settings,
                                  Nanos deadline) override;
  io::Task<Status> CreateNetwork(NetworkDetails wanted, Nanos deadline) override;
  io::Task<Status> RemoveNetwork(std::string network, Nanos deadline) override;
  io::Task<Status> RemoveContainer(std::string id, Nanos deadline) override;

 private:
  class Stream;
  enum class Outcome { kDone, kRefused, kAnswerLost };
  Outcome NextOutcome();
  io::Task<Status> Unlocked(std::string container, Nanos deadline);  // waits for it, as everything does that changes one
  const NetworkDetails* FindNetwork(const std::string& id_or_name) const;
  static constexpr size_t kReplay = 256;   // as Docker

  io::Proactor& proactor_;
  std::map<std::string, ContainerDetails> containers_;
  std::map<std::string, NetworkDetails> networks_;
  std::deque<EngineEvent> replay_;
  std::set<Stream*> streams_;
  std::set<std::string> locked_;
  std::map<std::string, Nanos> slow_;
  const Clock* clock_ = nullptr;
  Nanos wall_ = 1'700'000'000 * kSecond;
  bool down_ = false, silent_ = false;
  Fault fault_ = Fault::kRefused;
  int fault_after_ = 0, fault_count_ = 0;
};

ContainerSummary SummaryOf(const ContainerDetails& container);

}  // namespace fairlead::runtime
