// Balancer: the control side. It keeps the Picture from the file and the catalog, and brings every worker up to date
// with each change. It belongs to the control thread; workers are elsewhere, each behind its proactor.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/metrics.h"
#include "base/random.h"
#include "discovery/consumer.h"
#include "lb/health_checks.h"
#include "lb/picture.h"
#include "lb/worker.h"

namespace fairlead::lb {

class Balancer final : public discovery::ChangeListener {
 public:
  static constexpr size_t kMaxUnread = 64;  // changes that a worker which routes nothing leaves in its inbox

  Balancer(io::Proactor& control, Random& random, Metrics& metrics, Config config);
  ~Balancer();  // after Stop(); workers have stopped, and what they had to say has been heard (pending() == 0)

  // The worker belongs to the thread of `proactor` and knows nothing yet: it gets the whole picture.
  void AddWorker(io::Proactor& proactor, Worker& worker);
  // A removed endpoint is confirmed to the agent when every worker has dropped it: its address may then be given away.
  void FollowWith(discovery::Consumer& consumer);
  void OnChanges(const std::vector<discovery::Change>& changes) override;

  // A new file, after LoadTls(): services, routes and the settings of listeners with their certificates. What is opened or
  // begun at start (which listeners there are, their bind and protocol, workers, io, zone) cannot change: such a file is
  // refused as a whole, by an error that names each of them.
  Status Reload(Config config);

  // Other endpoints of a service of the file, until the next reload.
  void SetFileEndpoints(std::string_view service, std::vector<StaticEndpoint> endpoints);

  // Checks endpoints whose agents are silent, until cancelled: for a task beside Consumer::Run().
  io::Task<void> FollowAgents(const discovery::Consumer& consumer) { return checks_.FollowAgents(consumer); }
  // Asks again for ports of labels that another program had, until cancelled.
  io::Task<void> FollowPorts();
  io::Task<void> Stop() { return checks_.Stop(); }

  const Picture& picture() const { return picture_; }
  const HealthChecks& checks() const { return checks_; }
  size_t pending() const { return pending_; }  // changes on their way

 private:
  class Delivery;
  struct Member {
    io::Proactor* proactor;
    Worker* worker;
  };

  // Metrics of a service, looked up once: a change of it only sets them. They go with the service.
  struct StateGauges {
    std::shared_ptr<Gauge> ready, not_ready, fails_open;
    std::array<std::shared_ptr<Gauge>, discovery::kHealthStates> health;
  };

  // `hold`, of a change that an agent waits for, goes when it is in effect at every worker.
  void Send(ChangeSet changes, discovery::AckHold hold = {});
  void SyncPorts(ChangeSet& changes);  // what labels have opened to what they ask for now
  StateGauges& GaugesOf(const std::string& service);
  void CountStates(const std::vector<EndpointCounts>& counts);

  io::Proactor& control_;
  Metrics& metrics_;
  HealthChecks checks_;
  Picture picture_;
  std::vector<Member> workers_;
  std::unordered_map<std::string, StateGauges> gauges_;
  discovery::Consumer* consumer_ = nullptr;
  std::map<uint16_t, std::pair<SocketAddress, std::string>> open_ports_;  // that labels opened: where, for which service
  Gauge& open_ports_gauge_;
  size_t pending_ = 0;
};

}  // namespace fairlead::lb
