#include "runtime-shim/event_source.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/random.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

using discovery::RunState;

class RowSink final : public EndpointSink {
 public:
  void Upsert(discovery::EndpointRow row) override { rows[row.engine_id] = std::move(row); }
  std::shared_ptr<const discovery::EndpointRow> Find(const std::string& engine_id) override {
    auto row = rows.find(engine_id);
    return row == rows.end() ? nullptr : std::make_shared<discovery::EndpointRow>(row->second);
  }
  void Remove(std::string engine_id) override { rows.erase(engine_id); }
  void Synced() override { synced++; }
  void Inspected(const ContainerDetails&) override { inspected++; }
  void NetworkSeen(const NetworkDetails&) override {}
  std::map<std::string, discovery::EndpointRow> rows;
  int synced = 0, inspected = 0;
};

class EngineWatcherTest : public testing::Test {
 protected:
  void Start() {
    tasks_.Spawn(watcher_.Run());
    worker_.Settle();
  }
  void TearDown() override { tasks_.Drain(*worker_.proactor); }

  ContainerDetails& Make(const std::string& id, const std::string& name) {
    ContainerDetails& c = engine_.container(id);
    c = {};
    c.id = id;
    c.name = name;
    c.state = "running";
    c.started_wall = 1000;
    return c;
  }
  // What the rows should be, by the engine's own word.
  std::map<std::string, discovery::EndpointRow> Expected() {
    std::map<std::string, discovery::EndpointRow> rows;
    discovery::NameTables names;
    for (const auto& [id, container] : engine_.containers()) rows[id] = BuildRow(context_, {}, container, names);
    return rows;
  }
  void Kill(const std::string& id, const std::string& signal) { engine_.Emit("container", "kill", id, {{"signal", signal}}); }

  Worker worker_;
  ScriptedEngine engine_{*worker_.proactor};
  RowSink sink_;
  RowContext context_{.node = "host1", .engine = "docker", .drivers = {"fairlead"}, .node_addresses = {}};
  EngineWatcher watcher_{*worker_.proactor, engine_, context_, sink_};
  io::TaskGroup tasks_;
};

TEST_F(EngineWatcherTest, TellsSyncedOnlyAfterTheFirstWholeList) {
  Make("a", "web-1");
  engine_.SetLocked("a", true);
  Start();
  EXPECT_EQ(sink_.synced, 0);
  engine_.SetLocked("a", false);
  worker_.Advance(3 * kSecond);
  EXPECT_EQ(sink_.synced, 1);
  EXPECT_EQ(sink_.rows, Expected());
}

TEST_F(EngineWatcherTest, AListThatIsInspectedForMinutesIsWholeWhenItIsSynced) {
  constexpr size_t kContainers = 800;  // 150 s, over two lists more
  for (size_t i = 0; i < kContainers; i++) {
    Make(Cat("c", i), Cat("web-", i));
    engine_.SetSlow(Cat("c", i), 1500 * kMillisecond);
  }
  Start();
  while (sink_.synced == 0) worker_.Advance(kSecond);
  EXPECT_EQ(sink_.rows.size(), kContainers);
  EXPECT_EQ(sink_.inspected, static_cast<int>(kContainers)) << "those that were looked at are not looked at again";
}

TEST_F(EngineWatcherTest, AContainerWhoseInspectionHangsHoldsSyncedUpForAWhileOnly) {
  Make("a", "web-1");
  Make("b", "web-2");
  engine_.SetLocked("b", true);
  Start();
  worker_.Advance(kSyncPatience - kSecond);
  EXPECT_EQ(sink_.synced, 0);
  worker_.Advance(2 * kSecond);
  EXPECT_EQ(sink_.synced, 1);
  EXPECT_TRUE(sink_.rows.contains("a"));
}

TEST_F(EngineWatcherTest, AnEngineThatCallsAfterItsAbsenceIsFollowedAtOnce) {
  Make("a", "web-1");
  Start();
  engine_.SetDown(true);
  engine_.BreakStreams(true);
  worker_.Advance(30 * kSecond);  // the pauses are long now
  engine_.SetDown(false);
  Make("b", "web-2");
  watcher_.EngineCalled();
  worker_.Settle();
  EXPECT_EQ(sink_.rows, Expected());
}

