// The Docker plugin by itself, for tests against a real dockerd; what `fairlead agent` composes, without catalog and API:
//   docker_plugin_main STATE_DIR DOCKER_SOCKET PLUGIN_SOCKET NAME
// Serves until SIGTERM and writes rows as they change to stdout.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "base/io/signals.h"
#include "base/log.h"
#include "ipam/sqlite_lease_store.h"
#include "runtime-shim/docker_plugin.h"
#include "runtime-shim/engine_client.h"
#include "runtime-shim/event_source.h"

namespace fairlead::runtime {
namespace {

class PrintingSink final : public EndpointSink {
 public:
  explicit PrintingSink(DockerPlugin& plugin) : plugin_(plugin) {}
  void Upsert(discovery::EndpointRow row) override {
    auto& told = rows_[row.engine_id];
    if (told != nullptr && *told == row) return;
    told = std::make_shared<discovery::EndpointRow>(row);
    std::printf("upsert %s state=%d draining=%d", row.name.c_str(), static_cast<int>(row.state), row.draining ? 1 : 0);
    for (const discovery::Address& address : row.addresses) std::printf(" %s", address.ip.ToString().c_str());
    std::printf("\n");
    std::fflush(stdout);
  }
  std::shared_ptr<const discovery::EndpointRow> Find(const std::string& engine_id) override {
    auto row = rows_.find(engine_id);
    return row == rows_.end() ? nullptr : row->second;
  }
  void Remove(std::string engine_id) override {
    rows_.erase(engine_id);
    plugin_.ContainerGone(engine_id);
    std::printf("remove %.12s\n", engine_id.c_str());
    std::fflush(stdout);
  }
  void Synced() override {
    std::printf("synced\n");
    std::fflush(stdout);
  }
  void Inspected(const ContainerDetails& container) override { plugin_.ContainerSeen(container); }
  void NetworkSeen(const NetworkDetails& network) override { plugin_.NetworkSeen(network); }

 private:
  DockerPlugin& plugin_;
  std::map<std::string, std::shared_ptr<const discovery::EndpointRow>> rows_;
};

struct Program {
  std::string state_dir;
  SocketAddress docker, plugin;
  std::string name;
};

// With FAIRLEAD_TEST_REPLAY dockerd is asked to replay its networks and live addresses at its start, which the plugin does
// not need and must bear.
io::Task<http::Reply> WantReplay() {
  http::Reply reply;
  reply.body = R"({"RequiresMACAddress":false,"RequiresRequestReplay":true})";
  co_return reply;
}

io::Task<Status> Serve(io::Proactor& proactor, const Clock& clock, Program program) {
  CO_ASSIGN_OR_RETURN(io::SignalWaiter signals, io::SignalWaiter::Open(proactor, {SIGTERM, SIGINT}));
  CO_ASSIGN_OR_RETURN(auto lease_store, ipam::SqliteLeaseStore::Open(program.state_dir + "/leases.db"));
  CO_ASSIGN_OR_RETURN(auto plugin_store, PluginStore::Open(program.state_dir + "/docker-plugin.db"));
  auto store_thread = io::MakeThreadOffload("store"), network_thread = io::MakeThreadOffload("network");
  auto probe_thread = io::MakeThreadOffload("probe");
  SystemRandom random;
  DockerEngine engine(proactor, program.docker);
  ipam::Ipam ipam(*lease_store, *store_thread, proactor, clock);
  CO_RETURN_IF_ERROR(co_await ipam.Load());
  auto driver = dataplane::MakeBridgeDriver();
  PluginConfig config{.node = "host1", .driver = program.name, .dns_address = *IpAddress::Parse("169.254.53.53")};
  DockerPlugin plugin(config, {proactor, clock, random, engine, ipam, *plugin_store, *store_thread, *driver, *network_thread, *probe_thread});
  CO_RETURN_IF_ERROR(co_await plugin.Start());

  CO_ASSIGN_OR_RETURN(io::Listener listener, io::Listener::Open(proactor, program.plugin, {.replace_stale = true}));
  const bool replay = getenv("FAIRLEAD_TEST_REPLAY") != nullptr;
  http::Server server(proactor, [&plugin, replay](const http::Request& request, const http::RequestContext& context) {
    if (request.target.find("RequestAddress") != std::string::npos) LOG(kInfo, "asked", {"body", request.body});
    if (replay && request.target == "/IpamDriver.GetCapabilities") return WantReplay();
    return plugin.Handle(request, context);
  });
  server.Serve(std::move(listener));
  PrintingSink sink(plugin);
  EngineWatcher watcher(proactor, engine, {.node = config.node, .drivers = {program.name}}, sink);
  io::TaskGroup tasks;
  tasks.Spawn(watcher.Run());
  std::printf("serving\n");
  std::fflush(stdout);
  io::IoResult signal = co_await signals.Next();
  LOG(kInfo, "stopping", {"signal", signal.value()});
  co_await tasks.CancelAndJoin();
  co_await server.Stop();
  co_await plugin.Stop();
  co_return OkStatus();
}

io::Task<void> Main(io::Proactor& proactor, const Clock& clock, Program program, int& exit_code) {
  Status served = co_await Serve(proactor, clock, std::move(program));
  if (!served.ok()) LOG(kError, "plugin failed", {"error", Message(served)});
  exit_code = served.ok() ? 0 : 1;
}

int Run(char** arguments) {
  auto docker = SocketAddress::Unix(arguments[2]), plugin = SocketAddress::Unix(arguments[3]);
  if (!docker.ok() || !plugin.ok()) return 2;
  SystemClock clock;
  std::string note;
  auto proactor = io::MakeProactor(io::IoBackend::kAuto, clock, &note);
  if (!proactor.ok()) return 1;
  int exit_code = -1;
  io::TaskGroup tasks;
  tasks.Spawn(Main(**proactor, clock, {arguments[1], *docker, *plugin, arguments[4]}, exit_code));
  while (tasks.live() != 0) (*proactor)->Turn(kSecond);
  return exit_code;
}

}  // namespace
}  // namespace fairlead::runtime

int main(int count, char** arguments) { return count == 5 ? fairlead::runtime::Run(arguments) : 2; }
