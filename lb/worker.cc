#include "lb/worker.h"

#include <iterator>

#include "base/log.h"
#include "lb/connection.h"
#include "lb/session.h"

namespace fairlead::lb {
namespace {

// Receives have deadlines of their own; a send ends when the client's kernel takes nothing for so long.
constexpr Nanos kClientTakesNothing = 60 * kSecond;

// Of tunnels the service's own silence counts: their client may well stop reading for a while.
Nanos TakesNothing(const ListenerSpec& spec) {
  bool tunnel = spec.protocol == ListenerProtocol::kTcp || spec.protocol == ListenerProtocol::kTls;
  return tunnel ? 0 : kClientTakesNothing;
}

// By the protocol alone, not by accept_proxy: a reload changes that, and the socket stays.
bool ClientSpeaksFirst(const ListenerSpec& spec) { return spec.protocol != ListenerProtocol::kTcp; }

constexpr const char* kRefusalNames[] = {"no_proxy_header", "no_client_hello", "no_route", "no_endpoint", "not_connected"};
static_assert(std::size(kRefusalNames) == Worker::kRefusals);

constexpr const char* kCodeClasses[6] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

}  // namespace

Worker::Worker(io::Proactor& proactor, Random& random, Metrics& metrics, io::Offload& passwords)
    : proactor_(proactor),
      metrics_(metrics),
      request_ids_(random),
      passwords_(proactor, passwords, random, metrics),
      retries_(metrics.counter("fairlead_lb_retries_total", "Requests tried again at another endpoint")),
      connect_failures_(metrics.counter("fairlead_lb_connect_failures_total", "Connects to endpoints that failed")) {}

Worker::~Worker() = default;

StatusOr<LocalRef<Worker::ListenerState>> Worker::Open(const ListenerSpec& spec) {
  ASSIGN_OR_RETURN(io::Listener socket, io::Listener::Open(proactor_, spec.bind,
                                                           {.reuse_port = true,
                                                            .defer_accept = ClientSpeaksFirst(spec),
                                                            .user_timeout = TakesNothing(spec)}));
  LocalRef<ListenerState> listener(new ListenerState);
  listener->spec = spec;
  listener->address = socket.address();
  listener->socket = std::move(socket);
  listener->connections =
      &metrics_.gauge("fairlead_lb_connections", "Client connections now open", {{"listener", spec.name}});
  if (spec.protocol == ListenerProtocol::kHttps)
    listener->handshake_failures = &metrics_.counter("fairlead_lb_tls_handshake_failures_total",
                                                    "Client connections whose TLS handshake failed or took too long",
                                                    {{"listener", spec.name}});
  return listener;
}

Status Worker::Listen(const ListenerSpec& spec) {
  ASSIGN_OR_RETURN(LocalRef<ListenerState> listener, Open(spec));
  listener->index = static_cast<int>(listeners_.size());
  listeners_.push_back(listener);
  listener->accepting.Spawn(Accept(*listener));
  return OkStatus();
}

void Worker::OpenPort(const ListenerSpec& spec) {
  if (draining_) return;
  StatusOr<LocalRef<ListenerState>> listener = Open(spec);
  if (!listener.ok()) {  // the control thread could have it a moment ago
    LOG(kError, "port of a label not opened", {"service", spec.service}, {"because", Message(listener.status())});
    return;
  }
  ports_[spec.bind.port()] = *listener;
  (*listener)->accepting.Spawn(Accept(**listener));
}

void Worker::ClosePort(uint16_t port) {
  std::erase_if(closing_, [](const auto& closed) { return closed->accepting.live() == 0; });
  auto found = ports_.find(port);
  if (found == ports_.end()) return;
  found->second->accepting.Cancel();
  closing_.push_back(std::move(found->second));
  ports_.erase(found);
}

template <class Do>
void Worker::ForEachListener(Do what) {
  for (auto& listener : listeners_) what(*listener);
  for (auto& [port, listener] : ports_) what(*listener);
  for (auto& listener : closing_) what(*listener);
}

// Until the drain; then the socket closes, or the kernel would go on queueing connections that nobody takes.
io::Task<void> Worker::Accept(ListenerState& listener) {
  co_await io::AcceptLoop(*listener.socket, sessions_,
                          [this, &listener](int fd) { return ServeConnection(*this, listener, fd); });
  listener.socket.reset();
}

void Worker::Apply(const ChangeSet& changes) {
  // Sessions look into the spec at each request, and hold nothing of it while they wait. A TLS connection that stands
  // keeps the context it has.
  for (const ListenerChange& change : changes.listeners) listeners_[change.listener]->spec = change.spec;
  for (const ClusterChange& change : changes.clusters) {
    auto found = clusters_.find(change.service);
    if (change.removed) {
      if (found == clusters_.end()) continue;
      found->second->Retire();
      clusters_.erase(found);
    } else {
      ClusterOf(change.service)->Apply(change);
    }
  }
  for (const uint16_t port : changes.closed_ports) ClosePort(port);
  for (const ListenerSpec& spec : changes.opened_ports) OpenPort(spec);
  for (const HostChange& change : changes.hosts) {
    std::vector<RouteTable<RouteTarget>::Entry> entries;
    for (const HostChange::Route& route : change.routes) {
      LocalRef<RouteMiddlewares> middlewares;
      if (route.middlewares != nullptr) middlewares = LocalRef<RouteMiddlewares>(new RouteMiddlewares(route.middlewares));
      entries.push_back({route.path_prefix, route.listeners, {ClusterOf(route.service), std::move(middlewares)}, route.priority,
                         route.condition});
    }
    routes_.Set(change.host, std::move(entries));
  }
}

void Worker::ApplyInbox() {
  for (const ChangeInbox::Changes& changes : inbox_.Take()) Apply(*changes);
}

LocalRef<Cluster> Worker::ClusterOf(const std::string& service) {
  LocalRef<Cluster>& cluster = clusters_[service];
  if (!cluster) cluster = LocalRef<Cluster>(new Cluster(proactor_, service));
  return cluster;
}

void Worker::BeginDrain() {
  draining_ = true;
  ForEachListener([](ListenerState& listener) { listener.accepting.Cancel(); });
  idle_sessions_.EndAll();
}

void Worker::Stop() {
  BeginDrain();
  ForEachListener([this](ListenerState& listener) { listener.accepting.Drain(proactor_); });
  sessions_.Drain(proactor_);
  passwords_.Stop();
  listeners_.clear();
  ports_.clear();
  closing_.clear();
  routes_ = {};
  for (auto& [name, cluster] : clusters_) cluster->Retire();
  clusters_.clear();
  while (proactor_.stats.orphans > 0) proactor_.Turn(10 * kMillisecond);
}

Cluster::Counters& Worker::CountersOf(Cluster& cluster, const ListenerState& listener) {
  Cluster::Counters& counters = cluster.counters(static_cast<size_t>(listener.index));
  if (counters.duration == nullptr) [[unlikely]] {
    for (size_t i = 0; i < 6; i++)
      counters.requests[i] = metrics_.hold_counter(
          "fairlead_lb_requests_total", "Requests answered",
          {{"service", cluster.service()}, {"listener", listener.spec.name}, {"code_class", kCodeClasses[i]}});
    counters.duration = metrics_.hold_histogram("fairlead_lb_request_duration_seconds",
                                            "From a request's first byte to the head of its answer",
                                            {{"service", cluster.service()}, {"listener", listener.spec.name}});
  }
  return counters;
}

Cluster::TcpCounters& Worker::TcpCountersOf(Cluster& cluster, ListenerState& listener) {
  Cluster::TcpCounters& counters =
      listener.index == kOfLabels ? listener.tcp : cluster.tcp_counters(static_cast<size_t>(listener.index));
  if (counters.connections == nullptr) [[unlikely]] {
    MetricLabels labels = {{"service", cluster.service()}, {"listener", listener.spec.name}};
    counters.connections = metrics_.hold_counter("fairlead_lb_tcp_connections_total", "Connections passed on to an endpoint",
                                             labels);
    auto bytes = [&](const char* direction) {
      MetricLabels with_direction = labels;
      with_direction.emplace_back("direction", direction);
      return metrics_.hold_counter("fairlead_lb_tcp_bytes_total", "Bytes passed on: in from clients, out to clients",
                               with_direction);
    };
    counters.bytes_in = bytes("in");
    counters.bytes_out = bytes("out");
  }
  return counters;
}

void Worker::CountRefused(ListenerState& listener, Refusal why) {
  Counter*& counter = listener.refused[why];
  if (counter == nullptr)
    counter = &metrics_.counter("fairlead_lb_connections_refused_total",
                                "Connections ended before anything of them reached an endpoint",
                                {{"listener", listener.spec.name}, {"reason", kRefusalNames[why]}});
  counter->Add();
}

void Worker::CountTlsFailure(Cluster& cluster) {
  if (cluster.tls_failures == nullptr)
    cluster.tls_failures = metrics_.hold_counter("fairlead_lb_backend_tls_failures_total",
                                             "TLS handshakes with endpoints that failed or took too long",
                                             {{"service", cluster.service()}});
  cluster.tls_failures->Add();
}

void Worker::CountUnrouted(ListenerState& listener, size_t code_class) {
  Counter*& counter = listener.unrouted[code_class];
  if (counter == nullptr)
    counter = &metrics_.counter(
        "fairlead_lb_requests_total", "Requests answered",
        {{"service", ""}, {"listener", listener.spec.name}, {"code_class", kCodeClasses[code_class]}});
  counter->Add();
}

void Worker::CountRefusedRequest(ListenerState& listener, Refused reason) {
  constexpr const char* kReasons[kRefusedReasons] = {"bad_request", "no_host", "target_too_long", "head_too_large",
                                                     "body_too_large", "timeout", "bad_version", "unsupported_coding",
                                                     "max_forwards", "unauthorized", "forbidden", "route_shut", "passwords_wait"};
  size_t index = static_cast<size_t>(reason);
  Counter*& counter = listener.refused_requests[index];
  if (counter == nullptr)
    counter = &metrics_.counter("fairlead_lb_refused_total", "Requests refused before any backend was asked",
                                {{"listener", listener.spec.name}, {"reason", kReasons[index]}});
  counter->Add();
}

}  // namespace fairlead::lb
