// Session: one client connection, from its first byte to its end. Requests come one after the other; each picks a
// backend connection, forwards head and body, forwards the answer back, and tries again elsewhere while nothing of the
// answer has gone out and the rules allow it. docs/life-of-a-request.md follows one through these functions.
#pragma once

#include "lb/connection.h"

namespace fairlead::lb {

// Reads requests from `client` until the connection ends.
io::Task<void> ServeHttp(Worker& worker, Worker::ListenerState& listener, io::Stream client, ClientFacts facts);

}  // namespace fairlead::lb
