#include "discovery/fail_open.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/strings.h"
#include "discovery/test_rows.h"

namespace fairlead::discovery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

EndpointRow Checked(const std::string& id, CheckedHealth health) {
  EndpointRow row = Endpoint(id);
  row.services[0].check = {.kind = CheckKind::kHttp, .target = "/"};
  row.services[0].health = std::move(health);
  return row;
}
CheckedHealth Healthy() { return {.state = HealthState::kHealthy, .answered = true, .was_healthy = true}; }
CheckedHealth Failed(Nanos since) {
  return {.state = HealthState::kUnhealthy, .answered = true, .was_healthy = true, .reason = "HTTP 500", .since_wall = since};
}

// What the rows, as they last passed, let serve; and how many passed.
class Followed final : public ChangeListener {
 public:
  void OnChanges(const std::vector<Change>& changes) override {
    for (const Change& change : changes) {
      ++passed;
      if (change.row == nullptr) {
        rows_.erase(change.key);
      } else {
        rows_[change.key] = change.row;
      }
    }
  }
  std::vector<std::string> Serving() const {
    std::vector<std::string> ids;
    for (const auto& [key, row] : rows_)
      if (row->endpoint() != nullptr && row->endpoint()->ready(row->endpoint()->services[0])) ids.push_back(row->endpoint()->engine_id);
    return ids;
  }
  size_t passed = 0;

 private:
  std::map<std::string, std::shared_ptr<const Row>> rows_;
};

class FailsOpen : public testing::Test {
 protected:
  void Put(EndpointRow row) {
    auto shared = std::make_shared<Row>();
    shared->key = KeyOf(row);
    shared->node = row.node;
    shared->body = std::move(row);
    rows_.OnChanges({{shared->key, shared}});
  }
  void Put(const std::string& id, CheckedHealth health) { Put(Checked(id, std::move(health))); }
  void Remove(const std::string& id) { rows_.OnChanges({{KeyOf(Endpoint(id)), nullptr}}); }
  std::vector<std::string> Serving() const { return followed_.Serving(); }

  Followed followed_;
  FailOpenRows rows_{followed_};
};

TEST_F(FailsOpen, WhenAllFailTogetherAndClosesWithTheFirstThatRecovers) {
  Put("a", Healthy());
  Put("b", Healthy());
  Put("a", Failed(100 * kSecond));
  EXPECT_THAT(Serving(), ElementsAre("b"));
  Put("b", Failed(104 * kSecond));
  EXPECT_THAT(Serving(), ElementsAre("a", "b")) << "the check is suspect";
  Put("a", Healthy());
  EXPECT_THAT(Serving(), ElementsAre("a")) << "the check can tell again";
}

TEST_F(FailsOpen, NotWhenTheyFailedOneAfterTheOther) {
  Put("a", Failed(100 * kSecond));
  Put("b", Healthy());
  EXPECT_THAT(Serving(), ElementsAre("b"));
  Put("b", Failed(100 * kSecond + FailOpen::kTogether + 1));
  EXPECT_THAT(Serving(), IsEmpty());
}

TEST_F(FailsOpen, NotForTheOnlyOne) {
  Put("a", Healthy());
  Put("a", Failed(100 * kSecond));
  EXPECT_THAT(Serving(), IsEmpty()) << "nothing says that it is the check";
}

TEST_F(FailsOpen, SecondsAreAsLongAsTheChecksAreFarBetween) {
  for (const char* id : {"a", "b"}) {
    EndpointRow row = Checked(id, Failed(*id == 'a' ? 100 * kSecond : 150 * kSecond));
    row.services[0].check.interval = 30 * kSecond;
    Put(row);
  }
  EXPECT_THAT(Serving(), ElementsAre("a", "b"));
}

TEST_F(FailsOpen, NeverToWhatRefusesDrainsStoppedOrWasNeverHealthy) {
  Put("well", Failed(100 * kSecond));
  Put("well-too", Failed(101 * kSecond));
  CheckedHealth refuses = Failed(100 * kSecond), never = Failed(100 * kSecond);
  refuses.refused = true;
  never.was_healthy = false;
  Put("refuses", refuses);
  Put("never", never);
  Put("starts", {.state = HealthState::kStarting});
  EndpointRow drains = Checked("drains", Failed(100 * kSecond)), killed = Checked("killed", Failed(100 * kSecond));
  drains.draining = true;
  killed.state = RunState::kExited;
  Put(drains);
  Put(killed);
  EXPECT_THAT(Serving(), ElementsAre("well", "well-too"));
  Put("well", refuses);
  Put("well-too", refuses);
  EXPECT_THAT(Serving(), IsEmpty());
}

TEST_F(FailsOpen, NotWhileAnUncheckedOneServes) {
  Put("a", Failed(100 * kSecond));
  Put("b", Failed(100 * kSecond));
  EXPECT_THAT(Serving(), ElementsAre("a", "b"));
  Put(Endpoint("unchecked"));
  EXPECT_THAT(Serving(), ElementsAre("unchecked"));
  Remove("unchecked");
  EXPECT_THAT(Serving(), ElementsAre("a", "b"));
}

TEST_F(FailsOpen, OneServiceIsNothingToAnother) {
  Put("a", Failed(100 * kSecond));
  Put("b", Failed(100 * kSecond));
  EndpointRow other = Checked("c", Healthy());
  other.services[0].service = "other";
  Put(other);
  EXPECT_THAT(Serving(), ElementsAre("a", "b", "c"));
}

