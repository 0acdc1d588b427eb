#include "lb/balancer.h"

#include <algorithm>
#include <atomic>
#include <deque>

#include "base/io/await.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::lb {
namespace {

const ListenerSpec* Named(const Config& config, std::string_view name) {
  auto found = std::ranges::find(config.listeners, name, &ListenerSpec::name);
  return found == config.listeners.end() ? nullptr : &*found;
}

std::string_view NameOf(ListenerProtocol protocol) {
  switch (protocol) {
    case ListenerProtocol::kHttp: return "http";
    case ListenerProtocol::kHttps: return "https";
    case ListenerProtocol::kTcp: return "tcp";
    case ListenerProtocol::kTls: return "tls";
  }
  return "";
}

// What `next` has otherwise although the workers were started with it.
std::vector<std::string> FixedAtStart(const Config& now, const Config& next) {
  std::vector<std::string> changed;
  auto compare = [&](std::string_view what, const auto& was, const auto& is) {
    if (was != is) changed.push_back(Cat(what, " was ", was, " and is ", is));
  };
  for (const ListenerSpec& was : now.listeners) {
    const ListenerSpec* is = Named(next, was.name);
    if (is == nullptr) {
      changed.push_back(Cat("listener ", was.name, " is gone"));
      continue;
    }
    compare(Cat("bind of listener ", was.name), was.bind.ToString(), is->bind.ToString());
    compare(Cat("protocol of listener ", was.name), NameOf(was.protocol), NameOf(is->protocol));
  }
  for (const ListenerSpec& is : next.listeners)
    if (Named(now, is.name) == nullptr) changed.push_back(Cat("listener ", is.name, " is new"));
  compare("lb.workers", now.workers, next.workers);
  if (now.io != next.io) changed.emplace_back("lb.io is another one");
  compare("dns.zone", now.zone, next.zone);
  compare("dns.branch_zone", now.branch_zone, next.branch_zone);
  return changed;
}

constexpr Nanos kAskAgain = 1 * kSecond;  // for a port that another program had

ListenerSpec ListenerOfLabels(const SocketAddress& bind, const std::string& service) {
  ListenerSpec spec;
  spec.name = Cat("port-", bind.port());
  spec.bind = bind;
  spec.protocol = ListenerProtocol::kTcp;
  spec.service = service;
  return spec;
}

}  // namespace

// A word to workers to look into their inboxes, and back: the last of them brings it, so that it wakes the control thread
// once. `hold`, of a change that an agent waits for, goes then.
class Balancer::Delivery final : public io::Posted {
 public:
  Delivery(Balancer& balancer, discovery::AckHold hold) : balancer_(balancer), hold_(std::move(hold)) {}

  // Ends it, sooner or later.
  void Send(const std::vector<Member>& to) {
    ++balancer_.pending_;
    under_way_ = to.size();
    for (const Member& member : to) member.proactor->PostFromAnyThread(visits_.emplace_back(*this, *member.worker));
  }

  void Run() override {  // back on the control thread
    --balancer_.pending_;
    delete this;
  }

 private:
  class Visit final : public io::Posted {
   public:
    Visit(Delivery& delivery, Worker& worker) : delivery_(delivery), worker_(worker) {}
    void Run() override {  // on the worker
      worker_.CatchUp();
      if (delivery_.under_way_.fetch_sub(1, std::memory_order_acq_rel) == 1) delivery_.balancer_.control_.PostFromAnyThread(delivery_);
    }

   private:
    Delivery& delivery_;
    Worker& worker_;
  };

  Balancer& balancer_;
  discovery::AckHold hold_;
  std::deque<Visit> visits_;
  std::atomic<size_t> under_way_ = 0;
};

Balancer::Balancer(io::Proactor& control, Random& random, Metrics& metrics, Config config)
    : control_(control), metrics_(metrics),
      checks_(control, random, [this](const std::string& service) { Send(picture_.Refresh(service)); }),
      picture_(std::move(config), &checks_, /*reads_users_files=*/true),
      open_ports_gauge_(metrics.gauge("fairlead_lb_dynamic_ports", "TCP ports that labels of containers have opened")) {
  checks_.SetFile(picture_.config().services);
}

Balancer::~Balancer() { CHECK(pending_ == 0); }

void Balancer::AddWorker(io::Proactor& proactor, Worker& worker) {
  workers_.push_back({&proactor, &worker});
  ChangeSet all = picture_.All();
  for (const auto& [port, open] : open_ports_) all.opened_ports.push_back(ListenerOfLabels(open.first, open.second));
  worker.inbox().Put(std::make_shared<const ChangeSet>(std::move(all)));
  (new Delivery(*this, {}))->Send({workers_.back()});
}

void Balancer::FollowWith(discovery::Consumer& consumer) {
  consumer_ = &consumer;
  consumer.AddListener(*this);
}

void Balancer::OnChanges(const std::vector<discovery::Change>& changes) {
  if (changes.empty()) return;
  checks_.Apply(changes);
  discovery::AckHold hold;
  if (consumer_ != nullptr) hold = consumer_->HoldAck();
  ChangeSet applied = picture_.Apply(changes);
  SyncPorts(applied);
  Send(std::move(applied), std::move(hold));
}

