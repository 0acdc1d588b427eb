#include "lb/tcp_session.h"

#include <string>

#include "lb/backend.h"
#include "lb/client_hello.h"
#include "lb/relay.h"

namespace fairlead::lb {

using io::Chunk;
using io::IoResult;
using io::Stream;
using io::Task;

namespace {

constexpr Nanos kLinger = 1 * kSecond;  // for a client to read the alert before the close

// Alerts (RFC 8446 §6): record of type 21, version as TLS 1.2 has it, 2 bytes: fatal, and what.
constexpr std::string_view kUnrecognizedName("\x15\x03\x03\x00\x02\x02\x70", 7);
constexpr std::string_view kDecodeError("\x15\x03\x03\x00\x02\x02\x32", 7);

}  // namespace

class TcpSession {
 public:
  TcpSession(Worker& worker, Worker::ListenerState& listener, Stream client, const ClientFacts& facts)
      : worker_(worker), held_(&listener), listener_(listener), client_(std::move(client)), facts_(facts) {
    listener_.connections->Add(1);
  }
  ~TcpSession() { listener_.connections->Add(-1); }

  Task<void> Run();
  Task<void> RunBySni();

 private:
  Task<bool> Connect(Cluster& cluster);
  Task<void> PassOn(LocalRef<Cluster> cluster);
  Task<ClientHelloParse> ReadClientHello(ClientHello& hello);
  Task<void> RefuseWithAlert(std::string_view alert, Worker::Refusal why);

  Worker& worker_;
  LocalRef<Worker::ListenerState> held_;  // the port that labels opened may close before us
  Worker::ListenerState& listener_;
  Stream client_;
  Stream backend_;
  ClientFacts facts_;
  Chunk first_;          // received already: to be passed on first
  std::string joined_;   // the same, of a ClientHello that came in pieces
};

Task<void> TcpSession::Run() {
  worker_.CatchUp();
  auto found = worker_.clusters_.find(listener_.spec.service);
  // HTTP endpoints get requests, each with its client's address in it: never bytes from past the HTTP listeners.
  if (found != worker_.clusters_.end() && found->second->settings().protocol == ServiceProtocol::kTcp)
    co_return co_await PassOn(found->second);
  worker_.CountRefused(listener_, Worker::kNoEndpoint);
  client_.Reset();
}

Task<void> TcpSession::RunBySni() {
  LocalRef<Cluster> cluster;
  {
    ClientHello hello;
    client_.SetDeadline(worker_.proactor_.Now() + listener_.spec.request_header);
    ClientHelloParse parsed = co_await ReadClientHello(hello);
    if (parsed == ClientHelloParse::kNeedMore) {  // the client has gone, or was too slow
      worker_.CountRefused(listener_, Worker::kNoClientHello);
      co_return;
    }
    if (parsed == ClientHelloParse::kBad) co_return co_await RefuseWithAlert(kDecodeError, Worker::kNoClientHello);
    worker_.CatchUp();
    const HostKey host(hello.server_name);
    const discovery::RequestView view{.host = host.view(), .client_ip = facts_.ip, .alpn = hello.alpn};
    if (const auto* route = worker_.routes_.Find(view, listener_.index)) cluster = route->target.middlewares ? LocalRef<Cluster>() : route->target.cluster;
    // Middlewares are of HTTP: what they guard must not pass as bytes.
  }
  if (!cluster) co_return co_await RefuseWithAlert(kUnrecognizedName, Worker::kNoRoute);
  co_await PassOn(cluster);
}

// What was read stays in first_ or joined_.
Task<ClientHelloParse> TcpSession::ReadClientHello(ClientHello& hello) {
  for (;;) {
    IoResult got = co_await client_.Receive();
    if (!got.ok() || got.is_end()) co_return ClientHelloParse::kNeedMore;
    first_ = client_.Take();
    bool alone = joined_.empty();
    if (!alone) joined_.append(first_.view());
    ClientHelloParse parsed = ParseClientHello(alone ? first_.view() : std::string_view(joined_), hello);
    if (alone && parsed != ClientHelloParse::kNeedMore) co_return parsed;
    if (alone) joined_.assign(first_.view());
    first_.Reset();
    if (parsed != ClientHelloParse::kNeedMore) co_return parsed;
  }
}

// A failed connect goes to another endpoint: nothing was sent yet. A client that nobody serves is reset: an orderly end
// would look like an empty answer.
Task<bool> TcpSession::Connect(Cluster& cluster) {
  io::Proactor& proactor = worker_.proactor_;
  LocalRef<Endpoint> endpoint;
  for (int retries = 0;; retries++) {
    const ServiceSettings settings = cluster.settings();  // a change may come while we wait
    endpoint = cluster.Pick(proactor.Now(), retries > 0 ? endpoint.get() : nullptr);
    if (!endpoint) {
      worker_.CountRefused(listener_, Worker::kNoEndpoint);
      co_return false;
    }
    StatusOr<Stream> dialled =
        co_await DialEndpoint(worker_, cluster, *endpoint, facts_, proactor.Now() + settings.connect);
    if (dialled.ok()) {
      backend_ = *std::move(dialled);
      co_return true;
    }
    worker_.connect_failures_.Add();
    endpoint->AvoidUntil(proactor.Now() + Endpoint::kAvoid);
    if (!settings.retry_connect_failure || retries >= settings.max_retries) break;
    worker_.retries_.Add();
  }
  worker_.CountRefused(listener_, Worker::kNotConnected);
  co_return false;
}

Task<void> TcpSession::PassOn(LocalRef<Cluster> cluster) {
  if (!co_await Connect(*cluster)) {
    client_.Reset();
    co_return;
  }
  Cluster::TcpCounters counters = worker_.TcpCountersOf(*cluster, listener_);
  counters.connections->Add();
  Nanos silence = cluster->settings().tunnel;
  cluster = {};  // a service that is removed meanwhile is forgotten; the connection goes on
  if (!joined_.empty()) {
    if (!(co_await backend_.Send(joined_)).ok()) {
      client_.Reset();
      co_return;
    }
    counters.bytes_in->Add(joined_.size());
    joined_ = {};
  }
  (void)co_await RelayBothWays(client_, backend_, {silence, counters.bytes_in.get(), counters.bytes_out.get()}, std::move(first_));
}

Task<void> TcpSession::RefuseWithAlert(std::string_view alert, Worker::Refusal why) {
  worker_.CountRefused(listener_, why);
  first_.Reset();
  client_.SetDeadline(worker_.proactor_.Now() + kLinger);
  if (client_.TrySend(alert) != alert.size()) co_return;
  client_.ShutdownWrite();
  for (;;) {  // closing with unread input resets, which may destroy the alert
    IoResult got = co_await client_.Receive();
    if (!got.ok() || got.is_end()) co_return;
    first_ = client_.Take();
    first_.Reset();
  }
}

Task<void> ServeTcp(Worker& worker, Worker::ListenerState& listener, Stream client, ClientFacts facts) {
  TcpSession session(worker, listener, std::move(client), facts);
  co_await session.Run();
}

Task<void> ServeTls(Worker& worker, Worker::ListenerState& listener, Stream client, ClientFacts facts) {
  TcpSession session(worker, listener, std::move(client), facts);
  co_await session.RunBySni();
}

}  // namespace fairlead::lb
