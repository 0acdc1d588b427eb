#include "tests/sim/agent_process.h"

#include <set>

#include "discovery/epoch.h"

namespace fairlead::fleet {
namespace {

constexpr Nanos kExpireInterval = kMinute;

sim::SimProactorOptions Small() { return {.buffers = {{64, 4096}, {8, 8192}}}; }

std::string KeyOfContainer(const std::string& engine_id) {
  discovery::EndpointRow row;
  row.node = kNode;
  row.engine_id = engine_id;
  return KeyOf(row);
}

}  // namespace

AgentProcess::AgentProcess(const Host& host)
    : host_(host),
      proactor_(host.world, host.address, Small()),
      store_thread_(host.world),
      network_thread_(host.world),
      probe_thread_(host.world),
      random_(host.world.random().Next()),
      ipam_(host.leases, store_thread_, proactor_, host.world.clock()),
      engine_(proactor_),
      plugin_({.node = kNode}, {proactor_, host.world.clock(), random_, engine_, ipam_, host.plugin_store, store_thread_,
                                host.kernel, network_thread_, probe_thread_}),
      plugin_server_(proactor_, [this](const http::Request& request, const http::RequestContext& context) {
        watcher_.EngineCalled();
        return host_.bug == Bug::kNone ? plugin_.Handle(request, context) : Handle(request, context);
      }),
      watcher_(proactor_, engine_, {.node = kNode, .node_addresses = {host.address}}, *this),
      checks_(proactor_, random_, [this](discovery::EndpointRow row) { Publish(std::move(row)); },
              [this](std::string_view key) { return catalog_->FindEndpoint(key); }) {
  tasks_.Spawn(Boot());
}

AgentProcess::~AgentProcess() { CHECK(proactor_.crashed()); }

io::Task<void> AgentProcess::Boot() {
  Status opened = co_await OpenAll();
  if (opened.ok()) {
    ready_ = true;
    host_.verdict.Tell("agent is ready");
  } else {
    failed_ = true;
    host_.verdict.Tell(Cat("agent cannot start: ", Message(opened)));
  }
}

// In the order of app/agent.cc.
io::Task<Status> AgentProcess::OpenAll() {
  host_.engine.SetView(&engine_);
  CO_RETURN_IF_ERROR(co_await ipam_.Load());
  CO_RETURN_IF_ERROR(co_await ipam_.PutPool(host_.pool));
  CO_ASSIGN_OR_RETURN(uint64_t epoch, discovery::NextEpoch(host_.disk, host_.world.clock(), "/agent/epoch"));
  catalog_ = std::make_unique<discovery::Catalog>(kNode, host_.bug == Bug::kEpochRepeats ? 7 : epoch);
  catalog_->Upsert(discovery::NodeRow{kNode, "sim", {host_.address}});
  for (const ipam::Lease& lease : ipam_.Leases()) LeaseChanged(lease, false);
  ipam_.SetListener([this](const ipam::Lease& lease, bool gone) { LeaseChanged(lease, gone); });

  publisher_ = std::make_unique<discovery::Publisher>(proactor_, *catalog_, discovery::PeerPolicy{}, metrics_);
  CO_ASSIGN_OR_RETURN(io::Listener streams, io::Listener::Open(proactor_, *SocketAddress::Unix(kDiscoverySocket), {.replace_stale = true}));
  streams_.emplace(std::move(streams));
  tasks_.Spawn(io::AcceptLoop(*streams_, tasks_, [this](int fd) { return publisher_->Serve(fd); }));

  CO_RETURN_IF_ERROR(co_await plugin_.Start());
  CO_ASSIGN_OR_RETURN(io::Listener calls, io::Listener::Open(proactor_, *SocketAddress::Unix(kPluginSocket), {.replace_stale = true}));
  plugin_server_.Serve(std::move(calls));
  tasks_.Spawn(watcher_.Run());
  tasks_.Spawn(ExpireLeases());
  if (host_.bug == Bug::kSyncedBeforeListing) catalog_->MarkSynced();
  co_return OkStatus();
}

// The plugin behind a planted bug.
io::Task<http::Reply> AgentProcess::Handle(http::Request request, http::RequestContext context) {
  constexpr std::string_view kName = R"("com.docker.network.endpoint.name":")";
  constexpr Nanos kAtOnce = 20 * kMillisecond;
  const bool asks = request.target == "/IpamDriver.RequestAddress";
  if (size_t at = request.body.find(kName); asks && at != std::string::npos && host_.bug == Bug::kAskerNotKnown)
    request.body.insert(at + kName.size(), Cat("n", random_.Below(1000)));
  if (asks && host_.bug == Bug::kAnswerRepeated && !last_answer_.empty() && host_.world.Now() - last_answer_at_ < kAtOnce) {
    http::Reply repeated;
    repeated.body = last_answer_;
    co_return repeated;
  }
  http::Reply reply = co_await plugin_.Handle(request, context);
  if (asks) {
    last_answer_ = reply.body;
    last_answer_at_ = host_.world.Now();
  }
  co_return reply;
}

