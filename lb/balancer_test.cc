// Balancer: what a reload brings to workers on threads of their own, and what it refuses.
#include "lb/balancer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io/files.h"
#include "base/io/stream.h"
#include "lb/worker_thread.h"

namespace fairlead::lb {
namespace {

using io::IoResult;
using io::Stream;
using io::Task;
using testing::HasSubstr;
using testing::StartsWith;

// Nothing is routed: 404 says that a request was read, which is all that is asked here.
class BalancerTest : public testing::Test {
 protected:
  BalancerTest() : control_(*io::MakeProactor(io::IoBackend::kAuto, clock_, nullptr)), balancer_(*control_, random_, metrics_, File()) {
    for (int i = 0; i < 2; i++) {
      std::string note;
      workers_.push_back(*WorkerThread::Start(File(), i, clock_, *passwords_, &note));
      balancer_.AddWorker(workers_.back()->proactor(), workers_.back()->worker());
    }
    Settle();
  }
  ~BalancerTest() override {
    for (auto& worker : workers_) worker->Drain(0);
    for (auto& worker : workers_) worker->Join();
    group_.Drain(*control_);
    while (control_->stats.orphans > 0) control_->Turn(kMillisecond);
  }

  static ListenerSpec Listener(std::string name) {
    ListenerSpec spec;
    spec.name = std::move(name);
    spec.bind = *SocketAddress::Parse("127.0.0.1:0");
    return spec;
  }
  static Config File() {
    Config config;
    config.listeners = {Listener("web"), Listener("api")};
    config.workers = 2;
    return config;
  }
  void Settle() {
    while (balancer_.pending() > 0) control_->Turn(10 * kMillisecond);
  }
  void Reload(Config config) {
    Status status = balancer_.Reload(std::move(config));
    EXPECT_TRUE(status.ok()) << status;
    Settle();
  }
  std::string Refusal(Config config) { return std::string(Message(balancer_.Reload(std::move(config)))); }

  Stream Connect(int worker, size_t listener) {
    Stream client;
    Run([](BalancerTest* test, SocketAddress to, Stream* out) -> Task<void> {
      auto dialled = co_await io::Dial(*test->control_, to, test->control_->Now() + 5 * kSecond);
      CHECK(dialled.ok());
      *out = *std::move(dialled);
    }(this, workers_[static_cast<size_t>(worker)]->address(listener), &client));
    return client;
  }
  // What comes until the text of a refusal ends, or the connection.
  std::string Ask(Stream& client, const std::string& request) {
    std::string answer;
    Run([](Stream& to, std::string sent, std::string* out) -> Task<void> {
      EXPECT_TRUE((co_await to.Send(sent)).ok());
      while (out->find("\r\n\r\n") == out->npos || !out->ends_with('\n')) {
        IoResult got = co_await to.Receive();
        if (!got.ok() || got.is_end()) co_return;
        *out += to.Take().view();
      }
    }(client, request, &answer));
    return answer;
  }
  void Run(Task<void> task) {
    bool done = false;
    group_.Spawn([](Task<void> inner, bool* out) -> Task<void> {
      co_await std::move(inner);
      *out = true;
    }(std::move(task), &done));
    while (!done) control_->Turn(10 * kMillisecond);
  }

