// Relay: the way between agent and consumers. It may stand still (a slow reader; whoever writes to it is held back) or, as a
// planted bug, lose one update.
#pragma once

#include <optional>
#include <string>

#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/sim/sim_proactor.h"
#include "tests/sim/planted.h"

namespace fairlead::fleet {

inline constexpr const char* kRelaySocket = "/run/fairlead/relay.sock";

class Relay {
 public:
  Relay(sim::SimWorld& world, const IpAddress& host, std::string agent, Bug bug);
  void StandStill(Nanos duration) { still_until_ = world_.Now() + duration; }
  void Stop();                   // outside of the world's turns

 private:
  io::Task<void> Serve(int fd);
  io::Task<bool> Upstream(io::Stream& consumer, io::Stream& agent);
  io::Task<bool> Downstream(io::Stream& agent, io::Stream& consumer);
  bool Loses(std::string_view message);

  sim::SimWorld& world_;
  const std::string agent_;
  const Bug bug_;
  sim::SimProactor proactor_;
  std::optional<io::Listener> listener_;
  io::TaskGroup tasks_;
  Nanos still_until_ = 0;
  bool lost_ = false;
};

}  // namespace fairlead::fleet
