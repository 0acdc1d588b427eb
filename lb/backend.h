// A new connection to an endpoint, ready for the first byte of a request: connected, announced by a PROXY header where
// the service wants one, inside TLS where it wants that.
#pragma once

#include "base/io/stream.h"
#include "lb/cluster.h"
#include "lb/connection.h"

namespace fairlead::lb {

// By `deadline`, all steps together. The error names the endpoint's address. Cluster and endpoint outlive the task. Why
// TLS fails is logged and counted (fairlead_lb_backend_tls_failures_total), since the client is told of a 503 only.
io::Task<StatusOr<io::Stream>> DialEndpoint(Worker& worker, Cluster& cluster, Endpoint& endpoint,
                                            const ClientFacts& client, Nanos deadline);

}  // namespace fairlead::lb
