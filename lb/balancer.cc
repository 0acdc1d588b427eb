#include "lb/balancer.h"

#include <algorithm>

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
  return changed;
}

}  // namespace

// One change on its way to one worker and back. The last one to come back lets the confirmation go.
class Balancer::Delivery final : public io::Posted {
 public:
  Delivery(Balancer& balancer, Member to, std::shared_ptr<const ChangeSet> changes,
           std::shared_ptr<discovery::AckHold> hold)
      : balancer_(balancer), to_(to), changes_(std::move(changes)), hold_(std::move(hold)) {}

  void Run() override {
    if (!applied_) {  // on the worker
      to_.worker->Apply(*changes_);
      applied_ = true;
      balancer_.control_.PostFromAnyThread(*this);
    } else {          // back on the control thread
      --balancer_.pending_;
      delete this;
    }
  }

 private:
  Balancer& balancer_;
  Member to_;
  std::shared_ptr<const ChangeSet> changes_;
  std::shared_ptr<discovery::AckHold> hold_;  // shared by the deliveries of one change
  bool applied_ = false;
};

Balancer::Balancer(io::Proactor& control, Metrics& metrics, Config config)
    : control_(control), metrics_(metrics), picture_(std::move(config)) {}

Balancer::~Balancer() { CHECK(pending_ == 0); }

void Balancer::AddWorker(io::Proactor& proactor, Worker& worker) {
  workers_.push_back({&proactor, &worker});
  ++pending_;
  proactor.PostFromAnyThread(
      *new Delivery(*this, workers_.back(), std::make_shared<const ChangeSet>(picture_.All()), nullptr));
}

void Balancer::FollowWith(discovery::Consumer& consumer) {
  consumer_ = &consumer;
  consumer.AddListener(*this);
}

void Balancer::OnChanges(const std::vector<discovery::Change>& changes) {
  if (!changes.empty()) Send(picture_.Apply(changes));
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
  ChangeSet changes = picture_.Reload(std::move(config));
  changes.listeners = std::move(listeners);
  Send(std::move(changes));
  return OkStatus();
}

void Balancer::Send(ChangeSet changes) {
  CountStates(changes);
  auto hold = consumer_ == nullptr ? nullptr : std::make_shared<discovery::AckHold>(consumer_->HoldAck());
  auto shared = std::make_shared<const ChangeSet>(std::move(changes));
  for (const Member& member : workers_) {
    ++pending_;
    member.proactor->PostFromAnyThread(*new Delivery(*this, member, shared, hold));
  }
}

void Balancer::CountStates(const ChangeSet& changes) {
  for (const ClusterChange& change : changes.clusters) {
    double ready = static_cast<double>(change.endpoints.size());
    double all = static_cast<double>(picture_.Endpoints(change.service).size());
    auto set = [&](const char* state, double value) {
      metrics_.gauge("fairlead_lb_endpoint_state", "Endpoints by service and state",
                     {{"service", change.service}, {"state", state}}).Set(value);
    };
    set("ready", ready);
    set("not_ready", all - ready);
  }
}

}  // namespace fairlead::lb
