// In virtual time: applications that start late, fall ill, go and come back under another name of the same address.
#include "discovery/health/monitor.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/sim/sim_proactor.h"
#include "base/sim/sim_world.h"
#include "base/strings.h"
#include "discovery/health/row_checks.h"

namespace fairlead::health {
namespace {

using discovery::CheckedHealth;
using discovery::CheckKind;
using discovery::EndpointRow;
using discovery::HealthCheck;
using discovery::HealthState;

const IpAddress kAgent = *IpAddress::Parse("10.0.0.1"), kApp = *IpAddress::Parse("10.0.0.2");
const SocketAddress kAddress(kApp, 8080);

// Listens while it exists and answers each connection's head with `reply`.
class App {
 public:
  explicit App(sim::SimProactor& proactor, SocketAddress address = kAddress)
      : proactor_(proactor), listener_(*io::Listener::Open(proactor, address)) {
    group_.Spawn(io::AcceptLoop(listener_, group_, [this](int fd) { return Serve(io::Stream(proactor_, fd)); }));
  }
  ~App() { group_.Drain(proactor_); }
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  std::string reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  int connections = 0;

 private:
  io::Task<void> Serve(io::Stream stream) {
    ++connections;
    io::IoResult received = co_await stream.Receive();
    if (!received.ok() || received.is_end()) co_return;
    (void)stream.Take();
    (void)co_await stream.Send(reply);
  }
  sim::SimProactor& proactor_;
  io::Listener listener_;
  io::TaskGroup group_;
};

// Runs the world until the task has ended.
void RunToEnd(sim::SimWorld& world, io::Task<void> task) {
  io::TaskGroup group;
  group.Spawn(std::move(task));
  EXPECT_TRUE(world.RunUntil([&] { return group.live() == 0; }, kMinute));
}

class Monitoring : public testing::Test {
 protected:
  void SetUp() override { monitor_.emplace(agent_, world_.random(), [this](const std::string& id, const CheckedHealth& health) {
    told_.push_back(Cat(id, "=", static_cast<int>(health.state)));
    if (on_change_) on_change_(id);
  }); }
  void TearDown() override {
    RunToEnd(world_, monitor_->Stop());
    monitor_.reset();
  }
  HealthState StateOf(std::string_view id) {
    const CheckedHealth* health = monitor_->Find(id);
    return health == nullptr ? HealthState::kNone : health->state;
  }
  bool Becomes(std::string_view id, HealthState state) {
    return world_.RunUntil([&] { return StateOf(id) == state; }, kMinute);
  }