void Balancer::SyncPorts(ChangeSet& changes) {
  DynamicPorts& ports = picture_.ports();
  for (const uint16_t port : ports.TakeChanged()) {
    auto wanted = ports.Wanted(port);
    auto open = open_ports_.find(port);
    if (open != open_ports_.end() && open->second == wanted) continue;
    const bool ours = open != open_ports_.end() && open->second.first == wanted.first;
    if (open != open_ports_.end()) {
      changes.closed_ports.push_back(port);
      open_ports_.erase(open);
    }
    Status free = OkStatus();
    // Each worker opens its own socket, on its own thread. Whether somebody outside has the port is seen here.
    if (!wanted.second.empty() && !ours) free = control_.CheckListenable(wanted.first);
    ports.SetTaken(port, free.ok() ? "" : std::string(Message(free)));
    if (wanted.second.empty() || !free.ok()) continue;
    changes.opened_ports.push_back(ListenerOfLabels(wanted.first, wanted.second));
    open_ports_.emplace(port, std::move(wanted));
  }
  open_ports_gauge_.Set(static_cast<double>(open_ports_.size()));
}

io::Task<void> Balancer::FollowPorts() {
  while ((co_await io::Sleep(control_, kAskAgain)).ok()) {
    picture_.ports().AskAgain();
    ChangeSet changes;
    SyncPorts(changes);
    Send(std::move(changes));
  }
}

Status Balancer::Reload(Config config) {
  const Config& now = picture_.config();
  std::vector<std::string> fixed = FixedAtStart(now, config);
  if (!fixed.empty())
    return FailedPrecondition(Join(fixed, "; "), ": a reload cannot change that; restart the balancer to apply the file");
  // Workers know a listener by its place at start; the file may have moved it.
  std::ranges::sort(config.listeners, {}, [&](const ListenerSpec& listener) { return Named(now, listener.name); });
  std::vector<ListenerChange> listeners;
  for (size_t i = 0; i < config.listeners.size(); i++) listeners.push_back({i, config.listeners[i]});
  checks_.SetFile(config.services);
  ChangeSet changes = picture_.Reload(std::move(config));
  changes.listeners = std::move(listeners);
  picture_.ports().AskAgain();
  SyncPorts(changes);
  Send(std::move(changes));
  return OkStatus();
}

void Balancer::SetFileEndpoints(std::string_view service, std::vector<StaticEndpoint> endpoints) {
  ChangeSet changes = picture_.SetFileEndpoints(service, std::move(endpoints));
  auto found = std::ranges::find(picture_.config().services, service, &ServiceSpec::name);
  if (found == picture_.config().services.end()) return;
  checks_.SetFileService(*found);
  Send(std::move(changes));
}

void Balancer::Send(ChangeSet changes, discovery::AckHold hold) {
  CountStates(changes.counts);
  for (const ClusterChange& change : changes.clusters)
    if (change.removed) gauges_.erase(change.service);
  if (changes.empty() || workers_.empty()) return;
  const auto shared = std::make_shared<const ChangeSet>(std::move(changes));
  size_t unread = 0;
  for (const Member& member : workers_) unread = std::max(unread, member.worker->inbox().Put(shared));
  if (shared->takes_away || shared->of_listeners() || unread > kMaxUnread) (new Delivery(*this, std::move(hold)))->Send(workers_);
}

Balancer::StateGauges& Balancer::GaugesOf(const std::string& service) {
  auto [at, made] = gauges_.try_emplace(service);
  StateGauges& gauges = at->second;
  if (!made) return gauges;
  auto state = [&](const char* name) {
    return metrics_.hold_gauge("fairlead_lb_endpoint_state", "Endpoints by service and state", {{"service", service}, {"state", name}});
  };
  gauges.ready = state("ready");
  gauges.not_ready = state("not_ready");
  for (size_t i = 0; i < discovery::kHealthStates; i++)
    gauges.health[i] = metrics_.hold_gauge("fairlead_lb_endpoint_health", "Endpoints by service and what their checks found",
                                       {{"service", service}, {"health", std::string(HealthName(static_cast<discovery::HealthState>(i)))}});
  gauges.fails_open = metrics_.hold_gauge("fairlead_lb_service_fails_open", "1 while all endpoints failed their checks together and serve on",
                                      {{"service", service}});
  return gauges;
}

void Balancer::CountStates(const std::vector<EndpointCounts>& counts) {
  for (const EndpointCounts& service : counts) {
    StateGauges& gauges = GaugesOf(service.service);
    gauges.ready->Set(static_cast<double>(service.ready));
    gauges.not_ready->Set(static_cast<double>(service.all - service.ready));
    for (size_t i = 0; i < discovery::kHealthStates; i++) gauges.health[i]->Set(static_cast<double>(service.by_health[i]));
    gauges.fails_open->Set(service.fails_open ? 1 : 0);
  }
}

}  // namespace fairlead::lb