TEST_F(EngineWatcherTest, DrainsAtTheStopSignalAndNotAtAReload) {
  Make("a", "web-1").stop_signal = "SIGUSR2";
  Start();
  Kill("a", "1");
  worker_.Settle();
  EXPECT_FALSE(sink_.rows["a"].draining);
  Kill("a", "12");
  worker_.Settle();
  EXPECT_TRUE(sink_.rows["a"].draining);
}

TEST_F(EngineWatcherTest, AStopOfARunThatWasNotLookedAtYetIsOfThatRun) {
  Make("a", "web-1");
  Start();
  engine_.SetLocked("a", true);  // it has ended and started again while nobody heard of it
  engine_.container("a").started_wall = 2000;
  engine_.Emit("container", "start", "a");
  worker_.Settle();
  Kill("a", "15");
  worker_.Settle();
  EXPECT_TRUE(sink_.rows["a"].draining);
  engine_.SetLocked("a", false);
  worker_.Advance(3 * kSecond);
  EXPECT_NE(sink_.rows["a"].uid.find("2000"), std::string::npos);
  EXPECT_TRUE(sink_.rows["a"].draining);
}

TEST_F(EngineWatcherTest, AStopOfAContainerThatWasNeverLookedAtIsNotForgotten) {
  Start();
  engine_.SetLocked("a", true);
  Make("a", "web-1");
  engine_.Emit("container", "start", "a");
  Kill("a", "15");
  worker_.Settle();
  engine_.SetLocked("a", false);
  worker_.Advance(3 * kSecond);
  EXPECT_TRUE(sink_.rows["a"].draining);
}

TEST_F(EngineWatcherTest, AStopOfAnEarlierRunSaysNothingOfThisOne) {
  Make("a", "web-1");
  Start();
  Kill("a", "15");
  worker_.Settle();
  engine_.container("a").started_wall = 1'800'000'000 * kSecond;  // later than the engine's word of the stop
  engine_.Emit("container", "start", "a");
  worker_.Settle();
  EXPECT_FALSE(sink_.rows["a"].draining);
}

TEST_F(EngineWatcherTest, TakesBackADrainThatNoDeathFollowed) {
  Make("a", "web-1").stop_timeout_s = 5;
  Start();
  Kill("a", "15");
  worker_.Advance(6 * kSecond);
  EXPECT_TRUE(sink_.rows["a"].draining);
  worker_.Advance(2 * kSecond);
  EXPECT_FALSE(sink_.rows["a"].draining);
}

TEST_F(EngineWatcherTest, AContainerBeingStartedHoldsBackNobodysDrain) {
  Make("a", "web-1");
  Make("b", "web-2");
  Start();
  engine_.SetLocked("b", true);
  engine_.Emit("container", "restart", "b");
  worker_.Settle();
  Kill("a", "15");
  worker_.Settle();
  EXPECT_TRUE(sink_.rows["a"].draining);
  engine_.SetLocked("b", false);
}

TEST_F(EngineWatcherTest, KeepsAStoppedContainersRowUntilItIsDestroyed) {
  Make("a", "web-1");
  Start();
  engine_.container("a").state = "exited";
  engine_.Emit("container", "die", "a");
  worker_.Settle();
  ASSERT_TRUE(sink_.rows.contains("a"));
  EXPECT_EQ(sink_.rows["a"].state, RunState::kExited);
  engine_.Remove("a");
  engine_.Emit("container", "destroy", "a");
  worker_.Settle();
  EXPECT_FALSE(sink_.rows.contains("a"));
}

TEST_F(EngineWatcherTest, ARestartOfTheEngineLosesNothing) {
  Make("a", "web-1");
  Make("b", "web-2");
  Start();
  engine_.SetDown(true);
  engine_.BreakStreams(/*forget_replay=*/true);
  worker_.Advance(kSecond);
  engine_.Remove("a");
  Make("c", "web-3");
  EXPECT_TRUE(sink_.rows.contains("a"));  // unknown is not removed
  engine_.SetDown(false);
  worker_.Advance(6 * kSecond);
  EXPECT_EQ(sink_.rows, Expected());
  EXPECT_EQ(sink_.synced, 2);
}

