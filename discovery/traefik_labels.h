// Traefik v3's dialect (conventions, A2): routers and services of HTTP. Middlewares, TCP and UDP are named as not yet
// supported; a router that needs a guard which is not built is left out, never opened. docs/labels.md has the table.
#pragma once

#include "discovery/labels_dialect.h"

namespace fairlead::discovery {

// Without any traefik.* label, or with traefik.enable=false: nothing.
DialectResult DescribeTraefik(const ContainerFacts& facts);

}  // namespace fairlead::discovery
