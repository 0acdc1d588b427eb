// From a container's labels to its part in services (contract, "Labels"). Dialects are asked in order
// (conventions, A1); built is fairlead.*, then the defaults that hold without any label. Pure functions.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "discovery/address_rules.h"
#include "discovery/names.h"
#include "discovery/row.h"

namespace fairlead::discovery {

// What a container says of itself.
struct ContainerFacts {
  std::string name;                             // canonical container name
  std::map<std::string, std::string> labels;    // compose's com.docker.compose.* among them
  std::vector<std::pair<uint16_t, std::string>> exposed_ports;  // number, "tcp" or "udp"
  Reachability where;
};

// The tables of one agent, so that two raw names never share a label.
struct NameTables {
  LabelTable projects;
  std::map<std::string, LabelTable> services, branches;  // by project
};

struct ContainerServices {
  std::string project, branch, env, release;
  std::vector<ServiceEntry> services;           // at least one: the catalog shows unlabelled containers too
};

inline constexpr size_t kMaxServicesPerContainer = 32;
inline constexpr size_t kMaxRoutesPerService = 64;
inline constexpr uint32_t kMaxWeight = 256;     // HAProxy's range

// Problems that concern the container as a whole are shown at its first service.
ContainerServices DescribeServices(const ContainerFacts& facts, NameTables& names);

}  // namespace fairlead::discovery