TEST_F(EngineWatcherTest, AFloodBeyondTheQueueEndsInAFreshList) {
  Make("a", "web-1");
  Start();
  uint64_t lists = watcher_.stats().lists;
  engine_.container("a").name = "renamed";
  for (size_t i = 0; i < 2 * kMaxQueuedEvents; i++) engine_.Emit("container", "rename", "nobody");
  worker_.Settle();
  EXPECT_GT(watcher_.stats().overflows, 0u);
  EXPECT_GT(watcher_.stats().lists, lists);
  EXPECT_EQ(sink_.rows, Expected());
}

TEST_F(EngineWatcherTest, DoubledEventsChangeNothing) {
  Make("a", "web-1");
  Start();
  for (int i = 0; i < 2; i++) engine_.Emit("network", "disconnect", "net", {{"container", "a"}});
  worker_.Settle();
  EXPECT_EQ(sink_.rows, Expected());
}

TEST_F(EngineWatcherTest, AnAnswerOfBeforeTheRemovalBringsNothingBack) {
  Make("a", "web-1");
  Start();
  engine_.answer_takes = 100 * kMillisecond;
  engine_.Emit("container", "update", "a");
  worker_.Settle();  // it is being asked for …
  engine_.Remove("a");
  engine_.Emit("container", "destroy", "a");
  worker_.Advance(kSecond);
  EXPECT_FALSE(sink_.rows.contains("a"));
}

TEST_F(EngineWatcherTest, LooksOnceMoreAfterAnEventThatComesEarly) {
  Make("a", "web-1").health = "starting";
  Start();
  engine_.Emit("container", "health_status", "a", {}, false, /*early=*/true);
  worker_.Settle();
  engine_.container("a").health = "healthy";
  worker_.Advance(kSecond);
  EXPECT_EQ(sink_.rows, Expected());
}

TEST_F(EngineWatcherTest, ADeathOfAnEarlierRunLeavesTheNextOneServing) {
  Make("a", "web-1").started_wall = 1'700'000'001 * kSecond;
  Start();
  engine_.answer_takes = 100 * kMillisecond;
  engine_.Emit("container", "die", "a");  // by the engine's clock a second before
  worker_.Settle();
  EXPECT_EQ(sink_.rows["a"].state, RunState::kRunning);
}

TEST_F(EngineWatcherTest, ANetworkThatNoEventToldOfIsLearned) {
  Start();
  engine_.network("podnet") = {.id = "1a2b", .name = "podnet", .driver = "fairlead"};
  InterfaceAddress address{*IpAddress::Parse("10.50.0.7"), 24};
  Make("a", "web-1").networks = {{.network = "podnet", .network_id = "podnet", .ipv4 = address}};
  engine_.Emit("container", "start", "a");
  worker_.Settle();
  ASSERT_EQ(sink_.rows["a"].addresses.size(), 1u);
  EXPECT_TRUE(sink_.rows["a"].addresses[0].managed);
  EXPECT_EQ(engine_.lists, 2u);
}

// Ten thousand steps of an engine that loses events, breaks streams and repeats itself.
TEST_F(EngineWatcherTest, RowsEqualTheEngineAfterAnyHistory) {
  Start();
  SeededRandom random(7);
  for (int step = 0; step < 10'000; step++) {
    std::string id = Cat("c", random.Below(20));
    bool lost = random.OneIn(10), known = engine_.Has(id);
    switch (random.Below(6)) {
      case 0:
        if (known) break;
        Make(id, Cat("web-", step)).state = "created";
        engine_.Emit("container", "create", id, {}, lost);
        break;
      case 1:
        if (!known) break;
        engine_.container(id).state = "running";
        engine_.container(id).started_wall = step;
        engine_.Emit("container", "start", id, {}, lost);
        break;
      case 2:
        if (!known) break;
        engine_.container(id).state = "exited";
        Kill(id, "9");
        engine_.Emit("container", "die", id, {}, lost);
        break;
      case 3:
        if (!known) break;
        engine_.container(id).name = Cat("renamed-", step);
        engine_.Emit("container", "rename", id, {}, lost);
        break;
      case 4:
        if (!known) break;
        engine_.Remove(id);
        engine_.Emit("container", "destroy", id, {}, lost);
        break;
      case 5:
        if (random.OneIn(50)) engine_.BreakStreams(random.OneIn(2));
        break;
    }
    engine_.answer_takes = static_cast<Nanos>(random.Below(4)) * 5 * kMillisecond;
    if (random.OneIn(3)) worker_.Advance(10 * kMillisecond);
  }
  worker_.Advance(kRelistInterval + 20 * kSecond);
  EXPECT_EQ(sink_.rows, Expected());
  EXPECT_GT(sink_.rows.size(), 0u);
}

