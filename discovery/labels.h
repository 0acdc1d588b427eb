// From a container's labels to its part in services (contract, "Labels"). Dialects are asked in order
// (conventions, A1): fairlead.*, Traefik's, nginx-proxy's, registrator's, then the defaults that hold without any label.
// The first that describes a port of the container has it. Pure functions; docs/labels.md is the users' page.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "discovery/address_rules.h"
#include "discovery/names.h"
#include "discovery/row.h"

namespace fairlead::discovery {

// The dialects beside fairlead.*, in the order they are asked: "traefik", "nginx-proxy", "registrator".
std::vector<std::string> AllDialects();

// What a container says of itself.
struct ContainerFacts {
  std::string name;                             // canonical container name
  std::map<std::string, std::string> labels;    // compose's com.docker.compose.* among them
  std::vector<std::pair<uint16_t, std::string>> exposed_ports;  // number, "tcp" or "udp"
  std::map<std::string, std::string> environment = {};  // of it what IsDialectVariable names is read
  bool engine_checks = false;                   // HEALTHCHECK: the engine looks at it
  Reachability where;
  std::vector<std::string> dialects = AllDialects();  // that are read, fairlead.* besides
};

// The tables of one agent, so that two raw names never share a label.
struct NameTables {
  LabelTable projects;
  std::map<std::string, LabelTable> services, branches;  // by project
};

struct ContainerServices {
  std::string project, branch, env, release;
  std::vector<ServiceEntry> services;           // at least one: the catalog shows unlabelled containers too
  std::vector<Middleware> middlewares;          // each id once
};

inline constexpr size_t kMaxServicesPerContainer = 32;
inline constexpr size_t kMaxRoutesPerService = 64;
inline constexpr uint32_t kMaxWeight = 256;     // HAProxy's range

// The value of fairlead.check: "http:/healthz", "tcp", "grpc", "grpc:SERVICE", "none". The error quotes it.
StatusOr<HealthCheck> ParseCheck(std::string_view value);

// Is it a variable that a dialect reads? Nothing else of an environment need be kept.
bool IsDialectVariable(std::string_view name);

// Problems that concern the container as a whole are shown at its first service.
ContainerServices DescribeServices(const ContainerFacts& facts, NameTables& names);

}  // namespace fairlead::discovery
