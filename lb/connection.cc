#include "lb/connection.h"

#include "lb/session.h"

namespace fairlead::lb {

using io::Stream;
using io::Task;

namespace {

ClientFacts FactsOf(const Stream& client) {
  SocketAddress peer = client.peer();
  return {.ip = peer.ip(), .local_ip = {}, .port = peer.port(), .local_port = 0, .secure = false};
}

}  // namespace

// No coroutine of its own for plain HTTP: an idle connection should hold one frame less.
Task<void> ServeConnection(Worker& worker, Worker::ListenerState& listener, int fd) {
  Stream client(worker.proactor(), fd);
  ClientFacts facts = FactsOf(client);
  return ServeHttp(worker, listener, std::move(client), facts);
}

}  // namespace fairlead::lb
