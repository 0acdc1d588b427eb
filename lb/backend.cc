#include "lb/backend.h"

#include "lb/proxy_header.h"

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

}  // namespace

// No coroutine of its own where connecting is all there is to do.
Task<StatusOr<Stream>> DialEndpoint(io::Proactor& proactor, const Endpoint& endpoint, const ServiceSettings& settings,
                                    const ClientFacts& client, Nanos deadline) {
  if (settings.proxy_header != ProxyHeader::kNone)
    return DialAndAnnounce(proactor, endpoint.view().address, settings.proxy_header, client, deadline);
  return io::Dial(proactor, endpoint.view().address, deadline, io::BufferGroup::kLarge);
}

}  // namespace fairlead::lb
