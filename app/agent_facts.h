// What the agent knows of itself and tells by its API.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/operators.h"
#include "base/net/ip_address.h"
#include "base/net/socket_address.h"
#include "base/time.h"

namespace fairlead::app {

struct EngineState {
  std::string name;                 // "docker"
  bool connected = false;
  std::string detail;               // its socket, or why it is away
};

struct AgentFacts {
  std::string node;
  std::string version;
  Nanos started_wall = 0;
  std::string branch_zone;          // "": branches have no names
  std::vector<IpAddress> balancer;  // what DNS answers for the balancer; empty: this node's addresses
  std::function<std::vector<EngineState>()> engines = nullptr;
  Operators operators = {};
  std::function<Nanos(const std::string& uid)> expires_wall = nullptr;  // of a registered endpoint; kNever: never
  SocketAddress balancer_admin = {};  // of this host's balancer; unset: it is not asked
};

}  // namespace fairlead::app
