// Balancer: the control side. It keeps the Picture from the file and the catalog, and brings every worker up to date
// with each change. It belongs to the control thread; workers are elsewhere, each behind its proactor.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "discovery/consumer.h"
#include "lb/picture.h"
#include "lb/worker.h"

namespace fairlead::lb {

class Balancer final : public discovery::ChangeListener {
 public:
  Balancer(io::Proactor& control, Metrics& metrics, Config config);
  ~Balancer();  // workers have stopped, and what they had to say has been heard (pending() == 0)

  // The worker belongs to the thread of `proactor` and knows nothing yet: it gets the whole picture.
  void AddWorker(io::Proactor& proactor, Worker& worker);
  // A removed endpoint is confirmed to the agent when every worker has dropped it: its address may then be given away.
  void FollowWith(discovery::Consumer& consumer);
  void OnChanges(const std::vector<discovery::Change>& changes) override;

  // A new file, after LoadTls(): services, routes and the settings of listeners with their certificates. What is opened or
  // begun at start (which listeners there are, their bind and protocol, workers, io, zone) cannot change: such a file is
  // refused as a whole, by an error that names each of them.
  Status Reload(Config config);

  const Picture& picture() const { return picture_; }
  size_t pending() const { return pending_; }  // deliveries on their way

 private:
  class Delivery;
  struct Member {
    io::Proactor* proactor;
    Worker* worker;
  };

  void Send(ChangeSet changes);
  void CountStates(const ChangeSet& changes);

  io::Proactor& control_;
  Metrics& metrics_;
  Picture picture_;
  std::vector<Member> workers_;
  discovery::Consumer* consumer_ = nullptr;
  size_t pending_ = 0;
};

}  // namespace fairlead::lb
