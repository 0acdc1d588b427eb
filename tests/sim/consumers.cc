#include "tests/sim/consumers.h"

namespace fairlead::fleet {
namespace {

constexpr const char* kStatePath = "/state/catalog.state";
constexpr Nanos kLate = 150 * kMillisecond;   // of the planted bug that confirms first

sim::SimProactorOptions Small() { return {.buffers = {{64, 4096}, {32, 8192}}}; }

discovery::ConsumerOptions Options(const char* name, const ConsumerHost& host) {
  return {.name = name, .agents = {*SocketAddress::Unix(host.agent)}, .state_path = kStatePath};
}

bool OfNameServer(Bug bug) { return bug == Bug::kZoneSkipsRemovals || bug == Bug::kRowsDroppedAtDisconnect; }

lb::Config BalancerConfig(const ConsumerHost& host) {
  lb::Config config;
  config.listeners.push_back({.name = "web", .bind = SocketAddress(host.address, LbProcess::kPort)});
  return config;
}

}  // namespace

void CrookedListener::OnChanges(const std::vector<discovery::Change>& changes) {
  switch (bug_) {
    case Bug::kZoneSkipsRemovals: {
      std::vector<discovery::Change> kept = changes;
      std::erase_if(kept, [](const discovery::Change& change) { return change.row == nullptr; });
      return to_.OnChanges(kept);
    }
    case Bug::kRowsDroppedAtDisconnect:
    case Bug::kBalancerForgets:
      if (!consumer_.status().connected) return ForgetAll();
      return to_.OnChanges(changes);
    case Bug::kAckBeforeApply:
      world_.After(kLate, [this, changes, alive = std::weak_ptr<bool>(alive_)] {
        if (!alive.expired()) to_.OnChanges(changes);
      });
      return;
    case Bug::kKeyedByAddress: return to_.OnChanges(KeyByAddress(changes));
    default: return to_.OnChanges(changes);
  }
}

void CrookedListener::ForgetAll() {
  std::vector<discovery::Change> gone;
  consumer_.rows().ForEach([&](const std::shared_ptr<const discovery::Row>& row) { gone.push_back({row->key, nullptr}); });
  to_.OnChanges(gone);
}

// The first service at an address has it for good.
std::vector<discovery::Change> CrookedListener::KeyByAddress(const std::vector<discovery::Change>& changes) {
  std::vector<discovery::Change> crooked = changes;
  for (discovery::Change& change : crooked) {
    if (change.row == nullptr || change.row->endpoint() == nullptr) continue;
    auto row = std::make_shared<discovery::Row>(*change.row);
    for (discovery::ServiceEntry& entry : std::get<discovery::EndpointRow>(row->body).services)
      if (entry.published()) entry.service = service_of_.emplace(entry.ip, entry.service).first->second;
    change.row = row;
  }
  return crooked;
}

// --- the name server

dns::ZoneConfig DnsProcess::Zone() {
  dns::ZoneConfig zone;
  zone.node = "host1";
  return zone;
}

DnsProcess::DnsProcess(const ConsumerHost& host)
    : host_(host),
      proactor_(host.world, host.address, Small()),
      disk_thread_(host.world),
      random_(host.world.random().Next()),
      server_(proactor_, {.listen = {SocketAddress(host.address, kPort)}, .zone = Zone(), .records = {}}, host.world.clock(), random_,
              metrics_),
      consumer_(proactor_, host.disk, disk_thread_, random_, Options("dns", host)),
      listener_(host.world, OfNameServer(host.bug) ? host.bug : Bug::kNone, consumer_, server_) {
  Status started = server_.Start();
  CHECK(started.ok());
  consumer_.AddListener(listener_);
  tasks_.Spawn(consumer_.Run());
}

DnsProcess::~DnsProcess() { CHECK(proactor_.crashed()); }

void DnsProcess::Kill() {
  host_.disk.CrashNow();
  proactor_.CrashNow(sim::Crash::kProcess);
  tasks_.Drain(proactor_);
  server_.Stop();
  host_.disk.Restart();
}

// --- the balancer

// Planted: after every change the worker is given endpoints that the picture has not: those of an earlier time, or those of
// another service.
class LbProcess::Misled final : public discovery::ChangeListener {
 public:
  Misled(sim::SimWorld& world, Bug bug, lb::Worker& worker, const lb::Picture& picture)
      : world_(world), bug_(bug), worker_(worker), picture_(picture) {}
  void OnChanges(const std::vector<discovery::Change>& changes) override {
    if (changes.empty()) return;
    if (wrong_.clusters.size() < 3 || wrong_.clusters[0].endpoints.empty()) {
      wrong_ = picture_.All();
      if (bug_ == Bug::kCrossedServices && wrong_.clusters.size() >= 2)
        std::swap(wrong_.clusters.front().endpoints, wrong_.clusters.back().endpoints);
    }
    world_.After(kMillisecond, [this, alive = std::weak_ptr<bool>(alive_)] {
      if (!alive.expired()) worker_.Apply(wrong_);
    });
  }

 private:
  sim::SimWorld& world_;
  const Bug bug_;
  lb::Worker& worker_;
  const lb::Picture& picture_;
  lb::ChangeSet wrong_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

LbProcess::LbProcess(const ConsumerHost& host)
    : host_(host),
      control_(host.world, host.address, Small()),
      worker_proactor_(host.world, host.address, Small()),
      disk_thread_(host.world),
      random_(host.world.random().Next()),
      passwords_(host.world),
      worker_(worker_proactor_, random_, worker_metrics_, passwords_),
      balancer_(control_, random_, metrics_, BalancerConfig(host)),
      consumer_(control_, host.disk, disk_thread_, random_, Options("lb", host)),
      listener_(host.world, host.bug, consumer_, balancer_) {
  Status listening = worker_.Listen(balancer_.picture().config().listeners[0]);
  CHECK(listening.ok());
  balancer_.AddWorker(worker_proactor_, worker_);
  if (host.bug == Bug::kAckBeforeApply || host.bug == Bug::kKeyedByAddress || host.bug == Bug::kBalancerForgets) {
    consumer_.AddListener(listener_);
  } else {
    balancer_.FollowWith(consumer_);
  }
  if (host.bug == Bug::kRetiredEndpointKept || host.bug == Bug::kCrossedServices) {
    misled_ = std::make_unique<Misled>(host.world, host.bug, worker_, balancer_.picture());
    consumer_.AddListener(*misled_);
  }
  tasks_.Spawn(consumer_.Run());
  tasks_.Spawn(balancer_.FollowAgents(consumer_));
}

LbProcess::~LbProcess() { CHECK(control_.crashed()); }

uint64_t LbProcess::detours() {
  return worker_metrics_.counter("fairlead_lb_retries_total", "").value() +
         worker_metrics_.counter("fairlead_lb_connect_failures_total", "").value();
}

void LbProcess::Kill() {
  host_.disk.CrashNow();
  control_.CrashNow(sim::Crash::kProcess);
  worker_proactor_.CrashNow(sim::Crash::kProcess);
  tasks_.Drain(control_);
  io::TaskGroup last;
  last.Spawn(balancer_.Stop());
  while (last.live() > 0) control_.Turn(10 * kMillisecond);
  misled_.reset();
  worker_.Stop();
  while (balancer_.pending() > 0) control_.Turn(10 * kMillisecond);
  host_.disk.Restart();
}

}  // namespace fairlead::fleet
