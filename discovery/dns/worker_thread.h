// WorkerThread: a thread that turns a loop of its own, for a worker of the name server beside the first. What lives on the
// loop is made, used and ended by Run().
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "base/io/proactor.h"
#include "base/metrics.h"
#include "base/random.h"

namespace fairlead::dns {

class WorkerThread {
 public:
  // `note`: why it does not run on io_uring, where it should. May be started before the filter of system calls is loaded,
  // which forbids to make a ring.
  static StatusOr<std::unique_ptr<WorkerThread>> Start(std::string name, const Clock& clock, io::IoBackend backend, std::string* note);
  WorkerThread(const WorkerThread&) = delete;
  ~WorkerThread();

  // Calls `what` on the thread, between two turns of its loop, and waits for its end.
  void Run(std::function<void()> what);

  // On the thread, or in Run().
  io::Proactor& proactor() { return *proactor_; }
  Random& random() { return random_; }
  Metrics& metrics() { return metrics_; }

 private:
  class Call;
  WorkerThread() = default;
  void Main(const std::string& name, const Clock& clock, io::IoBackend backend, std::string* note, std::promise<Status> started);

  Metrics metrics_;
  SystemRandom random_;
  std::unique_ptr<io::Proactor> proactor_;  // made and destroyed on the thread
  Call* call_ = nullptr;                    // on the thread
  bool ending_ = false;                     // likewise
  std::promise<void> left_alone_;           // nobody calls it any more
  std::thread thread_;
};

}  // namespace fairlead::dns
