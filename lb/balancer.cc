#include "lb/balancer.h"

#include <algorithm>

#include "base/log.h"

namespace fairlead::lb {

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
  auto same = [](const ListenerSpec& a, const ListenerSpec& b) {
    return a.name == b.name && a.bind == b.bind && a.protocol == b.protocol;
  };
  if (!std::ranges::equal(config.listeners, picture_.config().listeners, same))
    return FailedPrecondition("listeners changed: they are opened at start; restart the balancer to apply the file");
  std::vector<CertificateChange> certificates;
  for (size_t i = 0; i < config.listeners.size(); i++)
    if (config.listeners[i].tls_context != nullptr) certificates.push_back({i, config.listeners[i].tls_context});
  ChangeSet changes = picture_.Reload(std::move(config));
  changes.certificates = std::move(certificates);
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
