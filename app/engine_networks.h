// `networks:` of the configuration: made in the engine where absent, with the subnets written into the request (an
// engine refuses fixed addresses on networks whose subnet it does not know as configured).
#pragma once

#include <string>

#include "app/config.h"
#include "base/io/await.h"

namespace fairlead::app {

// The engine's request for one network (Docker API, POST /networks/create).
std::string NetworkCreateBody(const Config& config, const NetworkConfig& network);

// Logs what could not be made and why. Safe to repeat.
io::Task<void> EnsureNetworks(io::Proactor& proactor, const Config& config);

}  // namespace fairlead::app