io::Task<void> AgentProcess::ExpireLeases() {
  while ((co_await io::Sleep(proactor_, kExpireInterval)).ok()) {
    if (watcher_.connected()) co_await DetachLeftLeases();
    (void)co_await ipam_.Expire();
  }
}

io::Task<void> AgentProcess::DetachLeftLeases() {
  std::set<IpAddress> in_use;
  catalog_->ForEach([&](const std::shared_ptr<const discovery::Row>& row) {
    if (const discovery::EndpointRow* endpoint = row->endpoint())
      for (const discovery::Address& address : endpoint->addresses) in_use.insert(address.ip);
  });
  Nanos now = host_.world.clock().WallNow();
  for (const ipam::Lease& lease : ipam_.Leases()) {
    if (!lease.attached || in_use.contains(lease.ip) || now - lease.since_wall < kExpireInterval) continue;
    (void)co_await ipam_.Detach(lease.pool, lease.ip);
  }
}

void AgentProcess::LeaseChanged(const ipam::Lease& lease, bool gone) {
  for (runtime::LeaseRows::Change& change : lease_rows_.Of(lease, gone)) {
    if (change.gone) {
      catalog_->Remove(KeyOf(change.row));
    } else {
      catalog_->Upsert(std::move(change.row));
    }
  }
}

std::shared_ptr<const discovery::EndpointRow> AgentProcess::Find(const std::string& engine_id) {
  return checks_.Find(KeyOfContainer(engine_id));
}

void AgentProcess::Upsert(discovery::EndpointRow row) {
  if (host_.bug == Bug::kMissedDie && row.state == discovery::RunState::kExited) return;
  checks_.Upsert(std::move(row));
}

void AgentProcess::Publish(discovery::EndpointRow row) {
  std::string id = row.engine_id;
  const bool leaves = row.state != discovery::RunState::kRunning || row.draining;
  for (const discovery::Address& address : row.addresses)
    if (auto lease = ipam_.Find({address.network, kNode, row.name, address.ip.is_v6()}); lease.has_value())
      row.lease_revision = std::max(row.lease_revision, lease->revision);
  catalog_->Upsert(std::move(row));
  if (leaves && on_leaving) on_leaving(id, catalog_->revision());
}

void AgentProcess::Remove(std::string engine_id) {
  plugin_.ContainerGone(engine_id);
  checks_.Remove(KeyOfContainer(engine_id));
  catalog_->Remove(KeyOfContainer(engine_id));
}

void AgentProcess::Synced() { tasks_.Spawn(EndFirstLook()); }

io::Task<void> AgentProcess::EndFirstLook() {
  if (co_await checks_.FirstLook()) catalog_->MarkSynced();
}

void AgentProcess::Inspected(const runtime::ContainerDetails& container) {
  if (host_.bug != Bug::kLostRename) plugin_.ContainerSeen(container);
}

void AgentProcess::NetworkSeen(const runtime::NetworkDetails& network) { plugin_.NetworkSeen(network); }

void AgentProcess::Kill() {
  ready_ = false;
  host_.disk.CrashNow();
  host_.leases.CrashNow();
  host_.engine.SetView(nullptr);
  proactor_.CrashNow(sim::Crash::kProcess);
  // The rest of its tasks reaches nobody any more.
  tasks_.Drain(proactor_);
  io::TaskGroup last;
  last.Spawn([](http::Server* server, runtime::DockerPlugin* plugin, health::RowChecks* checks) -> io::Task<void> {
    co_await server->Stop();
    co_await plugin->Stop();
    co_await checks->Stop();
  }(&plugin_server_, &plugin_, &checks_));
  while (last.live() > 0) proactor_.Turn(10 * kMillisecond);
  host_.disk.Restart();
  host_.leases.Restart();
}

}  // namespace fairlead::fleet
