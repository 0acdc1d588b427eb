// For tests: an agent's API over a catalog that is filled by hand and an Ipam on its memory store; asked in-process, or
// by commands over a unix socket that a thread serves.
#pragma once

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "app/adopt.h"
#include "app/agent_api.h"
#include "app/command_line.h"
#include "app/endpoint_api.h"
#include "app/env_api.h"
#include "app/file_endpoints.h"
#include "app/lease_api.h"
#include "app/network_api.h"
#include "app/pool_api.h"
#include "app/reconciler.h"
#include "base/dns/scripted_resolver.h"
#include "base/sim/sim_files.h"
#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"
#include "runtime-shim/scripted_engine.h"

namespace fairlead::app {

inline constexpr Nanos kThen = 1'700'000'000 * kSecond;  // 2023-11-14T22:13:20Z: since when all is as it is

inline constexpr uint32_t kOperatorGroup = 4242, kServiceUser = 4243;

inline discovery::EndpointRow Container(const std::string& name, const std::string& ip) {
  discovery::EndpointRow row;
  row.uid = name + "-1";
  row.node = "host1";
  row.engine = "docker";
  row.engine_id = name + "-id";
  row.name = name;
  row.project = "demo";
  row.state = discovery::RunState::kRunning;
  row.since_wall = kThen;
  row.addresses = {{.ip = ipam::Ip(ip), .mac = {}, .network = "shopnet", .managed = true}};
  discovery::ServiceEntry web;
  web.service = "web";
  web.project = "demo";
  web.ports = {{.name = "", .number = 80, .protocol = "tcp"}};
  web.routes = {{.hosts = {"web.demo.example"}, .path_prefix = "/", .listeners = {}}};
  web.ip = ipam::Ip(ip);
  web.port = 80;
  web.address_rule = "address on Fairlead network shopnet";
  row.services = {web};
  return row;
}

inline lb::Config BalancerConfig() {
  lb::Config config;
  config.branch_zone = "ns.example.com";
  config.listeners = {{.name = "web", .bind = *SocketAddress::Parse("0.0.0.0:80")}};
  config.services = {{.name = "legacy.default", .settings = {}, .endpoints = {{*SocketAddress::Parse("10.0.0.5:8080"), 1}}}};
  config.routes = {{.hosts = {"legacy.example.com"}, .path_prefix = "/", .service = "legacy.default", .listeners = {}}};
  return config;
}

// What the reconciler asks of plugin and kernel, as values.
struct HostSide {
  runtime::PluginStore::Contents records;
  std::vector<std::string> kernel_endpoints, removed, forgotten, restored;
  std::set<std::string> missing_bridges;
  std::vector<ipam::PoolSpec> file_pools;
  IpAddress elsewhere;                        // another engine's
  std::function<void()> on_endpoints;         // what goes on after the leases were read

  static io::Task<Status> Note(std::vector<std::string>* list, std::string id) {
    list->push_back(std::move(id));
    co_return OkStatus();
  }
  static io::Task<StatusOr<std::vector<std::string>>> Endpoints(const HostSide* side) {
    if (side->on_endpoints) side->on_endpoints();
    co_return side->kernel_endpoints;
  }
  static io::Task<std::set<std::string>> Missing(const HostSide* side) { co_return side->missing_bridges; }
  Reconciler::Host AsHost() {
    Reconciler::Host host;
    host.records = [this] { return records; };
    host.kernel_endpoints = [this] { return Endpoints(this); };
    host.missing_bridges = [this](std::vector<runtime::NetworkRecord>) { return Missing(this); };
    host.remove_interface = [this](std::string id) { return Note(&removed, std::move(id)); };
    host.forget_endpoint = [this](std::string id) { return Note(&forgotten, std::move(id)); };
    host.forget_network = [this](std::string id) { return Note(&forgotten, std::move(id)); };
    host.restore_network = [this](std::string id) { return Note(&restored, std::move(id)); };
    host.file_pools = [this] { return file_pools; };
    host.used_elsewhere = [this](const IpAddress& ip) { return elsewhere.is_set() && ip == elsewhere; };
    return host;
  }
};

class TestAgent final : private EndpointBook::Sink {
 public:
  TestAgent() {
    CHECK(host.loaded.ok());
    CHECK(host.Run(host.ipam->PutPool(ipam::Shop())).ok());
    AgentFacts facts{.node = "host1", .version = "0.1.0", .started_wall = kThen,
                     .branch_zone = "ns.example.com", .balancer = {ipam::Ip("192.0.2.1")},
                     .engines = [] { return std::vector<EngineState>{{"docker", true, "unix:/run/d.sock"}}; },
                     .operators = {.own_uid = geteuid(), .group = kOperatorGroup, .service_uid = kServiceUser},
                     .expires_wall = [this](const std::string& uid) {
                       const EndpointBook::Entry* entry = book->FindUid(uid);
                       return entry == nullptr ? kNever : book->ExpiresWall(*entry);
                     }};
    api = std::make_unique<AgentApi>(AgentApi::Parts{catalog, *host.ipam, balancer, nullptr, audit}, std::move(facts));
    leases->AddTo(*api);
    pools->AddTo(*api);
    networks->AddTo(*api);
    adopter->AddTo(*api);
    reconciler->AddTo(*api);
    endpoints->AddTo(*api);
    envs.AddTo(*api);
    file_endpoints.Adopt(BalancerConfig());
  }
  ~TestAgent() { StopServing(); }

