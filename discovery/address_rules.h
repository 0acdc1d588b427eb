// Address of an endpoint (contract, "Whose address"): the first that a consumer can reach of an address on a Fairlead
// network, on any other network, a published port, or the node's own with --network host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "discovery/row.h"

namespace fairlead::discovery {

// Where a container can be reached, as its engine tells it.
struct Reachability {
  std::vector<Address> addresses;
  std::vector<PublishedPort> published_ports;
  bool host_network = false;
  std::vector<IpAddress> node_addresses;   // the first stands for the node
};

struct ChosenAddress {
  IpAddress ip;        // unset: none is reachable
  uint16_t port = 0;
  std::string rule;    // which rule chose it, or why none did
};

// `port` is the container's port, `protocol` tcp or udp.
ChosenAddress ChooseAddress(const Reachability& where, uint16_t port, const std::string& protocol);

}  // namespace fairlead::discovery
