// A new connection to an endpoint, ready for the first byte of a request: connected, announced by a PROXY header where
// the service wants one, inside TLS where it wants that.
#pragma once

#include "base/io/stream.h"
#include "lb/cluster.h"
#include "lb/connection.h"

namespace fairlead::lb {

// By `deadline`, all steps together. The error names the endpoint's address.
io::Task<StatusOr<io::Stream>> DialEndpoint(io::Proactor& proactor, const Endpoint& endpoint,
                                            const ServiceSettings& settings, const ClientFacts& client, Nanos deadline);

}  // namespace fairlead::lb
