// How the kernel's interfaces tell whose they are: deterministic names within 15 bytes, and an alias with the whole id.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/net/ip_address.h"
#include "dataplane/dataplane.h"

namespace fairlead::dataplane {

// "flh" or "flc" and 12 hexadecimal digits: the id's first twelve where it is hexadecimal (Docker's endpoint ids are),
// else a hash. Equal names of two ids are possible, so the alias decides.
std::string HostInterface(std::string_view endpoint_id);
std::string ContainerInterface(std::string_view endpoint_id);
bool IsHostInterface(std::string_view name);

// The bridge's name as wanted, or "fl-" and 8 digits of the network's id.
std::string BridgeName(const NetworkSpec& network);

// "fairlead:<id>": the mark on bridges (network id) and host interfaces (endpoint id).
std::string Mark(std::string_view id);
std::optional<std::string> MarkedId(std::string_view alias);

// The bridge's own MAC, from its network's id. A bridge without one takes the lowest of its ports, so each attach could
// change the gateway's MAC under the containers.
MacAddress BridgeMac(std::string_view network_id);
// The host side's MAC: the container's with first byte 0xfe, the highest possible, so that it never becomes the MAC of
// a bridge that follows its ports.
MacAddress HostMac(const MacAddress& container);

}  // namespace fairlead::dataplane