  sim::SimWorld world_{7};
  sim::SimProactor agent_{world_, kAgent}, host_{world_, kApp};
  std::optional<Monitor> monitor_;
  std::vector<std::string> told_;
  std::function<void(const std::string&)> on_change_;
  const HealthCheck http_{.kind = CheckKind::kHttp, .target = "/"};
};

TEST_F(Monitoring, AnApplicationThatStartsLateIsFoundSoonAfterItListens) {
  monitor_->Watch("a", {"u1", kAddress, {.kind = CheckKind::kReachable}});
  world_.Run(5 * kSecond);
  EXPECT_EQ(StateOf("a"), HealthState::kStarting);
  App app(host_);
  const Nanos began = world_.Now();
  EXPECT_TRUE(Becomes("a", HealthState::kHealthy));
  EXPECT_LT(world_.Now() - began, 2 * kSecond);
  world_.Run(kMinute);
  EXPECT_EQ(app.connections, 1) << "nobody asked for more than that";
}

TEST_F(Monitoring, FallsAndRisesWithTheApplication) {
  App app(host_);
  monitor_->Watch("a", {"u1", kAddress, http_});
  ASSERT_TRUE(Becomes("a", HealthState::kHealthy));
  app.reply = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
  ASSERT_TRUE(Becomes("a", HealthState::kUnhealthy));
  EXPECT_EQ(monitor_->Find("a")->reason, "HTTP 500");
  app.reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  EXPECT_TRUE(Becomes("a", HealthState::kHealthy));
}

TEST_F(Monitoring, AHostThatNeverAnswersIsUnknown) {
  monitor_->Watch("a", {"u1", SocketAddress(*IpAddress::Parse("10.9.9.9"), 80), http_});
  EXPECT_TRUE(Becomes("a", HealthState::kUnknown));
}

TEST_F(Monitoring, AnotherStartBeginsAnewAndTheSameOneDoesNot) {
  App app(host_);
  monitor_->Watch("a", {"u1", kAddress, http_});
  ASSERT_TRUE(Becomes("a", HealthState::kHealthy));
  monitor_->Watch("a", {"u1", kAddress, http_});
  EXPECT_EQ(StateOf("a"), HealthState::kHealthy);
  monitor_->Watch("a", {"u2", kAddress, http_});
  EXPECT_EQ(StateOf("a"), HealthState::kStarting);
  EXPECT_TRUE(Becomes("a", HealthState::kHealthy));
}

TEST_F(Monitoring, AnAnswerForOneThatIsForgottenTellsNothing) {
  App app(host_);
  monitor_->Watch("a", {"u1", kAddress, http_});
  ASSERT_TRUE(world_.RunUntil([&] { return app.connections == 1; }, kMinute));
  monitor_->Forget("a");
  world_.Run(10 * kSecond);
  EXPECT_TRUE(told_.empty());
  EXPECT_EQ(app.connections, 1);
}

TEST_F(Monitoring, WhoeverIsToldMayForgetIt) {
  App app(host_);
  on_change_ = [this](const std::string& id) { monitor_->Forget(id); };
  monitor_->Watch("a", {"u1", kAddress, http_});
  EXPECT_TRUE(world_.RunUntil([&] { return told_.size() == 1; }, kMinute));
  world_.Run(10 * kSecond);
  EXPECT_EQ(app.connections, 1);
}

TEST_F(Monitoring, ManyAtOnceWaitTheirTurn) {
  App app(host_);
  constexpr size_t kMany = 3 * Monitor::kMaxProbes;
  for (size_t i = 0; i < kMany; i++) monitor_->Watch(Cat("e", i), {"u", kAddress, {.kind = CheckKind::kReachable}});
  EXPECT_TRUE(world_.RunUntil([&] { return told_.size() == kMany; }, kMinute));
  EXPECT_GT(monitor_->stats().delayed, 0U);
  for (size_t i = 0; i < kMany; i++) ASSERT_EQ(StateOf(Cat("e", i)), HealthState::kHealthy);
}

// --- rows

class Rows : public testing::Test {
 protected:
  Rows()
      : checks_(
            agent_, world_.random(), [this](EndpointRow row) { published_.push_back(std::move(row)); },
            [this](std::string_view) { return published_.empty() ? nullptr : std::make_shared<EndpointRow>(published_.back()); }) {}
  void TearDown() override { RunToEnd(world_, checks_.Stop()); }
  // As after the first whole list of the engine, which knew of nothing.
  void EndFirstLook() { RunToEnd(world_, FirstLook(checks_)); }
  static io::Task<void> FirstLook(RowChecks& checks) { EXPECT_TRUE(co_await checks.FirstLook()); }
  static EndpointRow RowOf(std::string uid, CheckKind kind) {
    EndpointRow row;
    row.node = "host1";
    row.engine_id = "c1";
    row.uid = std::move(uid);
    row.state = discovery::RunState::kRunning;
    discovery::ServiceEntry entry;
    entry.service = "web";
    entry.ip = kApp;
    entry.port = 8080;
    entry.check.kind = kind;
    row.services.push_back(entry);
    return row;
  }
  bool Publishes(HealthState state) {
    return world_.RunUntil([&] { return !published_.empty() && Last().health.state == state; }, kMinute);
  }
  const discovery::ServiceEntry& Last() const { return published_.back().services[0]; }