class StateFile : public EngineWatcherTest {
 protected:
  StateFile() {
    engine_.state_file = worker_.folder + "/state.db";
    Write();
  }
  // As an engine does when it begins to stop a container, and at other times.
  void Write() {
    timespec at[2] = {{.tv_sec = ++written_, .tv_nsec = 0}, {.tv_sec = written_, .tv_nsec = 0}};
    std::ofstream(engine_.state_file) << written_;
    ASSERT_EQ(utimensat(AT_FDCWD, engine_.state_file.c_str(), at, 0), 0);
  }
  time_t written_ = 1'700'000'000;
};

TEST_F(StateFile, TellsOfAStopThatNoEventTellsOf) {
  Make("a", "web-1");
  Make("b", "web-2");
  Start();
  worker_.Advance(kSecond);
  engine_.container("a").state = "stopping";
  Write();
  const uint64_t inspections = engine_.inspections;
  worker_.Advance(2 * kStateLook);
  EXPECT_TRUE(sink_.rows["a"].draining);
  EXPECT_EQ(sink_.rows["a"].state, RunState::kRunning);
  EXPECT_FALSE(sink_.rows["b"].draining);
  Write();  // of something else
  worker_.Advance(2 * kStateLook);
  EXPECT_EQ(engine_.inspections, inspections + 1) << "only of what stops, and once";
}

TEST_F(StateFile, IsNotLookedAtBeforeAnythingRuns) {
  Make("a", "web-1").state = "exited";
  Start();
  const uint64_t lists = engine_.lists;
  worker_.Advance(kSecond);
  EXPECT_EQ(engine_.lists, lists);
  engine_.container("a").state = "running";
  engine_.Emit("container", "start", "a");
  worker_.Advance(kSecond);
  EXPECT_EQ(engine_.lists, lists + 1) << "once: it was not written since";
}

TEST_F(StateFile, ThatIsAlwaysWrittenCostsATenthOfTheEnginesTime) {
  Make("a", "web-1");
  Start();
  engine_.list_takes = 50 * kMillisecond;
  const uint64_t lists = engine_.lists;
  for (int i = 0; i < 1000; i++) {
    Write();
    worker_.Advance(10 * kMillisecond);
  }
  EXPECT_LE(engine_.lists - lists, 18u) << "in 10 s, of 50 ms and a pause of 500 each";
  EXPECT_GE(engine_.lists - lists, 10u);
}

TEST_F(EngineWatcherTest, CountsHowLongAnEventTakesToBecomeARow) {
  Make("a", "web-1");
  engine_.SetClock(worker_.clock);
  DurationHistogram lag;
  watcher_.ObserveLag(lag);
  Start();
  auto counted = [&] {
    uint64_t all = 0;
    for (int i = 0; i <= DurationHistogram::kBuckets; i++) all += lag.bucket(i);
    return all;
  };
  EXPECT_EQ(counted(), 0u) << "a list is no event";
  engine_.SetSlow("a", 300 * kMillisecond);
  engine_.container("a").name = "web-2";
  engine_.Emit("container", "rename", "a", {});
  worker_.Advance(kSecond);
  EXPECT_EQ(counted(), 1u);
  EXPECT_GE(lag.sum_ns(), static_cast<uint64_t>(300 * kMillisecond));
}

}  // namespace
}  // namespace fairlead::runtime
