// Labels that say which address a container is to have: `fairlead.ip` (an address, a range a-b, or a list of them by commas,
// both families mixed) and `fairlead.pool` (another pool than the network's). Of a list, container number n of a scaled
// service gets the n-th address of its family: a service draws a slice.
#pragma once

#include <string>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"
#include "ipam/ipam.h"
#include "runtime-shim/engine.h"

namespace fairlead::runtime {

inline constexpr const char* kIpLabel = "fairlead.ip";
inline constexpr const char* kPoolLabel = "fairlead.pool";

struct AddressLabels {
  std::vector<ipam::AddressRange> addresses = {};  // in the label's order
  std::string pool = {};                           // "": the network's
};
StatusOr<AddressLabels> ParseAddressLabels(const Labels& labels);

// Of a container's labels those that its name, project and address are made of.
Labels NamingLabels(const Labels& labels);

// Compose's number of a scaled service's container, from 1 on; 1 for others.
uint64_t ContainerNumber(const Labels& labels);

// The address that the labels give container `number` in a pool; unset: they say nothing of that family. An error: none of
// them is in the pool, or there are fewer than `number`.
StatusOr<IpAddress> PickAddress(const AddressLabels& labels, uint64_t number, const ipam::PoolSpec& pool, bool v6);

}  // namespace fairlead::runtime
