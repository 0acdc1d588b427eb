// TLS in the balancer: certificates of listeners and of services are loaded by the control thread, and shared by all
// workers as TlsContexts that never change. What is loaded again serves new connections; those that stand keep theirs.
#pragma once

#include "base/tls/handshake.h"
#include "lb/config.h"
#include "lb/connection.h"

namespace fairlead::lb {

// Reads the files that `config` names and puts `tls_context` into its listeners and services. The error names the
// listener or service, the file and the way out. With the same `keys` clients resume their sessions after a reload.
Status LoadTls(Config& config, std::shared_ptr<const tls::TicketKeys> keys);

// Serves HTTP inside TLS, which is to begin within `request_header`.
io::Task<void> ServeHttps(Worker& worker, Worker::ListenerState& listener, io::Stream client, ClientFacts facts);

// Puts a connected stream to an endpoint into TLS, by `deadline`. The error names the address.
io::Task<StatusOr<io::Stream>> SecureBackend(io::Stream backend, SocketAddress address,
                                             std::shared_ptr<const tls::TlsContext> context, Nanos deadline);

}  // namespace fairlead::lb
