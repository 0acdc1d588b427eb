#include "lb/backend.h"

#include "base/log.h"
#include "lb/proxy_header.h"
#include "lb/tls.h"

namespace fairlead::lb {

using io::Stream;
using io::Task;

namespace {

Task<io::IoResult> SendAll(Stream& to, std::string_view bytes) { co_return co_await to.Send(bytes); }

Task<StatusOr<Stream>> DialAndAnnounce(io::Proactor& proactor, SocketAddress address, ProxyHeader version,
                                       ClientFacts client, Nanos deadline) {
  StatusOr<Stream> dialled = co_await io::Dial(proactor, address, deadline, io::BufferGroup::kLarge);
  if (!dialled.ok()) co_return dialled;
  ProxyAddresses addresses{client.ip, client.local_ip, client.port, client.local_port};
  char header[kMaxWrittenProxyBytes];
  size_t bytes = version == ProxyHeader::kV1 ? WriteProxyV1(addresses, header) : WriteProxyV2(addresses, header);
  size_t taken = dialled->TrySend({header, bytes});  // a new connection has room for it
  io::IoResult sent = io::IoResult::Ok();
  if (taken < bytes)
    sent = co_await io::WithDeadline<io::IoResult>(proactor, deadline, SendAll(*dialled, {header + taken, bytes - taken}));
  if (!sent.ok()) co_return sent.ToStatus(Cat("send a PROXY header to ", address.ToString()));
  co_return dialled;
}

void NoteHandshake(Worker& worker, Cluster& cluster, Endpoint& endpoint, const Status& status) {
  if (status.ok()) return endpoint.tls_fault.Clear();
  if (status.code() == StatusCode::kCancelled) return;  // the client's session has ended
  worker.CountTlsFailure(cluster);
  if (endpoint.tls_fault.IsNews(Message(status), worker.proactor().Now()))
    LOG(kWarning, "no TLS to an endpoint", {"service", cluster.service()}, {"endpoint", endpoint.view().name},
        {"because", Message(status)});
}

Task<StatusOr<Stream>> DialSecure(Worker& worker, Cluster& cluster, Endpoint& endpoint, ProxyHeader version,
                                  ClientFacts client, std::shared_ptr<const tls::TlsContext> context, Nanos deadline) {
  SocketAddress address = endpoint.view().address;
  StatusOr<Stream> dialled =
      version != ProxyHeader::kNone
          ? co_await DialAndAnnounce(worker.proactor(), address, version, client, deadline)
          : co_await io::Dial(worker.proactor(), address, deadline, io::BufferGroup::kLarge);
  if (!dialled.ok()) co_return dialled;
  StatusOr<Stream> secured = co_await SecureBackend(*std::move(dialled), address, std::move(context), deadline);
  NoteHandshake(worker, cluster, endpoint, secured.status());
  co_return secured;
}

}  // namespace

// No coroutine of its own where connecting is all there is to do.
Task<StatusOr<Stream>> DialEndpoint(Worker& worker, Cluster& cluster, Endpoint& endpoint, const ClientFacts& client,
                                    Nanos deadline) {
  const ServiceSettings& settings = cluster.settings();
  if (settings.tls.enabled)
    return DialSecure(worker, cluster, endpoint, settings.proxy_header, client, settings.tls_context, deadline);
  if (settings.proxy_header != ProxyHeader::kNone)
    return DialAndAnnounce(worker.proactor(), endpoint.view().address, settings.proxy_header, client, deadline);
  return io::Dial(worker.proactor(), endpoint.view().address, deadline, io::BufferGroup::kLarge);
}

}  // namespace fairlead::lb
