// Networks of ours in the engine: made with the subnets written into the request, since an engine refuses fixed addresses
// on networks whose subnet it does not know as configured.
#pragma once

#include <string>
#include <vector>

#include "app/config.h"
#include "app/operator_parts.h"
#include "base/io/await.h"

namespace fairlead::app {

// The network as the engine is to make it, with the pool's prefixes of this host. The error names what is missing.
StatusOr<runtime::NetworkDetails> WantedNetwork(const OperatorParts& parts, const NetworkConfig& network);

// The pools that a network of the engine takes its addresses from; none: from the engine's own.
std::vector<std::string> PoolsOf(const runtime::NetworkDetails& network, const std::string& driver);

// Makes the networks of the configuration that are not there. Logs what could not be made and why. Safe to repeat.
io::Task<void> EnsureNetworks(OperatorParts parts, std::vector<NetworkConfig> networks);

}  // namespace fairlead::app
