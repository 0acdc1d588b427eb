#include "lb/tls.h"

#include "lb/session.h"

namespace fairlead::lb {

using io::Stream;
using io::Task;

Status LoadTls(Config& config, std::shared_ptr<const tls::TicketKeys> keys) {
  for (ListenerSpec& listener : config.listeners) {
    if (listener.protocol != ListenerProtocol::kHttps) continue;
    tls::ServerOptions options;
    options.name = listener.name;
    for (const CertificateFiles& files : listener.tls.certificates)
      options.certificates.push_back({files.cert, files.key, files.ocsp});
    options.alpn = listener.tls.alpn;
    options.client_ca = listener.tls.client_ca;
    options.min_version = listener.tls.min_version;
    options.ticket_keys = keys;
    auto context = tls::TlsContext::Server(options);
    if (!context.ok()) return WithContext(context.status(), Cat("listener ", listener.name, ": "));
    listener.tls_context = *std::move(context);
  }
  for (ServiceSpec& service : config.services) {
    const BackendTls& files = service.settings.tls;
    if (!files.enabled) continue;
    auto context = tls::TlsContext::Client({.ca = files.ca,
                                            .server_name = files.server_name.empty() ? service.name : files.server_name,
                                            .verify = files.verify, .cert = files.cert, .key = files.key, .alpn = {}});
    if (!context.ok()) return WithContext(context.status(), Cat("service ", service.name, ": "));
    service.settings.tls_context = *std::move(context);
  }
  return OkStatus();
}

Task<void> ServeHttps(Worker& worker, Worker::ListenerState& listener, Stream client, ClientFacts facts) {
  Nanos deadline = worker.proactor().Now() + listener.spec.request_header;
  StatusOr<tls::TlsFacts> shaken = co_await tls::Handshake(client, listener.spec.tls_context, deadline);
  if (!shaken.ok()) {
    listener.handshake_failures->Add();
    co_return;
  }
  facts.secure = true;
  facts.tls = &*shaken;
  co_await ServeHttp(worker, listener, std::move(client), facts);
}

Task<StatusOr<Stream>> SecureBackend(Stream backend, SocketAddress address,
                                     std::shared_ptr<const tls::TlsContext> context, Nanos deadline) {
  StatusOr<tls::TlsFacts> shaken = co_await tls::Handshake(backend, std::move(context), deadline);
  if (!shaken.ok()) co_return WithContext(shaken.status(), Cat(address.ToString(), ": "));
  co_return backend;
}

}  // namespace fairlead::lb
