// What the small static programs (fairlead-authz, fairlead-cni, fairlead-netavark, fairlead-runtime) say to the agent:
// one JSON object to POST /v1/shim/NAME over the agent's unix socket, one back. Blocking, without threads, proactor or
// logging: a program that an engine starts for each container has 0.7 ms, not 6.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/time.h"

namespace fairlead::programs {

inline constexpr char kAgentSocket[] = "/run/fairlead/api.sock";
inline constexpr size_t kMaxAgentAnswer = 1 << 20;   // bytes of head and body; beyond: ResourceExhausted

// The agent's socket: a leading argument `--fairlead-socket PATH` (or =PATH), which is taken out of argc and argv; else
// FAIRLEAD_API_SOCKET; else kAgentSocket.
std::string SocketPath(int& argc, char**& argv);

// Now on the clock that deadlines are of.
Nanos MonotonicNow();

// `deadline` covers everything from connect on and is a point of MonotonicNow(), so that a call cannot be drawn out by
// an agent that says a little now and then. The object of a 2xx, else the agent's own error. No agent there:
// Unavailable; not done by then: DeadlineExceeded; an answer that is none: Internal.
StatusOr<nlohmann::json> CallAgent(const std::string& socket_path, std::string_view shim, const nlohmann::json& request,
                                   Nanos deadline);

}  // namespace fairlead::programs
