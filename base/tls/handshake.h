// Turns a plain stream into one whose bytes pass through TLS, as server or client by what the context is.
#pragma once

#include "base/io/stream.h"
#include "base/tls/engine.h"

namespace fairlead::tls {

// By `deadline` (a point of Proactor::Now()): DEADLINE_EXCEEDED. On failure the peer was told why by an alert, where
// it could be sent, and the stream is of no use but to be closed. The stream outlives the task.
io::Task<StatusOr<TlsFacts>> Handshake(io::Stream& stream, std::shared_ptr<const TlsContext> context, Nanos deadline);

}  // namespace fairlead::tls
