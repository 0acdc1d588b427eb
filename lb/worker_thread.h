// WorkerThread: one thread with a proactor and a Worker of its own. Everything of the worker lives and dies on it.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/metrics.h"
#include "lb/balancer.h"

namespace fairlead::lb {

class WorkerThread {
 public:
  // Starts the thread and opens all listeners; the error names the listener and the way out. `note` says which I/O it
  // runs on and why not another. `passwords` is the thread that computes their hashes for all workers; it outlives them.
  static StatusOr<std::unique_ptr<WorkerThread>> Start(const Config& config, int index, const Clock& clock,
                                                       io::Offload& passwords, std::string* note);
  ~WorkerThread();  // after Join()

  io::Proactor& proactor() { return *proactor_; }
  Worker& worker() { return *worker_; }
  Metrics& metrics() { return metrics_; }
  // Port that a listener with port 0 got.
  SocketAddress address(size_t listener) const { return addresses_[listener]; }

  // No new connections; requests in progress get until `grace` is over. The thread ends by itself.
  void Drain(Nanos grace);
  void Join();

 private:
  class DrainRequest;
  WorkerThread() = default;
  void Main(Config config, int index, const Clock& clock, io::Offload& passwords, std::promise<Status> started,
            std::string* note);
  Status Open(const Config& config, int index, const Clock& clock, io::Offload& passwords, std::string* note);

  Metrics metrics_;
  SystemRandom random_;
  std::unique_ptr<io::Proactor> proactor_;  // made and destroyed on the thread
  std::unique_ptr<Worker> worker_;
  std::vector<SocketAddress> addresses_;
  std::thread thread_;
  Nanos drain_until_ = kNever;              // written on the thread
};

}  // namespace fairlead::lb