  // Three containers of web.demo (one ready, one unhealthy, one without a port), a service of the file, three leases.
  void Fill() {
    catalog.Upsert(discovery::NodeRow{"host1", "sh", {ipam::Ip("192.0.2.10")}});
    catalog.Upsert(Container("demo-web-1", "10.40.0.10"));
    discovery::EndpointRow sick = Container("demo-web-2", "10.40.0.11");
    sick.health = discovery::HealthState::kUnhealthy;
    sick.health_reason = "HTTP 500";
    catalog.Upsert(sick);
    discovery::EndpointRow mute = Container("demo-web-3", "10.40.0.12");
    mute.services[0].ip = IpAddress();
    mute.services[0].port = 0;
    mute.services[0].routes = {{.hosts = {"legacy.example.com"}, .path_prefix = "/", .listeners = {}}};
    mute.services[0].address_rule = "not published: no port";
    mute.services[0].problems = {"not published: no port", "label fairlead.hots is not understood (did you mean fairlead.host?)"};
    catalog.Upsert(mute);
    catalog.MarkSynced();
    for (auto [name, ip] : {std::pair{"demo-web-1", "10.40.0.10"}, {"demo-web-2", "10.40.0.11"}, {"old", "10.40.0.20"}})
      CHECK(host.Acquire(name, ipam::Ip(ip)).ok());
    CHECK(host.Detach(ipam::Ip("10.40.0.20")).ok());
  }

  http::Reply Ask(const std::string& method, const std::string& target, std::optional<io::PeerCredentials> peer = {},
                  const std::string& body = "") {
    http::RequestContext context{*host.worker, {}, peer};
    return host.Run(api->Handle({.method = method, .target = target, .headers = {}, .body = body}, context));
  }
  nlohmann::json Get(const std::string& target) { return nlohmann::json::parse(Ask("GET", target).body, nullptr, false); }

  struct Ran {
    int code;
    std::string out, err;
  };
  // Runs a command against this agent.
  Ran Command(std::vector<std::string> arguments, std::optional<bool> answer = {}) {
    Serve();
    arguments.insert(arguments.end(), {"--api", "unix:" + socket_path()});
    return RunAlone(arguments, answer);
  }
  // Runs a command as a user who is in no group, as only root can: credentials belong to a thread (setuid(2) of the C
  // library would change them for all). `socket_mode`: of the agent's socket.
  Ran CommandAs(uint32_t uid, std::vector<std::string> arguments, mode_t socket_mode) {
    Serve();
    chmod(folder_.c_str(), 0755);
    chmod(socket_path().c_str(), socket_mode);
    arguments.insert(arguments.end(), {"--api", "unix:" + socket_path()});
    Ran ran{};
    std::thread([&] {
      CHECK(syscall(SYS_setgroups, 0, nullptr) == 0 && syscall(SYS_setresgid, uid, uid, uid) == 0 &&
            syscall(SYS_setresuid, uid, uid, uid) == 0);
      ran = RunAlone(arguments, true);
    }).join();
    return ran;
  }
  // Runs a command line as it is.
  static Ran RunAlone(const std::vector<std::string>& arguments, std::optional<bool> answer = {}) {
    std::ostringstream out, err;
    Terminal terminal{out, err, [answer](const std::string&) { return answer; }};
    ManualClock clock(kThen + kHour - kSecond);
    int code = RunCommandLine(arguments, {}, "0.1.0", terminal, clock);
    return {code, out.str(), err.str()};
  }

