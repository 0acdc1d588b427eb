#include "lb/connection.h"

#include <string>

#include "lb/proxy_header.h"
#include "lb/session.h"
#include "lb/tcp_session.h"
#include "lb/tls.h"

namespace fairlead::lb {

using io::Chunk;
using io::IoResult;
using io::Stream;
using io::Task;

namespace {

ClientFacts FactsOf(const Stream& client) {
  SocketAddress peer = client.peer(), local = client.local();
  return {.ip = peer.ip(), .local_ip = local.ip(), .port = peer.port(), .local_port = local.port(), .secure = false};
}

// Reads the header and leaves what follows it in the stream. False: there is none, or it did not come in time.
Task<bool> ReadProxyHeader(Stream& client, ClientFacts& facts) {
  std::string joined;  // of a header that comes in pieces
  for (;;) {
    IoResult got = co_await client.Receive();
    if (!got.ok() || got.is_end()) co_return false;
    Chunk piece = client.Take();
    size_t before = joined.size();
    if (before != 0) joined.append(piece.view());
    ReceivedProxyHeader header;
    switch (ParseProxyHeader(before != 0 ? std::string_view(joined) : piece.view(), header)) {
      case ProxyParse::kBad: co_return false;
      case ProxyParse::kNeedMore:
        if (before == 0) joined.assign(piece.view());
        continue;
      case ProxyParse::kOk: break;
    }
    piece.Skip(header.bytes - before);
    client.PutBack(std::move(piece));
    const ProxyAddresses& told = header.addresses;
    if (told.source.is_set()) {
      facts.ip = told.source;
      facts.port = told.source_port;
      facts.local_ip = told.destination;
      facts.local_port = told.destination_port;
    }
    co_return true;
  }
}

Task<void> ServeProtocol(Worker& worker, Worker::ListenerState& listener, Stream client, const ClientFacts& facts) {
  switch (listener.spec.protocol) {
    case ListenerProtocol::kTcp: return ServeTcp(worker, listener, std::move(client), facts);
    case ListenerProtocol::kTls: return ServeTls(worker, listener, std::move(client), facts);
    case ListenerProtocol::kHttps: return ServeHttps(worker, listener, std::move(client), facts);
    case ListenerProtocol::kHttp: break;
  }
  return ServeHttp(worker, listener, std::move(client), facts);
}

Task<void> ServeBehindProxy(Worker& worker, Worker::ListenerState& listener, Stream client, ClientFacts facts) {
  listener.connections->Add(1);
  client.SetDeadline(worker.proactor().Now() + listener.spec.request_header);
  bool announced = co_await ReadProxyHeader(client, facts);
  client.SetDeadline(kNever);
  listener.connections->Add(-1);  // the session counts it from here on
  if (announced) co_return co_await ServeProtocol(worker, listener, std::move(client), facts);
  worker.CountRefused(listener, Worker::kNoProxyHeader);
  client.Reset();
}

}  // namespace

// No coroutine of its own where nothing is to be awaited: an idle connection should hold one frame less.
Task<void> ServeConnection(Worker& worker, Worker::ListenerState& listener, int fd) {
  bool relayed = listener.spec.protocol == ListenerProtocol::kTcp || listener.spec.protocol == ListenerProtocol::kTls;
  Stream client(worker.proactor(), fd, relayed ? io::BufferGroup::kLarge : io::BufferGroup::kSmall);
  ClientFacts facts = FactsOf(client);
  if (listener.spec.accept_proxy) return ServeBehindProxy(worker, listener, std::move(client), facts);
  return ServeProtocol(worker, listener, std::move(client), facts);
}

}  // namespace fairlead::lb
