// In virtual time: what the balancer looks at itself, and how its verdicts meet what agents say.
#include "lb/health_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/sim/sim_proactor.h"
#include "base/sim/sim_world.h"
#include "lb/picture.h"

namespace fairlead::lb {
namespace {

using discovery::CheckKind;
using discovery::EndpointRow;
using discovery::HealthState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const IpAddress kBalancer = *IpAddress::Parse("10.0.0.1"), kA = *IpAddress::Parse("10.0.0.2"), kB = *IpAddress::Parse("10.0.0.3");
constexpr char kWell[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", kIll[] = "HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n";

class App {
 public:
  App(sim::SimWorld& world, IpAddress ip) : proactor_(world, ip), listener_(*io::Listener::Open(proactor_, SocketAddress(ip, 80))) {
    group_.Spawn(io::AcceptLoop(listener_, group_, [this](int fd) { return Serve(io::Stream(proactor_, fd)); }));
  }
  ~App() { group_.Drain(proactor_); }
  std::string reply = kWell;
  int looks = 0;

 private:
  io::Task<void> Serve(io::Stream stream) {
    ++looks;
    io::IoResult received = co_await stream.Receive();
    if (!received.ok() || received.is_end()) co_return;
    (void)stream.Take();
    (void)co_await stream.Send(reply);
  }
  sim::SimProactor proactor_;
  io::Listener listener_;
  io::TaskGroup group_;
};

class Checking : public testing::Test {
 protected:
  void SetUp() override {
    checks_.emplace(proactor_, world_.random(), [this](const std::string& service) { changed_.push_back(service); });
    picture_.emplace(Config{}, &*checks_);
  }
  void TearDown() override {
    io::TaskGroup group;
    group.Spawn(checks_->Stop());
    EXPECT_TRUE(world_.RunUntil([&] { return group.live() == 0; }, kMinute));
  }
  static Config File(std::vector<IpAddress> ips, CheckKind kind = CheckKind::kHttp) {
    Config config;
    ServiceSpec web{.name = "web.shop", .settings = {}, .endpoints = {}};
    for (const IpAddress& ip : ips) web.endpoints.push_back({SocketAddress(ip, 80)});
    web.health_check = {.kind = kind, .target = "/healthz"};
    config.services.push_back(web);
    return config;
  }
  void Load(const Config& config) {
    checks_->SetFile(config.services);
    picture_->Reload(config);
  }
  void Tell(discovery::HealthState state) {
    auto row = std::make_shared<discovery::Row>();
    row->key = "endpoint/host1/web-1";
    row->node = "host1";
    EndpointRow endpoint;
    endpoint.uid = "web-1@1";
    endpoint.node = "host1";
    endpoint.name = "web-1";
    endpoint.state = discovery::RunState::kRunning;
    discovery::ServiceEntry entry;
    entry.service = "web";
    entry.project = "shop";
    entry.ip = kA;
    entry.port = 80;
    entry.check = {.kind = CheckKind::kHttp, .target = "/healthz"};
    entry.health = {.state = state, .reason = "as the agent says"};
    endpoint.services.push_back(entry);
    row->body = endpoint;
    checks_->Apply({{row->key, row}});
    picture_->Apply({{row->key, row}});
  }
  std::vector<std::string> Ready() const {
    std::vector<std::string> ready;
    for (const Picture::EndpointInfo& endpoint : picture_->Endpoints("web.shop"))
      if (endpoint.ready) ready.push_back(endpoint.view->address.ToString());
    return ready;
  }
  std::string WhyNot(size_t index) const { return picture_->Endpoints("web.shop")[index].why_not; }
  bool Becomes(const std::vector<std::string>& ready) {
    return world_.RunUntil([&] { return Ready() == ready; }, kMinute);
  }

  sim::SimWorld world_{5};
  sim::SimProactor proactor_{world_, kBalancer};
  std::optional<HealthChecks> checks_;
  std::optional<Picture> picture_;
  std::vector<std::string> changed_;
};

TEST_F(Checking, AnEndpointOfTheFileServesOnceItAnsweredWell) {
  Load(File({kA}));
  EXPECT_THAT(Ready(), IsEmpty());
  EXPECT_EQ(WhyNot(0), "no good answer yet: not looked at yet");
  EXPECT_TRUE(checks_->first_look());
  App app(world_, kA);
  EXPECT_TRUE(Becomes({"10.0.0.2:80"}));
  EXPECT_THAT(changed_, ElementsAre("web.shop"));
  EXPECT_FALSE(checks_->first_look());
  EXPECT_EQ(picture_->Endpoints("web.shop")[0].checked_by, "balancer");
}

TEST_F(Checking, IllnessTakesOneOutAndRecoveryBringsItBack) {
  App a(world_, kA), b(world_, kB);
  Load(File({kA, kB}));
  ASSERT_TRUE(Becomes({"10.0.0.2:80", "10.0.0.3:80"}));
  b.reply = kIll;
  EXPECT_TRUE(Becomes({"10.0.0.2:80"}));
  EXPECT_EQ(WhyNot(1), "unhealthy: HTTP 503");
  b.reply = kWell;
  EXPECT_TRUE(Becomes({"10.0.0.2:80", "10.0.0.3:80"}));
}

TEST_F(Checking, AllOfTheFileThatFallIllTogetherServeOn) {
  App a(world_, kA), b(world_, kB);
  Load(File({kA, kB}));
  ASSERT_TRUE(Becomes({"10.0.0.2:80", "10.0.0.3:80"}));
  a.reply = b.reply = kIll;
  ASSERT_TRUE(world_.RunUntil([&] { return picture_->Endpoints("web.shop")[0].fails_open; }, kMinute));
  EXPECT_TRUE(picture_->Endpoints("web.shop")[1].fails_open);
  EXPECT_EQ(Ready().size(), 2u);
  b.reply = kWell;
  EXPECT_TRUE(Becomes({"10.0.0.3:80"}));
}

TEST_F(Checking, AReloadKeepsWhatIsKnown) {
  App a(world_, kA), b(world_, kB);
  Load(File({kA, kB}));
  ASSERT_TRUE(Becomes({"10.0.0.2:80", "10.0.0.3:80"}));
  Config next = File({kA, kB});
  next.services[0].health_check.interval = 5 * kSecond;
  Load(next);
  EXPECT_EQ(Ready().size(), 2u) << "another interval is no reason to doubt";
  Load(File({kA}));
  EXPECT_THAT(Ready(), ElementsAre("10.0.0.2:80"));
  EXPECT_EQ(checks_->watched(), 1u);
}

TEST_F(Checking, WhatServedUncheckedGoesOnUntilItsNewCheckSaysOtherwise) {
  App a(world_, kA);
  a.reply = kIll;
  Load(File({kA}, CheckKind::kNone));
  EXPECT_THAT(Ready(), ElementsAre("10.0.0.2:80"));
  Load(File({kA}));
  EXPECT_THAT(Ready(), ElementsAre("10.0.0.2:80"));
  EXPECT_TRUE(world_.RunUntil([&] { return picture_->Endpoints("web.shop")[0].health.state == HealthState::kUnhealthy; }, kMinute));
  EXPECT_FALSE(picture_->Endpoints("web.shop")[0].fails_open) << "nobody ever saw it healthy";
}

TEST_F(Checking, WhatItsAgentCallsUnknownServesIfWeReachIt) {
  App a(world_, kA);
  Tell(HealthState::kUnknown);
  EXPECT_THAT(Ready(), IsEmpty());
  EXPECT_TRUE(Becomes({"10.0.0.2:80"}));
  a.reply = kIll;
  EXPECT_TRUE(Becomes({}));
  Tell(HealthState::kHealthy);
  EXPECT_THAT(Ready(), ElementsAre("10.0.0.2:80")) << "its agent can tell again";
  EXPECT_EQ(checks_->watched(), 0u);
}

TEST_F(Checking, WhatNobodyReachesGetsNothing) {
  Tell(HealthState::kUnknown);
  EXPECT_TRUE(world_.RunUntil([&] { return WhyNot(0).starts_with("cannot be reached"); }, kMinute));
  EXPECT_THAT(Ready(), IsEmpty());
}

TEST_F(Checking, NothingIsLookedAtThatItsAgentLooksAt) {
  App a(world_, kA);
  Tell(HealthState::kHealthy);
  Tell(HealthState::kUnhealthy);
  world_.Run(kMinute);
  EXPECT_EQ(a.looks, 0);
  EXPECT_EQ(WhyNot(0), "unhealthy: as the agent says");
}

}  // namespace
}  // namespace fairlead::lb
