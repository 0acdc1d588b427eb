// The holder of the plugin socket (docs/decisions/0003-plugin-holder.md). dockerd 20.10 never gives up on a plugin that
// accepts and stays silent, and one whose socket is missing costs 15 s of retries. So a tiny process owns the listening
// socket for good. While an agent lives it passes the listener to that agent and keeps out of the way; while none does
// it answers itself: Activate and GetCapabilities from constants, everything else with a clear error once the agent has
// been away for kHoldTime. Not each call waits so long: a booting dockerd makes hundreds, one after the other.
//
// The control connection is the agent's claim: it ends with the agent, by SIGKILL too, and with it the claim.
#pragma once

#include <optional>
#include <string>

#include "base/http/server.h"
#include "base/io/listener.h"

namespace fairlead::runtime {

inline constexpr Nanos kHoldTime = 2 * kSecond;

class PluginHolder {
 public:
  // Takes both listening descriptors over: of the plugin socket, and of the one where agents come for it.
  PluginHolder(io::Proactor& proactor, int plugin_listener, int control_listener);
  ~PluginHolder();                           // after Run()
  io::Task<void> Run();                      // until cancelled

  struct Stats {
    uint64_t agents = 0, answered = 0, refused = 0;
  };
  const Stats& stats() const { return stats_; }

 private:
  io::Task<void> ServeControl(int fd);
  io::Task<void> AnswerWhileAlone();
  io::Task<http::Reply> Answer(const http::Request& request);

  io::Proactor& proactor_;
  int plugin_listener_;
  int control_listener_;
  int agent_ = -1;                           // control connection of the agent that has the listener
  Nanos away_since_;                         // a point of Proactor::Now(); of no meaning while an agent is there
  Stats stats_;
};

// The agent's side. Keep both open while serving: closing `control` gives the listener back.
struct HeldListener {
  int listener = -1;
  int control = -1;
};
// Asks the holder at `control_path`. Blocks for the exchange of one message.
StatusOr<HeldListener> TakeListener(const std::string& control_path);

// What the plugin implements, and what both drivers can do: the same from agent and holder. Unset: not one of these calls.
std::optional<std::string> ConstantReply(std::string_view call);
// {"Err": …} of a network driver, {"Error": …} of an IPAM driver: each ignores the other's key.
std::string ErrorReply(std::string_view call, std::string_view message);

}  // namespace fairlead::runtime
