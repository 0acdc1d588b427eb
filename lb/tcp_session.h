// TCP sessions: a connection whose bytes are passed on untouched. Either its listener names the service, or the host
// name of a TLS ClientHello routes it, which is passed on with the rest. docs/life-of-a-request.md, "A connection of
// bytes", follows one through these functions.
#pragma once

#include "lb/connection.h"

namespace fairlead::lb {

// To an endpoint of the listener's service.
io::Task<void> ServeTcp(Worker& worker, Worker::ListenerState& listener, io::Stream client, ClientFacts facts);

// By SNI over the routes of this listener: exact name, wildcard, "*". An unknown name is answered by the alert
// unrecognized_name (RFC 6066 §3), what is no ClientHello by decode_error; both within `request_header`.
io::Task<void> ServeTls(Worker& worker, Worker::ListenerState& listener, io::Stream client, ClientFacts facts);

}  // namespace fairlead::lb
