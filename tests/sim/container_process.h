// ContainerProcess: what runs in a container: an HTTP server on the container's address that tells its service and id. Its
// address answers only while it runs.
#pragma once

#include <memory>
#include <string>

#include "base/http/server.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::fleet {

inline constexpr uint16_t kContainerPort = 8080;

class ContainerProcess {
 public:
  ContainerProcess(sim::SimWorld& world, const IpAddress& ip, std::string service, std::string id);
  ~ContainerProcess();              // after Reap()

  // SIGTERM: serves on for `grace`, so that whoever balances has time to hear of it, ends its requests and exits.
  void Terminate(Nanos grace);
  void Kill();                      // SIGKILL: at once
  bool exited() const { return proactor_.crashed(); }
  // Outside of the world's turns: ends what is left of its tasks.
  void Reap();

  Nanos last_request() const { return last_request_; }  // when the latest one came in; 0: none

 private:
  io::Task<http::Reply> Answer();
  io::Task<void> FinishAndExit(Nanos grace);

  sim::SimWorld& world_;
  const std::string body_;
  sim::SimProactor proactor_;
  http::Server server_;
  io::TaskGroup tasks_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for events that are still to come
  bool terminating_ = false;
  Nanos last_request_ = 0;
};

}  // namespace fairlead::fleet
