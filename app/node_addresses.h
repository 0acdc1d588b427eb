// The addresses at which others reach this host: of all interfaces that are up, but loopback, link-local and those of
// container bridges (their networks are behind them, not the host's own).
#pragma once

#include <vector>

#include "base/net/ip_address.h"

namespace fairlead::app {

std::vector<IpAddress> NodeAddresses();

}  // namespace fairlead::app
