// Reads the agent's lease file (ipam/sqlite_lease_store.cc) while the agent is away, and changes nothing in it: a name
// that has an address keeps it, a new name has to wait.
#pragma once

#include <string>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"

namespace fairlead::programs {

inline constexpr char kStateFolder[] = "/var/lib/fairlead";

struct KnownLease {
  InterfaceAddress address;
  IpAddress gateway;             // unset: the prefix has none
};

// The leases of a name on a network, IPv4 first; none is NotFound.
StatusOr<std::vector<KnownLease>> ReadLeases(const std::string& file, const std::string& network, const std::string& name);

}  // namespace fairlead::programs
