// For tests: an agent's API over a catalog that is filled by hand and an Ipam on its memory store; asked in-process, or
// by commands over a unix socket that a thread serves.
#pragma once

#include <stdlib.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "app/agent_api.h"
#include "app/command_line.h"
#include "ipam/ipam_harness.h"
#include "ipam/memory_lease_store.h"

namespace fairlead::app {

inline constexpr Nanos kThen = 1'700'000'000 * kSecond;  // 2023-11-14T22:13:20Z: since when all is as it is

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
  config.listeners = {{.name = "web", .bind = *SocketAddress::Parse("0.0.0.0:80")}};
  config.services = {{.name = "legacy.default", .settings = {}, .endpoints = {{*SocketAddress::Parse("10.0.0.5:8080"), 1}}}};
  config.routes = {{.hosts = {"legacy.example.com"}, .path_prefix = "/", .service = "legacy.default", .listeners = {}}};
  return config;
}

class TestAgent final : private discovery::ChangeListener {
 public:
  TestAgent() {
    catalog.Watch(*this);
    CHECK(host.loaded.ok());
    CHECK(host.Run(host.ipam->PutPool(ipam::Shop())).ok());
    api = std::make_unique<AgentApi>(catalog, *host.ipam, picture, nullptr,
                                     AgentFacts{.node = "host1", .version = "0.1.0", .started_wall = kThen,
                                                .branch_zone = "ns.example.com", .balancer = {ipam::Ip("192.0.2.1")},
                                                .engines = [] { return std::vector<EngineState>{{"docker", true, "unix:/run/d.sock"}}; }});
  }
  ~TestAgent() {
    StopServing();
    catalog.Unwatch(*this);
  }

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

  http::Reply Ask(const std::string& method, const std::string& target, std::optional<io::PeerCredentials> peer = {}) {
    http::RequestContext context{*host.worker, {}, peer};
    return host.Run(api->Handle({.method = method, .target = target}, context));
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
  // Runs a command line as it is.
  static Ran RunAlone(const std::vector<std::string>& arguments, std::optional<bool> answer = {}) {
    std::ostringstream out, err;
    Terminal terminal{out, err, [answer](const std::string&) { return answer; }};
    ManualClock clock(kThen + kHour - kSecond);
    int code = RunCommandLine(arguments, {}, "0.1.0", terminal, clock);
    return {code, out.str(), err.str()};
  }

  std::string socket_path() const { return folder_ + "/api.sock"; }

  ipam::MemoryLeaseStore store;
  ipam::Host host{store};
  discovery::Catalog catalog{"host1", 7};
  lb::Picture picture{BalancerConfig()};
  std::unique_ptr<AgentApi> api;

 private:
  void OnChanges(const std::vector<discovery::Change>& changes) override { picture.Apply(changes); }

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
    serving_ = std::thread([this] {
      while (!stop_) host.worker->Turn(10 * kMillisecond);
    });
  }
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

  std::string folder_;
  std::unique_ptr<http::Server> server_;
  std::thread serving_;
  std::atomic<bool> stop_ = false;
};

}  // namespace fairlead::app