  // A port that is free now, and that nobody is given who asks for any: below net.ipv4.ip_local_port_range.
  uint16_t FreePort() {
    for (;;) {
      const auto port = static_cast<uint16_t>(20'000 + SystemRandom().Next() % 12'000);
      if (io::Listener::Open(*control_, SocketAddress(*IpAddress::Parse("127.0.0.1"), port)).ok()) return port;
    }
  }
  static Config FileWithPort(uint16_t port) {
    Config config = File();
    config.dynamic_ports = {*IpAddress::Parse("127.0.0.1"), port, port};
    return config;
  }
  // A container that asks for the port. Its backend is `backend`.
  static discovery::Change Asks(std::string service, Nanos created, uint16_t port, uint16_t backend) {
    discovery::EndpointRow endpoint;
    endpoint.uid = Cat(service, "@1");
    endpoint.node = "host1";
    endpoint.engine_id = endpoint.name = service;
    endpoint.state = discovery::RunState::kRunning;
    endpoint.created_wall = created;
    discovery::ServiceEntry entry;
    entry.service = std::move(service);
    entry.protocol = "tcp";
    entry.ip = *IpAddress::Parse("127.0.0.1");
    entry.port = backend;
    entry.listen = port;
    endpoint.services.push_back(entry);
    auto row = std::make_shared<discovery::Row>();
    row->key = Cat("endpoint/host1/", endpoint.engine_id);
    row->body = std::move(endpoint);
    return {row->key, row};
  }
  void Tell(std::vector<discovery::Change> changes) {
    balancer_.OnChanges(changes);
    Settle();
  }
  // A backend that says its name to whoever connects, and then echoes.
  uint16_t Serve(std::string name) {
    backends_.push_back(std::make_unique<io::Listener>(*io::Listener::Open(*control_, *SocketAddress::Parse("127.0.0.1:0"))));
    group_.Spawn(io::AcceptLoop(*backends_.back(), group_, [this, name](int fd) { return SayName(*control_, fd, name); }));
    return backends_.back()->address().port();
  }
  static Task<void> SayName(io::Proactor& proactor, int fd, std::string name) {
    Stream stream(proactor, fd);
    if (!(co_await stream.Send(name + "\n")).ok()) co_return;
    for (;;) {
      IoResult got = co_await stream.Receive();
      if (!got.ok() || got.is_end()) co_return;
      std::string piece(stream.Take().view());
      if (!(co_await stream.Send(piece)).ok()) co_return;
    }
  }
  // A line that comes, "" when the connection ends before, "refused" when there is none.
  Stream ConnectTo(uint16_t port) {
    Stream client;
    Run([](BalancerTest* test, SocketAddress to, Stream* out) -> Task<void> {
      auto dialled = co_await io::Dial(*test->control_, to, test->control_->Now() + 5 * kSecond);
      if (dialled.ok()) *out = *std::move(dialled);
    }(this, SocketAddress(*IpAddress::Parse("127.0.0.1"), port), &client));
    return client;
  }
  std::string Line(Stream& client, const std::string& sent = "") {
    if (!client) return "refused";
    std::string line;
    Run([](Stream& from, std::string sent, std::string* out) -> Task<void> {
      if (!sent.empty()) EXPECT_TRUE((co_await from.Send(sent)).ok());
      while (!out->ends_with('\n')) {
        IoResult got = co_await from.Receive();
        if (!got.ok() || got.is_end()) co_return;
        *out += from.Take().view();
      }
    }(client, sent, &line));
    return line;
  }
  std::string AtPort(uint16_t port) {
    Stream client = ConnectTo(port);
    return Line(client);
  }
  // A worker closes its socket a turn after it was told. Nothing is read meanwhile: who connects in that instant may never
  // hear of its end, since the kernel drops a handshake's last ACK without a word when the listener has just gone.
  void WaitRefused(uint16_t port) {
    while (ConnectTo(port)) control_->Turn(kMillisecond);
  }
  std::string FaultAt(const std::string& service) {
    auto endpoints = balancer_.picture().Endpoints(service);
    return endpoints.empty() ? "none" : endpoints[0].listen_fault;
  }

  SystemClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<io::Proactor> control_;
  Metrics metrics_;
  Balancer balancer_;
  std::vector<std::unique_ptr<io::Listener>> backends_;
  io::TaskGroup group_;
  std::unique_ptr<io::Offload> passwords_ = io::MakeThreadOffload("passwords");
  std::vector<std::unique_ptr<WorkerThread>> workers_;
};

const std::string kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const std::string kLongTarget = "GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_F(BalancerTest, AWorkerKnowsItsFileBeforeItsFirstConnection) {
  Config config = File();
  config.services.push_back({"web.demo", {}, {}});
  config.routes.push_back({.hosts = {"h"}, .service = "web.demo", .listeners = {}});
  std::string note;
  workers_.push_back(*WorkerThread::Start(config, 2, clock_, *passwords_, &note));  // the balancer never tells it anything
  Stream client = Connect(2, 0);
  EXPECT_THAT(Ask(client, kGet), StartsWith("HTTP/1.1 503 "));
}

discovery::Change Container(const std::string& name, discovery::RunState state = discovery::RunState::kRunning) {
  auto row = std::make_shared<discovery::Row>();
  row->key = Cat("endpoint/n1/", name);
  discovery::EndpointRow endpoint;
  endpoint.uid = endpoint.name = name;
  endpoint.state = state;
  discovery::ServiceEntry entry;
  entry.service = "web";
  entry.ip = *IpAddress::Parse("127.0.0.1");
  entry.port = 1;  // where nobody listens
  endpoint.services.push_back(entry);
  row->body = std::move(endpoint);
  return {row->key, row};
}
const std::string kGetWeb = "GET / HTTP/1.1\r\nHost: web.default.lb.fl.internal\r\n\r\n";

TEST_F(BalancerTest, WhatOnlyAddsIsInEffectAtTheNextRequestAndWakesNobody) {
  Stream open[] = {Connect(0, 0), Connect(1, 0)};
  for (Stream& client : open) EXPECT_THAT(Ask(client, kGetWeb), StartsWith("HTTP/1.1 404 "));
  balancer_.OnChanges({Container("a")});
  EXPECT_EQ(balancer_.pending(), 0u);
  for (Stream& client : open) EXPECT_THAT(Ask(client, kGetWeb), HasSubstr("web.default: no endpoint takes connections"));
}

TEST_F(BalancerTest, WhatTakesAwayIsAppliedBeforeItIsConfirmed) {
  balancer_.OnChanges({Container("a")});
  balancer_.OnChanges({Container("a", discovery::RunState::kExited)});
  EXPECT_EQ(balancer_.pending(), 1u);
  Settle();
  for (auto& worker : workers_) EXPECT_TRUE(worker->worker().inbox().empty());
}

TEST_F(BalancerTest, AWorkerWithoutRequestsDoesNotLeaveItsInboxToGrow) {
  size_t told = 0;
  for (size_t i = 0; i < 3 * Balancer::kMaxUnread; i++) {
    balancer_.OnChanges({Container(std::to_string(i))});
    told += balancer_.pending() > 0 ? 1 : 0;
    Settle();
  }
  EXPECT_EQ(told, 2u);
}

TEST_F(BalancerTest, AReloadChangesTheSettingsOfAListenerForNewRequestsOfAllWorkers) {
  Stream open[] = {Connect(0, 0), Connect(1, 0)};
  for (Stream& client : open) EXPECT_THAT(Ask(client, kLongTarget), StartsWith("HTTP/1.1 404 "));
  Config config = File();
  config.listeners[0].limits.target_bytes = 100;
  Reload(config);
  for (Stream& client : open) {
    EXPECT_THAT(Ask(client, kGet), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(Ask(client, kLongTarget), StartsWith("HTTP/1.1 414 "));
  }
  Stream other = Connect(1, 1);
  EXPECT_THAT(Ask(other, kLongTarget), StartsWith("HTTP/1.1 404 "));
}

TEST_F(BalancerTest, AReloadBesideAnAgentHasNothingToConfirm) {
  io::SystemFiles files;
  std::unique_ptr<io::Offload> disk = io::MakeThreadOffload("disk");
  discovery::Consumer consumer(*control_, files, *disk, random_, {"lb", {*SocketAddress::Unix("/nowhere")}, ""});
  balancer_.FollowWith(consumer);
  Config config = File();
  config.listeners[0].limits.target_bytes = 100;
  Reload(config);
  Stream client = Connect(0, 0);
  EXPECT_THAT(Ask(client, kLongTarget), StartsWith("HTTP/1.1 414 "));
}

TEST_F(BalancerTest, AReloadChangesWhatConnectionsBeginWith) {
  Config config = File();
  config.listeners[0].accept_proxy = true;
  Reload(config);
  Stream announced = Connect(0, 0);
  EXPECT_THAT(Ask(announced, "PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n" + kGet), StartsWith("HTTP/1.1 404 "));
  Stream bare = Connect(0, 0);
  EXPECT_EQ(Ask(bare, kGet), "");
}

TEST_F(BalancerTest, AReloadWithListenersInAnotherOrderChangesEachByItsName) {
  Config config = File();
  config.listeners[1].limits.target_bytes = 100;
  std::swap(config.listeners[0], config.listeners[1]);
  Reload(config);
  Stream web = Connect(0, 0), api = Connect(0, 1);
  EXPECT_THAT(Ask(web, kLongTarget), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask(api, kLongTarget), StartsWith("HTTP/1.1 414 "));
}

TEST_F(BalancerTest, APortOfALabelIsOpenFromItsFirstEndpointToItsLastAndConnectionsOutliveIt) {
  const uint16_t port = FreePort(), backend = Serve("db");
  Reload(FileWithPort(port));
  EXPECT_EQ(AtPort(port), "refused");
  Tell({Asks("db", 1, port, backend)});
  std::vector<Stream> clients;  // at both workers
  for (int i = 0; i < 16; i++) clients.push_back(ConnectTo(port));
  for (Stream& client : clients) EXPECT_EQ(Line(client), "db\n");
  Tell({{"endpoint/host1/db", nullptr}});
  WaitRefused(port);
  for (Stream& client : clients) EXPECT_EQ(Line(client, "still here\n"), "still here\n");
  Tell({Asks("db", 1, port, backend)});
  EXPECT_EQ(AtPort(port), "db\n");
}

TEST_F(BalancerTest, APortThatTwoServicesWantIsTheOlderOnesAndPassesOn) {
  const uint16_t port = FreePort(), old_one = Serve("old"), young = Serve("young");
  Reload(FileWithPort(port));
  Tell({Asks("young", 20, port, young)});
  EXPECT_EQ(AtPort(port), "young\n");
  Tell({Asks("old", 10, port, old_one)});
  EXPECT_EQ(FaultAt("old.default"), "");
  EXPECT_THAT(FaultAt("young.default"), testing::HasSubstr("service old.default has it"));
  while (AtPort(port) != "old\n") control_->Turn(kMillisecond);
  Tell({{"endpoint/host1/old", nullptr}});
  while (AtPort(port) != "young\n") control_->Turn(kMillisecond);
}

TEST_F(BalancerTest, APortThatAnotherProgramHasIsRefusedAndTriedAgain) {
  auto other = io::Listener::Open(*control_, *SocketAddress::Parse("127.0.0.1:0"));
  const uint16_t port = other->address().port(), backend = Serve("db");
  Reload(FileWithPort(port));
  Tell({Asks("db", 1, port, backend)});
  EXPECT_THAT(FaultAt("db.default"), testing::HasSubstr("in use"));
  other = io::Listener::Open(*control_, *SocketAddress::Parse("127.0.0.1:0"));
  io::TaskGroup group;
  group.Spawn(balancer_.FollowPorts());
  while (!FaultAt("db.default").empty()) control_->Turn(kMillisecond);
  while (AtPort(port) != "db\n") control_->Turn(kMillisecond);
  group.Cancel();
  while (group.live() > 0) control_->Turn(kMillisecond);
}

TEST_F(BalancerTest, TheGaugesOfAServiceGoWithIt) {
  Tell({Asks("db", 1, 5432, 5432)});
  EXPECT_THAT(RenderPrometheus({&metrics_}), HasSubstr("fairlead_lb_endpoint_state{service=\"db.default\",state=\"ready\"} 1\n"));
  Tell({{"endpoint/host1/db", nullptr}});
  EXPECT_THAT(RenderPrometheus({&metrics_}), HasSubstr("fairlead_lb_endpoint_state{service=\"db.default\",state=\"ready\"} 0\n"));
  metrics_.ForgetUnheld();
  EXPECT_THAT(RenderPrometheus({&metrics_}), testing::Not(HasSubstr("db.default")));
}

TEST_F(BalancerTest, AReloadOpensAndClosesPortsByTheRange) {
  const uint16_t port = FreePort(), backend = Serve("db");
  Tell({Asks("db", 1, port, backend)});
  EXPECT_EQ(AtPort(port), "refused");
  EXPECT_THAT(FaultAt("db.default"), testing::HasSubstr("lb.dynamic_ports is empty"));
  Reload(FileWithPort(port));
  EXPECT_EQ(AtPort(port), "db\n");
  Reload(File());
  WaitRefused(port);
}

TEST_F(BalancerTest, AReloadThatNeedsARestartIsRefusedWholeAndNamesEverything) {
  Config config = File();
  config.listeners[0].limits.target_bytes = 100;
  config.listeners[0].protocol = ListenerProtocol::kTcp;
  config.listeners[0].bind = *SocketAddress::Parse("127.0.0.1:81");
  config.listeners[1].name = "new";
  config.workers = 3;
  config.zone = "corp.internal";
  EXPECT_EQ(Refusal(config),
            "bind of listener web was 127.0.0.1:0 and is 127.0.0.1:81; protocol of listener web was http and is tcp; "
            "listener api is gone; listener new is new; lb.workers was 2 and is 3; dns.zone was fl.internal and is "
            "corp.internal: a reload cannot change that; restart the balancer to apply the file");
  Stream client = Connect(0, 0);
  EXPECT_THAT(Ask(client, kLongTarget), StartsWith("HTTP/1.1 404 "));
}

}  // namespace
}  // namespace fairlead::lb
