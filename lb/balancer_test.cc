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

  SystemClock clock_;
  SeededRandom random_{1};
  std::unique_ptr<io::Proactor> control_;
  Metrics metrics_;
  Balancer balancer_;
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
