// What the balancer is told by its file: listeners, services with endpoints that are no containers, and routes.
// Names and defaults are the contract's ("Configuration").
#pragma once

#include <string>
#include <vector>

#include "base/io/proactor.h"
#include "base/net/socket_address.h"
#include "base/time.h"

namespace fairlead::lb {

inline constexpr size_t kMaxListeners = 64;  // a route names its listeners by a bit each

struct ListenerSpec {
  std::string name;
  SocketAddress bind;
  Nanos request_header = 10 * kSecond;
  Nanos request_body = 30 * kSecond;
  Nanos keep_alive = 60 * kSecond;
};

struct ServiceSettings {
  Nanos connect = 1 * kSecond;
  Nanos response = 30 * kSecond;  // silence of the backend
  Nanos idle = 60 * kSecond;      // of pooled connections
  bool retry_connect_failure = true;
  bool retry_reset_before_response = true;
  int max_retries = 2;
  friend bool operator==(const ServiceSettings&, const ServiceSettings&) = default;
};

struct StaticEndpoint {
  SocketAddress address;
  uint32_t weight = 1;
};

struct ServiceSpec {
  std::string name;               // SERVICE.PROJECT
  ServiceSettings settings;
  std::vector<StaticEndpoint> endpoints;
};

struct RouteSpec {
  std::vector<std::string> hosts;  // lower case; "*.x" and "*" are wildcards
  std::string path_prefix = "/";
  std::string service;             // SERVICE.PROJECT
  std::vector<std::string> listeners;  // empty: all
};

struct Config {
  std::vector<ListenerSpec> listeners;
  std::vector<ServiceSpec> services;
  std::vector<RouteSpec> routes;
  std::string zone = "fl.internal";  // SERVICE.PROJECT.lb.ZONE is routed without any label
  unsigned workers = 1;
  io::IoBackend io = io::IoBackend::kAuto;
};

}  // namespace fairlead::lb
