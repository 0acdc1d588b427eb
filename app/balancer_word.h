// What this host's balancer found of endpoints that it checks itself, for those who ask the agent. Asked for anew each
// time, at the balancer's admin socket; a balancer that does not answer at once leaves it open.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/io/proactor.h"
#include "base/io/task.h"
#include "base/net/socket_address.h"
#include "lb/picture.h"

namespace fairlead::app {

inline constexpr Nanos kBalancerPatience = 200 * kMillisecond;

struct BalancerWord {
  bool answered = false;
  std::map<std::pair<std::string, std::string>, lb::Picture::EndpointInfo> found = {};  // by service and uid
};

// An unset address: nobody is asked.
io::Task<BalancerWord> AskBalancer(io::Proactor& proactor, SocketAddress admin);

// /v1/checks of the balancer: the endpoints that it checks itself, and what it made of them.
nlohmann::json ChecksJson(const lb::Picture& picture);
BalancerWord ParseChecks(const nlohmann::json& checks);

}  // namespace fairlead::app
