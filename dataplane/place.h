// Puts the container's side of a pair into the namespace where it is to be used: what an engine does itself with Docker's
// plugins and leaves to the plugin with CNI and netavark.
#pragma once

#include <functional>

#include "base/net/netlink.h"
#include "dataplane/dataplane.h"

namespace fairlead::dataplane {

// Called before each change of the kernel's state, with its number from 0 on; an error ends the work there. Tests fail
// every step in turn by it.
using BeforeStep = std::function<Status(int step)>;

// Driver::Place. `host` is the namespace of the other side.
Status PlaceContainerSide(Netlink& host, const EndpointSpec& endpoint, const Placement& placement,
                          const BeforeStep& before_step = {});

// Driver::CheckPlaced.
Status CheckContainerSide(const EndpointSpec& endpoint, const Placement& placement);

}  // namespace fairlead::dataplane
