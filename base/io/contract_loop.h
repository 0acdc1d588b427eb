// Contract of Proactor: posts, timers and the turn.
#pragma once

#include "base/io/contract_fixture.h"

namespace fairlead::io {

struct Note final : Posted {
  Note(std::vector<int>& log_, int number_) : log(log_), number(number_) {}
  void Run() override { log.push_back(number); }
  std::vector<int>& log;
  int number;
};

TEST_P(ProactorContract, PostsRunInOrder) {
  std::vector<int> log;
  Note a(log, 1), b(log, 2), c(log, 3);
  for (Note* note : {&a, &b, &c}) proactor().Post(*note);
  EXPECT_TRUE(log.empty());
  proactor().Turn(kSecond);
  EXPECT_EQ(log, (std::vector{1, 2, 3}));
}

TEST_P(ProactorContract, PostsFromOutsideRunInOrderAndWakeTheLoop) {
  std::vector<int> log;
  Note a(log, 1), b(log, 2), c(log, 3);
  proactor().PostFromAnyThread(a);
  proactor().PostFromAnyThread(b);
  ASSERT_TRUE(Until([&] { return log.size() == 2; }));
  proactor().PostFromAnyThread(c);
  ASSERT_TRUE(Until([&] { return log.size() == 3; }));
  EXPECT_EQ(log, (std::vector{1, 2, 3}));
}

TEST_P(ProactorContract, PostThatPostsItselfDoesNotHoldTheLoop) {
  struct Again final : Posted {
    explicit Again(Proactor& p) : proactor(p) {}
    void Run() override {
      if (++runs < 1000) proactor.Post(*this);
    }
    Proactor& proactor;
    int runs = 0;
  } again(proactor());
  proactor().Post(again);
  proactor().Turn(0);
  EXPECT_LT(again.runs, 1000);
  EXPECT_TRUE(Until([&] { return again.runs == 1000; }));
}

TEST_P(ProactorContract, SleepIsNeverShort) {
  for (Nanos duration : {Nanos{0}, kMillisecond, 7 * kMillisecond, 33 * kMillisecond}) {
    Nanos before = proactor().clock().Now();
    IoResult result = Pending();
    Run(SleepFor(proactor(), duration, &result));
    EXPECT_EQ(result, IoResult::Ok());
    EXPECT_GE(proactor().Now() - before, duration);
  }
}

TEST_P(ProactorContract, SleepersWakeInOrderOfTheirTime) {
  std::vector<int> log;
  for (int i : {3, 1, 2}) {
    group().Spawn([](Proactor& p, int number, std::vector<int>* all) -> Task<void> {
      (void)co_await Sleep(p, number * 20 * kMillisecond);
      all->push_back(number);
    }(proactor(), i, &log));
  }
  ASSERT_TRUE(Until([&] { return log.size() == 3; }));
  EXPECT_EQ(log, (std::vector{1, 2, 3}));
}

TEST_P(ProactorContract, TurnWithoutWorkEndsWithItsWait) {
  Nanos until = proactor().Now() + 20 * kMillisecond;
  int turns = 0;
  while (proactor().Now() < until && turns < 1000) {
    proactor().Turn(10 * kMillisecond);
    ++turns;
  }
  EXPECT_LT(turns, 1000);  // it waits and does not spin
}

}  // namespace fairlead::io