  // The thread ends, and everything belongs to the test again.
  void StopServing() {
    if (!serving_.joinable()) return;
    stop_ = true;
    serving_.join();
    io::TaskGroup group;
    group.Spawn(server_->Stop());
    host.TurnUntil([&] { return group.live() == 0; });
    server_.reset();
    std::error_code none;
    std::filesystem::remove_all(folder_, none);
  }


  std::string socket_path() const { return folder_ + "/api.sock"; }

  ipam::MemoryLeaseStore store;
  ipam::Host host{store};
  discovery::Catalog catalog{"host1", 7};
  lb::Config balancer = BalancerConfig();
  SystemRandom random;
  sim::SimFiles files{random};
  AuditLog audit{files, *host.offload, *host.worker, host.clock, "audit.jsonl"};
  std::unique_ptr<AgentApi> api;
  runtime::ScriptedEngine engine{*host.worker};
  OperatorParts parts{*host.worker, host.clock, *host.ipam, engine, "host1", "sh", "fairlead"};
  std::unique_ptr<LeaseApi> leases = std::make_unique<LeaseApi>(parts);
  std::unique_ptr<PoolApi> pools = std::make_unique<PoolApi>(parts, std::set<std::string>{"filed"}, "/etc/fairlead/fairlead.yaml");
  std::unique_ptr<NetworkApi> networks = std::make_unique<NetworkApi>(parts);
  std::unique_ptr<Adopter> adopter = std::make_unique<Adopter>(parts, files, *host.offload, "adopted.json");
  HostSide side;  // the plugin's and the kernel's, as the reconciler sees it
  std::unique_ptr<Reconciler> reconciler = std::make_unique<Reconciler>(parts, side.AsHost());

  // What the file had is gone for those who ask, as for the balancer.
  static io::Task<Status> RemoveOfFile(FileEndpoints* endpoints, std::string service, HostPort address) {
    co_return endpoints->Remove(service, address);
  }
  Metrics metrics;
  dns::ScriptedResolver resolver{*host.worker};
  dns::HostBook hosts{*host.worker, resolver, metrics};  // never run: names stay unasked
  FileEndpoints file_endpoints{hosts, [this](const std::string& service, std::vector<lb::StaticEndpoint> now) {
    std::ranges::find(balancer.services, service, &lb::ServiceSpec::name)->endpoints = std::move(now);
  }};
  std::unique_ptr<EndpointBook> book =
      std::make_unique<EndpointBook>(*host.worker, files, *host.offload, hosts, "endpoints.json", "host1", static_cast<EndpointBook::Sink&>(*this));
  std::unique_ptr<EndpointApi> endpoints = std::make_unique<EndpointApi>(*book, [this](std::string service, HostPort address) {
    return RemoveOfFile(&file_endpoints, std::move(service), address);
  });
  EnvApi envs{parts, catalog, *book, [this](const std::string& name) { return name == "docker" ? &engine : nullptr; }};

 private:
  void Registered(discovery::EndpointRow row) override { catalog.Upsert(std::move(row)); }
  void Unregistered(const std::string& key) override { catalog.Remove(key); }

  // From here on everything belongs to the thread.
  void Serve() {
    if (serving_.joinable()) return;
    char folder[] = "/tmp/fairlead-test-XXXXXX";
    CHECK(mkdtemp(folder) != nullptr);
    folder_ = folder;
    server_ = std::make_unique<http::Server>(*host.worker, [this](const http::Request& request, const http::RequestContext& context) {
      return api->Handle(request, context);
    });
    auto listener = io::Listener::Open(*host.worker, *SocketAddress::Unix(socket_path()));
    CHECK(listener.ok());
    server_->Serve(*std::move(listener));
    stop_ = false;
    serving_ = std::thread([this] {
      while (!stop_) host.worker->Turn(10 * kMillisecond);
    });
  }
  std::string folder_;
  std::unique_ptr<http::Server> server_;
  std::thread serving_;
  std::atomic<bool> stop_ = false;
};

}  // namespace fairlead::app
