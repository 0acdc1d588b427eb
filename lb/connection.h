// A client's connection from accept to the session of its listener's protocol: PROXY header first, TLS second, then HTTP
// or bytes. What was learned on the way goes along as ClientFacts.
#pragma once

#include "base/io/task.h"
#include "base/net/ip_address.h"
#include "lb/worker.h"

namespace fairlead::tls {
struct TlsFacts;
}

namespace fairlead::lb {

// Who is at the other end: the socket's addresses, or those of a PROXY header.
struct ClientFacts {
  IpAddress ip, local_ip;
  uint16_t port = 0, local_port = 0;
  bool secure = false;            // came through TLS that ended here
  const tls::TlsFacts* tls = nullptr;  // of that TLS: server name, protocol, client certificate; as long as the session
};

// Serves one accepted connection until its end. The gauge of open connections counts it meanwhile.
io::Task<void> ServeConnection(Worker& worker, Worker::ListenerState& listener, int fd);

}  // namespace fairlead::lb