  sim::SimWorld world_{11};
  sim::SimProactor agent_{world_, kAgent}, host_{world_, kApp};
  std::vector<EndpointRow> published_;
  RowChecks checks_;
};

TEST_F(Rows, ARowWaitsForItsFirstGoodAnswer) {
  EndFirstLook();
  EndpointRow silent = RowOf("u1", CheckKind::kTcp);
  silent.services[0].ip = *IpAddress::Parse("10.9.9.9");
  checks_.Upsert(silent);
  EXPECT_TRUE(published_.empty());
  world_.Run(2 * RowChecks::kPatience);
  ASSERT_EQ(published_.size(), 1U);
  EXPECT_FALSE(published_[0].ready(Last()));
}

TEST_F(Rows, AStartThatIsAnsweredAtOnceIsOneChange) {
  EndFirstLook();
  App app(host_);
  EndpointRow row = RowOf("u1", CheckKind::kTcp);
  checks_.Upsert(row);
  row.aliases = {"shop"};  // events come in crowds at a start
  checks_.Upsert(row);
  EXPECT_EQ(checks_.Find(KeyOf(row))->aliases.size(), 1U);
  ASSERT_TRUE(Publishes(HealthState::kHealthy));
  world_.Run(2 * RowChecks::kPatience);
  ASSERT_EQ(published_.size(), 1U);
  EXPECT_TRUE(published_[0].ready(Last()));
  EXPECT_EQ(published_[0].aliases.size(), 1U);
}

TEST_F(Rows, WhatTakesThePlaceOfOneThatMayServeIsToldAtOnce) {
  EndFirstLook();
  App app(host_);
  checks_.Upsert(RowOf("u1", CheckKind::kTcp));
  ASSERT_TRUE(Publishes(HealthState::kHealthy));
  checks_.Upsert(RowOf("u2", CheckKind::kTcp));
  ASSERT_EQ(published_.size(), 2U);
  EXPECT_EQ(Last().health.state, HealthState::kStarting);
}

TEST_F(Rows, OneThatIsToldToStopDuringItsFirstLookIsToldAtOnce) {
  EndFirstLook();
  EndpointRow row = RowOf("u1", CheckKind::kTcp);
  checks_.Upsert(row);
  row.draining = true;
  checks_.Upsert(row);
  ASSERT_EQ(published_.size(), 1U);
  world_.Run(kMinute);
  EXPECT_EQ(published_.size(), 1U);
}

TEST_F(Rows, ARowWithoutACheckGoesOutAsItIs) {
  checks_.Upsert(RowOf("u1", CheckKind::kNone));
  EXPECT_TRUE(published_.at(0).ready(Last()));
  EXPECT_EQ(checks_.watched(), 0U);
}

TEST_F(Rows, ARowThatComesAgainKeepsWhatIsKnown) {
  App app(host_);
  checks_.Upsert(RowOf("u1", CheckKind::kTcp));
  ASSERT_TRUE(Publishes(HealthState::kHealthy));
  EndpointRow again = RowOf("u1", CheckKind::kTcp);
  again.aliases = {"shop"};
  checks_.Upsert(again);
  EXPECT_EQ(Last().health.state, HealthState::kHealthy);
  EXPECT_EQ(published_.back().aliases.size(), 1U);
}

TEST_F(Rows, WhatWasReachedIsLeftAloneAndStaysHealthyUntilItIsAnother) {
  App app(host_);
  EndFirstLook();
  checks_.Upsert(RowOf("u1", CheckKind::kReachable));
  ASSERT_TRUE(Publishes(HealthState::kHealthy));
  EXPECT_EQ(checks_.watched(), 0U);
  checks_.Upsert(RowOf("u1", CheckKind::kReachable));
  EXPECT_EQ(Last().health.state, HealthState::kHealthy);
  EXPECT_EQ(checks_.watched(), 0U);
  EndpointRow moved = RowOf("u1", CheckKind::kReachable);
  moved.services[0].port = 8081;
  checks_.Upsert(moved);
  EXPECT_EQ(Last().health.state, HealthState::kStarting);
  checks_.Upsert(RowOf("u2", CheckKind::kReachable));
  EXPECT_EQ(Last().health.state, HealthState::kStarting);
  EXPECT_EQ(checks_.watched(), 1U);
}

TEST_F(Rows, AnEnginesHealthcheckIsRememberedForItsRun) {
  EndpointRow row = RowOf("u1", CheckKind::kNone);
  row.health = HealthState::kHealthy;
  checks_.Upsert(row);
  world_.Run(kSecond);
  row.health = HealthState::kUnhealthy;
  row.services[0].protocol = "udp";  // of which no look tells more
  checks_.Upsert(row);
  const Nanos since = published_.back().health_since_wall;
  EXPECT_TRUE(published_.back().was_healthy);
  EXPECT_GT(since, published_.front().health_since_wall);
  world_.Run(kSecond);
  checks_.Upsert(row);
  EXPECT_EQ(published_.back().health_since_wall, since) << "of the state, not of the row";
  EndpointRow again = row;
  again.uid = "u2";
  checks_.Upsert(again);
  EXPECT_FALSE(published_.back().was_healthy) << "another run";
}

TEST_F(Rows, WhomItsHealthcheckCallsIllIsLookedAtAsLongAsItIs) {
  EndFirstLook();
  App app(host_);
  EndpointRow row = RowOf("u1", CheckKind::kNone);
  row.health = HealthState::kHealthy;
  checks_.Upsert(row);
  row.health = HealthState::kUnhealthy;
  checks_.Upsert(row);
  EXPECT_EQ(Last().health.state, HealthState::kStarting) << "it may refuse connections";
  ASSERT_TRUE(Publishes(HealthState::kHealthy));
  EXPECT_EQ(Last().check.kind, CheckKind::kNone) << "nobody asked for a check";
  row.health = HealthState::kHealthy;
  checks_.Upsert(row);
  EXPECT_EQ(checks_.watched(), 0U);
  EXPECT_EQ(Last().health.state, HealthState::kNone);
}

TEST_F(Rows, WhatDrainsOrStopsIsNotLookedAt) {
  App app(host_);
  checks_.Upsert(RowOf("u1", CheckKind::kTcp));
  ASSERT_TRUE(Publishes(HealthState::kHealthy));
  EndpointRow draining = RowOf("u1", CheckKind::kTcp);
  draining.draining = true;
  checks_.Upsert(draining);
  EXPECT_EQ(checks_.watched(), 0U);
  const size_t told = published_.size();
  world_.Run(kMinute);
  EXPECT_EQ(published_.size(), told);
}

TEST_F(Rows, ARemovedRowIsNeverPublishedAgain) {
  EndFirstLook();
  EndpointRow row = RowOf("u1", CheckKind::kTcp);
  checks_.Upsert(row);
  checks_.Remove(KeyOf(row));
  App app(host_);
  world_.Run(kMinute);
  EXPECT_TRUE(published_.empty());
  EXPECT_EQ(app.connections, 0);
}

// What a restarted agent does not know yet must not take from the traffic what its predecessor knew to be healthy.
TEST_F(Rows, TheFirstLookKeepsBackWhatWasNotLookedAt) {
  App app(host_);
  checks_.Upsert(RowOf("u1", CheckKind::kTcp));
  EXPECT_TRUE(published_.empty());
  EndFirstLook();
  ASSERT_EQ(published_.size(), 1U);
  EXPECT_EQ(Last().health.state, HealthState::kHealthy);
}

TEST_F(Rows, AnEngineThatIsListedAgainMeanwhileBeginsNoSecondFirstLook) {
  EndpointRow row = RowOf("u1", CheckKind::kTcp);
  row.services[0].ip = *IpAddress::Parse("10.9.9.9");
  checks_.Upsert(row);
  bool again = true;
  io::TaskGroup group;
  world_.After(kSecond, [&] {
    group.Spawn([](RowChecks* checks, bool* begun) -> io::Task<void> { *begun = co_await checks->FirstLook(); }(&checks_, &again));
  });
  EndFirstLook();
  EXPECT_FALSE(again);
}

TEST_F(Rows, TheFirstLookWaitsUntilSilenceIsKnownToBeThat) {
  EndpointRow row = RowOf("u1", CheckKind::kTcp);
  row.services[0].ip = *IpAddress::Parse("10.9.9.9");
  checks_.Upsert(row);
  EndFirstLook();
  ASSERT_EQ(published_.size(), 1U);
  EXPECT_TRUE(published_[0].ready(Last())) << "unknown: balancers look themselves";
}

TEST_F(Rows, TheFirstLookEndsWithWhatGoesMeanwhile) {
  EndpointRow row = RowOf("u1", CheckKind::kTcp);
  row.services[0].ip = *IpAddress::Parse("10.9.9.9");
  checks_.Upsert(row);
  world_.After(kSecond, [&] { checks_.Remove(KeyOf(row)); });
  EndFirstLook();
  EXPECT_TRUE(published_.empty());
  EXPECT_LT(world_.Now(), RowChecks::kFirstLook);
}

TEST_F(Rows, AnEntryThatTheRowLosesIsForgotten) {
  EndpointRow two = RowOf("u1", CheckKind::kTcp);
  two.services.push_back(two.services[0]);
  checks_.Upsert(two);
  EXPECT_EQ(checks_.watched(), 2U);
  checks_.Upsert(RowOf("u1", CheckKind::kTcp));
  EXPECT_EQ(checks_.watched(), 1U);
}

}  // namespace
}  // namespace fairlead::health
