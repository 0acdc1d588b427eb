#include "tests/sim/fleet.h"

namespace fairlead::fleet {
namespace {

const IpAddress kHost = IpAddress::V4(10u << 24 | 1), kClientHost = IpAddress::V4(10u << 24 | 9);
constexpr Nanos kSlice = 40 * kMillisecond;
// Of a request that was sent before a confirmation; of a rough network what was lost is sent again after 200 ms.
constexpr Nanos kUnderway = 10 * kMillisecond, kUnderwayRough = 500 * kMillisecond;
// A SYN to the container that had the address before is repeated after a second, and reaches the one that has it now.
constexpr Nanos kLateSyn = 1100 * kMillisecond;
constexpr Nanos kQuarantine = 20 * kSecond, kShortQuarantine = 4 * kSecond;

IpAddress Ip(const char* text) { return *IpAddress::Parse(text); }

ipam::PoolSpec Pool(const Traits& traits, Bug bug) {
  ipam::PoolSpec pool{.name = "shop", .project = "shop", .quarantine = kQuarantine, .prefixes = {{.prefix = *Prefix::Parse(kSubnet)}}};
  if (!traits.roomy) {
    pool.prefixes[0].ranges = {{Ip("10.50.0.10"), Ip("10.50.0.23")}};
    pool.retain = 2 * kSecond;
    pool.quarantine = kShortQuarantine;
  }
  if (bug == Bug::kEarlyReuse) pool.quarantine = 0;
  return pool;
}

}  // namespace

Traits Traits::Of(uint64_t seed, Bug bug) {
  SeededRandom random(seed ^ 0x5eed);
  Traits traits{.tells_names = random.OneIn(2), .roomy = !random.OneIn(3), .relayed = random.OneIn(2),
                .rough_kernel = random.OneIn(2), .rough_network = random.OneIn(2)};
  if (bug == Bug::kUpdateDropped) traits.relayed = true;
  return traits;
}

Fleet::Fleet(uint64_t seed, Bug planted)
    : bug(planted),
      traits(Traits::Of(seed, planted)),
      world(seed),
      verdict(world.clock()),
      calm(world.clock()),
      agent_disk(world.random()),
      dns_disk(world.random()),
      lb_disk(world.random()),
      lease_store(planted),
      plugin_store(*runtime::PluginStore::Open(":memory:")),
      kernel(verdict),
      leases(world.clock(), verdict, traits.roomy, traits.roomy ? kQuarantine : kShortQuarantine),
      engine({world, kHost, verdict, kernel, leases, traits.tells_names}),
      clients({world, kClientHost, SocketAddress(kHost, LbProcess::kPort), SocketAddress(kHost, DnsProcess::kPort), verdict, calm}) {
  verdict.Tell(Cat("engine ", traits.tells_names ? "tells" : "does not tell", " names, pool is ", traits.roomy ? "roomy" : "tight",
                   traits.relayed ? ", relayed" : "", traits.rough_kernel ? ", rough kernel" : "",
                   traits.rough_network ? ", rough network" : ""));
  if (traits.rough_kernel) {
    world.faults.short_reads = world.faults.short_writes = 100;
    world.faults.late_completions = 50;
    world.faults.late_cancels = 200;
  }
  if (traits.relayed) relay = std::make_unique<Relay>(world, kHost, kDiscoverySocket, planted);
  calm.Disturb(Calm::kHttp);
  calm.Disturb(Calm::kDns);
}

Fleet::~Fleet() = default;

// --- the run

void Fleet::Run(Nanos duration) {
  const Nanos end = world.Now() + duration;
  while (world.Now() < end) {
    world.Run(std::min(kSlice, end - world.Now()));
    Housekeeping();
  }
}

bool Fleet::RunUntil(const std::function<bool()>& condition, Nanos limit) {
  const Nanos end = world.Now() + limit;
  while (!condition()) {
    if (world.Now() >= end || !verdict.findings().empty()) return condition();
    Run(kSlice);
  }
  return true;
}

void Fleet::Housekeeping() {
  engine.Reap();
  if (agent != nullptr && agent->failed()) KillAgent(kSecond);
  if (world.Now() >= agent_due_) StartAgent();
  if (world.Now() >= dns_due_) StartDns();
  if (world.Now() >= lb_due_) StartLb();
}

void Fleet::StartAgent() {
  agent_due_ = kNever;
  verdict.Tell("agent starts");
  agent = std::make_unique<AgentProcess>(AgentProcess::Host{world, kHost, verdict, agent_disk, lease_store, *plugin_store, kernel,
                                                            engine, Pool(traits, bug), bug});
  leaving_.clear();
  agent->on_leaving = [this](const std::string& id, uint64_t revision) {
    leaving_.emplace(id, Leaving{.revision = revision});
    WatchLeaving();
  };
}

void Fleet::StartDns() {
  dns_due_ = kNever;
  dns = std::make_unique<DnsProcess>(ConsumerHost{world, kHost, dns_disk, relay != nullptr ? kRelaySocket : kDiscoverySocket, bug});
}

void Fleet::StartLb() {
  lb_due_ = kNever;
  lb = std::make_unique<LbProcess>(ConsumerHost{world, kHost, lb_disk, relay != nullptr ? kRelaySocket : kDiscoverySocket, bug});
}

void Fleet::KillAgent(Nanos away) {
  if (agent == nullptr) return;
  verdict.Tell("agent is killed");
  leaving_.clear();
  agent->Kill();
  agent.reset();
  agent_due_ = world.Now() + away;
}

void Fleet::KillDns(Nanos away) {
  if (dns == nullptr) return;
  verdict.Tell("dns is killed");
  calm.Disturb(Calm::kDns);
  dns->Kill();
  dns.reset();
  dns_due_ = world.Now() + away;
}

void Fleet::KillLb(Nanos away) {
  if (lb == nullptr) return;
  verdict.Tell("lb is killed");
  calm.Disturb(Calm::kHttp);
  lb->Kill();
  lb.reset();
  lb_due_ = world.Now() + away;
}

void Fleet::FillDisk(bool full) {
  verdict.Tell(full ? "disk is full" : "disk has room");
  for (sim::SimFiles* disk : {&agent_disk, &dns_disk, &lb_disk}) disk->SetFull(full);
  lease_store.SetFull(full);
}

void Fleet::ReviveAll() {
  FillDisk(false);
  for (Nanos* due : {&agent_due_, &dns_due_, &lb_due_})
    if (*due != kNever) *due = world.Now();
}

// --- a container that leaves gets no request after everybody has confirmed it

// Looks every two milliseconds while one leaves.
void Fleet::WatchLeaving() {
  if (std::exchange(watching_, true)) return;
  world.After(2 * kMillisecond, [this] {
    watching_ = false;
    for (auto leaving = leaving_.begin(); leaving != leaving_.end();)
      leaving = StillLeaves(leaving->first, leaving->second) ? std::next(leaving) : leaving_.erase(leaving);
    if (!leaving_.empty()) WatchLeaving();
  });
}

bool Fleet::StillLeaves(const std::string& id, Leaving& leaving) {
  auto found = engine.containers().find(id);
  if (found == engine.containers().end() || agent == nullptr || agent->publisher() == nullptr) return false;
  const Container& container = found->second;
  if (!container.stopping || container.process == nullptr) return false;
  const Nanos underway = traits.rough_network ? kUnderwayRough : kUnderway;
  if (leaving.confirmed == 0) {
    for (const discovery::ConsumerInfo& consumer : agent->publisher()->consumers())
      if (consumer.name == "lb" && consumer.acked_revision >= leaving.revision) leaving.confirmed = world.Now();
  } else if (world.faults.stalls == 0 && container.process->last_request() > leaving.confirmed + underway &&
             world.clock().WallNow() - container.details.started_wall > kLateSyn) {
    verdict.Fail("drained", Cat(container.details.name, " got a request ",
                                (container.process->last_request() - leaving.confirmed) / kMillisecond,
                                " ms after the balancer had confirmed that it leaves"));
    return false;
  }
  return true;
}

void Fleet::Shutdown() {
  clients.Stop();
  KillAgent(0);
  KillDns(0);
  KillLb(0);
  if (relay != nullptr) relay->Stop();
  engine.Shutdown();
}

}  // namespace fairlead::fleet