// Of a container that the engine looks at, alone or beside us.
EndpointRow ByEngine(const std::string& id, Nanos since, CheckedHealth ours = {}) {
  EndpointRow row = Endpoint(id);
  row.services[0].health = std::move(ours);
  row.health = HealthState::kUnhealthy;
  row.was_healthy = true;
  row.health_since_wall = since;
  row.health_interval = 30 * kSecond;
  return row;
}

TEST_F(FailsOpen, AnEnginesHealthcheckIsNoBetterThanACheckOfOurs) {
  Put(ByEngine("a", 100 * kSecond, Healthy()));
  EXPECT_THAT(Serving(), IsEmpty());
  Put(ByEngine("b", 155 * kSecond, Healthy()));
  EXPECT_THAT(Serving(), ElementsAre("a", "b")) << "within two of its intervals";
  Put(ByEngine("b", 161 * kSecond, Healthy()));
  EXPECT_THAT(Serving(), IsEmpty());
  EndpointRow well = ByEngine("b", 170 * kSecond, Healthy());
  well.health = HealthState::kHealthy;
  Put(well);
  EXPECT_THAT(Serving(), ElementsAre("b"));
}

TEST_F(FailsOpen, NotToWhatNeverPassedItsHealthcheckRefusesOrWasNotLookedAt) {
  Put(ByEngine("a", 100 * kSecond, Healthy()));
  Put(ByEngine("b", 100 * kSecond, Healthy()));
  EndpointRow never = ByEngine("never", 100 * kSecond, Healthy());
  never.was_healthy = false;
  Put(never);
  CheckedHealth refuses = Failed(100 * kSecond);
  refuses.refused = true;
  Put(ByEngine("refuses", 100 * kSecond, refuses));
  Put(ByEngine("unseen", 100 * kSecond, {.state = HealthState::kStarting}));
  EXPECT_THAT(Serving(), ElementsAre("a", "b"));
}

TEST_F(FailsOpen, WhatTheEngineAndWeCallIllFailedWithTheLaterOfBoth) {
  Put(ByEngine("a", 100 * kSecond, Failed(200 * kSecond)));
  Put(ByEngine("b", 200 * kSecond, Failed(100 * kSecond)));
  EXPECT_THAT(Serving(), ElementsAre("a", "b"));
}

TEST_F(FailsOpen, BelowAShareOfReadyOnesWhereTheServiceNamesOne) {
  auto put = [this](const std::string& id, CheckedHealth health) {
    EndpointRow row = Checked(id, std::move(health));
    row.services[0].fail_open_below = 50;
    Put(row);
  };
  put("a", Healthy());
  put("b", Healthy());
  put("c", Failed(100 * kSecond));
  put("d", Failed(100 * kSecond));
  EXPECT_THAT(Serving(), ElementsAre("a", "b")) << "half of them is not below the half";
  put("b", Failed(101 * kSecond));
  EXPECT_THAT(Serving(), ElementsAre("a", "b", "c", "d"));
  put("b", Failed(100 * kSecond + FailOpen::kTogether + 1));
  EXPECT_THAT(Serving(), ElementsAre("a")) << "one after the other: the check may be right";
  put("b", Healthy());
  EXPECT_THAT(Serving(), ElementsAre("a", "b"));
}

TEST_F(FailsOpen, TellsAgainOnlyTheRowsThatItChanges) {
  for (int i = 0; i < 100; i++) Put(Cat("well-", i), Healthy());
  Put("a", Failed(100 * kSecond));
  Put("b", Failed(100 * kSecond));
  EXPECT_EQ(followed_.passed, 102u);
  for (int i = 0; i < 100; i++) Remove(Cat("well-", i));
  EXPECT_EQ(followed_.passed, 204u) << "a hundred removals, and the two that serve by the last of them";
  EXPECT_THAT(Serving(), ElementsAre("a", "b"));
  Remove("a");
  EXPECT_THAT(Serving(), IsEmpty());
}

// Whatever comes in whatever order: what serves is what the rule says of the rows that are there.
TEST_F(FailsOpen, RandomHistoriesEndAsTheirLastRowsSay) {
  SeededRandom random(11);
  std::map<std::string, EndpointRow> now;
  for (int step = 0; step < 20'000; step++) {
    const std::string id = Cat("e", random.Below(6));
    if (random.OneIn(6)) {
      now.erase(id);
      Remove(id);
    } else {
      CheckedHealth health = random.OneIn(2) ? Healthy() : Failed(static_cast<Nanos>(random.Below(20)) * kSecond);
      health.refused = health.state == HealthState::kUnhealthy && random.OneIn(5);
      EndpointRow row = Checked(id, health);
      row.draining = random.OneIn(7);
      now[id] = row;
      Put(row);
    }
    std::vector<std::string> ready, failed;
    Nanos first = kNever, last = 0;
    for (const auto& [key, row] : now) {
      const CheckedHealth& health = row.services[0].health;
      if (row.draining) continue;
      if (health.state == HealthState::kHealthy) ready.push_back(key);
      if (health.state != HealthState::kUnhealthy || health.refused) continue;
      failed.push_back(key);
      first = std::min(first, health.since_wall);
      last = std::max(last, health.since_wall);
    }
    if (ready.empty() && failed.size() >= FailOpen::kFewest && last - first <= FailOpen::kTogether) ready = failed;
    ASSERT_EQ(Serving(), ready) << "step " << step;
  }
}

}  // namespace
}  // namespace fairlead::discovery
