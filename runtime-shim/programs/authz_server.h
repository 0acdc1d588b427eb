// What fairlead-authz does with dockerd's connections: a thread each, so that a call that waits for the agent holds up
// no other. Everything is allowed; the agent is asked first where a container is about to start. It has kPatience to say
// anything; if it says within that time that it is about to pin the container, kUnderWay to finish.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "base/time.h"
#include "runtime-shim/programs/authz_question.h"

namespace fairlead::programs {

// The mark of the agent's own calls to dockerd, from a file of the agent. Thread-safe.
class AuthzSecret {
 public:
  static constexpr size_t kMinBytes = 16, kMaxBytes = 256;

  // Reads the file if there is one yet.
  explicit AuthzSecret(std::string path);
  // Reads the file again when it does not match: the agent makes a new one when the old one is gone. An empty or
  // short secret matches nothing.
  bool Matches(std::string_view mark);

 private:
  void Read();

  const std::string path_;
  std::mutex lock_;
  std::string secret_;
};

struct AuthzRules {
  static constexpr Nanos kPatience = 50 * kMillisecond;  // of a request, from its first byte

  // A disk that syncs slowly makes a pin slow, and a container that starts before it starts at another address.
  static constexpr Nanos kUnderWay = 1 * kSecond;

  AuthzSecret& secret;
  // Asks the agent; comes back at the deadline (MonotonicNow), or kUnderWay later, at the latest. What it answers changes
  // nothing.
  std::function<void(const PinQuestion&, Nanos deadline)> ask;
};

// The question as the agent takes it (DockerPlugin::PinContainer).
void AskAgent(const std::string& socket_path, const PinQuestion& question, Nanos deadline);

// Serves one connection until the peer closes it or sends what is no request. Takes `fd` over.
void ServeAuthz(int fd, const AuthzRules& rules);

// Accepts for ever; `heartbeat` is called at least every kHeartbeat. At most kMaxConnections at a time: more wait in the
// backlog, which is said on stderr.
inline constexpr int kMaxConnections = 256;
inline constexpr Nanos kHeartbeat = 5 * kSecond;
[[noreturn]] void ServeAllAuthz(int listener, const AuthzRules& rules, const std::function<void()>& heartbeat);

}  // namespace fairlead::programs
