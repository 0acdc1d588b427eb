#include "base/io/timer.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/random.h"

namespace fairlead::io {
namespace {

constexpr Nanos kTick = Nanos{1} << 22;

class Probe final : public Timer {
 public:
  explicit Probe(const Nanos& now) : now_(now) {}
  void OnTimer() override {
    fired_at = now_;
    ++fired;
  }
  int fired = 0;
  Nanos fired_at = 0;

 private:
  const Nanos& now_;
};

struct Wheel {
  Nanos now = 7 * kSecond;
  TimerWheel wheel{now};
  void AdvanceTo(Nanos to) {
    now = to;
    wheel.Advance(now);
  }
};

TEST(TimerWheel, FiresAtItsTimeOrTwoTicksLateAndNeverEarly) {
  for (Nanos delay : {Nanos{0}, kMillisecond, kTick, 63 * kTick, 64 * kTick, 65 * kTick, kSecond, 5 * kMinute, kHour}) {
    Wheel w;
    Probe probe(w.now);
    Nanos due = w.now + delay;
    w.wheel.Add(probe, due);
    w.AdvanceTo(due - 1);
    EXPECT_EQ(probe.fired, 0) << delay;
    w.AdvanceTo(due + 2 * kTick);
    EXPECT_EQ(probe.fired, 1) << delay;
  }
}

TEST(TimerWheel, LosesNothingOverALongJump) {
  Wheel w;
  std::vector<std::unique_ptr<Probe>> probes;
  for (int i = 0; i < 500; i++) {
    probes.push_back(std::make_unique<Probe>(w.now));
    w.wheel.Add(*probes.back(), w.now + i * 977 * kMillisecond);
  }
  w.AdvanceTo(w.now + 20 * kHour);
  for (auto& probe : probes) EXPECT_EQ(probe->fired, 1);
  EXPECT_EQ(w.wheel.count(), 0);
}

TEST(TimerWheel, FiresBeyondItsHorizonOfNineteenHours) {
  Wheel w;
  Probe probe(w.now);
  Nanos due = w.now + 100 * kHour;
  w.wheel.Add(probe, due);
  while (w.now < due - kHour) {
    w.AdvanceTo(w.now + kHour);
    EXPECT_EQ(probe.fired, 0);
  }
  w.AdvanceTo(due + 2 * kTick);
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, RemovedTimerDoesNotFire) {
  Wheel w;
  Probe probe(w.now);
  w.wheel.Add(probe, w.now + kSecond);
  w.wheel.Remove(probe);
  w.wheel.Remove(probe);
  EXPECT_EQ(w.wheel.count(), 0);
  w.AdvanceTo(w.now + kMinute);
  EXPECT_EQ(probe.fired, 0);
}

TEST(TimerWheel, TimeOfThePastFiresAtTheNextTick) {
  Wheel w;
  Probe probe(w.now);
  w.wheel.Add(probe, w.now - kHour);
  w.AdvanceTo(w.now + kTick);
  EXPECT_EQ(probe.fired, 1);
}

TEST(TimerWheel, TimerMayAddItselfWhileItFires) {
  struct Again final : Timer {
    explicit Again(Wheel& w) : owner(w) {}
    void OnTimer() override {
      if (++fired < 5) owner.wheel.Add(*this, owner.now);
    }
    Wheel& owner;
    int fired = 0;
  };
  Wheel w;
  Again again(w);
  w.wheel.Add(again, w.now);
  for (int i = 0; i < 5; i++) {
    w.AdvanceTo(w.now + kTick);
    EXPECT_EQ(again.fired, i + 1);  // a tick each: it does not fire for ever in one
  }
  EXPECT_EQ(w.wheel.count(), 0);
}

TEST(TimerWheel, TimerMayRemoveAnotherOfItsTick) {
  struct Killer final : Timer {
    Killer(TimerWheel& w, Timer& v) : wheel(w), victim(v) {}
    void OnTimer() override { wheel.Remove(victim); }
    TimerWheel& wheel;
    Timer& victim;
  };
  Wheel w;
  Probe victim(w.now), other(w.now);
  Killer killer(w.wheel, victim);
  for (Timer* timer : {static_cast<Timer*>(&killer), static_cast<Timer*>(&victim), static_cast<Timer*>(&other)})
    w.wheel.Add(*timer, w.now + kSecond);
  w.AdvanceTo(w.now + 2 * kSecond);
  EXPECT_EQ(victim.fired, 0);
  EXPECT_EQ(other.fired, 1);
  EXPECT_EQ(w.wheel.count(), 0);
}

TEST(TimerWheel, WaitsForNothingWhenEmpty) {
  Wheel w;
  EXPECT_EQ(w.wheel.WaitFor(w.now), kNever);
}

// Whoever waits as long as told and then advances fires everything in time, in few wakeups.
TEST(TimerWheel, WaitReachesEveryTimerInFewSteps) {
  for (Nanos delay : {kMillisecond, 100 * kMillisecond, kSecond, kMinute}) {
    Wheel w;
    Probe probe(w.now);
    Nanos due = w.now + delay;
    w.wheel.Add(probe, due);
    int steps = 0;
    for (; probe.fired == 0 && steps < 1000; steps++) {
      Nanos wait = w.wheel.WaitFor(w.now);
      ASSERT_GE(wait, 0);
      w.AdvanceTo(w.now + wait);
    }
    EXPECT_EQ(probe.fired, 1);
    EXPECT_GE(probe.fired_at, due);
    EXPECT_LE(probe.fired_at, due + 2 * kTick);
    EXPECT_LE(steps, delay / (64 * kTick) + 3);
  }
}

TEST(TimerWheel, AgreesWithAModelUnderRandomUse) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    SeededRandom random(seed);
    Wheel w;
    std::vector<std::unique_ptr<Probe>> probes;
    std::vector<Nanos> due(64, kNever);  // kNever: not linked
    for (size_t i = 0; i < due.size(); i++) probes.push_back(std::make_unique<Probe>(w.now));
    const Nanos scales[] = {kMillisecond, 100 * kMillisecond, 10 * kSecond, kHour, 30 * kHour};
    auto some = [&] { return static_cast<Nanos>(random.Below(static_cast<uint64_t>(scales[random.Below(5)]))); };
    for (int step = 0; step < 200; step++) {
      size_t i = random.Below(due.size());
      switch (random.Below(3)) {
        case 0:
          w.wheel.Remove(*probes[i]);
          due[i] = w.now + some();
          w.wheel.Add(*probes[i], due[i]);
          break;
        case 1:
          w.wheel.Remove(*probes[i]);
          due[i] = kNever;
          break;
        case 2:
          w.AdvanceTo(w.now + some());
          for (size_t k = 0; k < due.size(); k++) {
            if (probes[k]->fired != 0) {
              ASSERT_NE(due[k], kNever) << "seed " << seed;
              ASSERT_LE(due[k], w.now) << "early, seed " << seed;
              due[k] = kNever;
              probes[k]->fired = 0;
            }
            ASSERT_TRUE(due[k] == kNever || due[k] + 2 * kTick > w.now) << "late, seed " << seed;
          }
          break;
      }
    }
    for (auto& probe : probes) w.wheel.Remove(*probe);
    ASSERT_EQ(w.wheel.count(), 0);
  }
}

}  // namespace
}  // namespace fairlead::io
