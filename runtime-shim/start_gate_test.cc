// Starts in the order in which dockerd 26 and later goes through them: runtime create, RequestAddress for each pool of each
// network, runtime start.
#include "runtime-shim/start_gate.h"

#include <gtest/gtest.h>

namespace fairlead::runtime {
namespace {

constexpr Nanos kBegin = 1000 * kSecond;
using Ids = std::vector<std::string>;

AnnouncedStart Start(const std::string& id, std::vector<ExpectedRequest> requests = {{.network = "shopnet"}}) {
  return {.id = id, .asker = {.name = "web-" + id}, .requests = std::move(requests)};
}
std::string Claim(StartGate& gate, Nanos now, ExpectedRequest request = {.network = "shopnet"}) {
  auto asker = gate.Claim(request, now);
  return asker ? asker->name : "";
}

TEST(StartGate, AStartAloneAsksAtOnce) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  EXPECT_EQ(gate.Tick(kBegin), Ids{"1"});
  EXPECT_EQ(Claim(gate, kBegin + kMillisecond), "web-1");
}

TEST(StartGate, EightParallelStartsPassOneByOneAndEachGetsItsOwnName) {
  StartGate gate;
  Ids passed;
  for (int i = 1; i <= 8; i++) {
    gate.Announce(Start(Cat(i)), kBegin);
    for (const std::string& id : gate.Tick(kBegin)) passed.push_back(id);
  }
  EXPECT_EQ(passed, Ids{"1"});
  Nanos now = kBegin;
  for (int i = 1; i <= 8; i++) {
    ASSERT_EQ(passed, Ids{Cat(i)});
    now += 3 * kMillisecond;
    EXPECT_EQ(Claim(gate, now), Cat("web-", i));
    passed = gate.Tick(now);  // the next one goes as soon as this one has asked
  }
  EXPECT_TRUE(passed.empty());
  EXPECT_EQ(gate.stats().certain, 8u);
  EXPECT_EQ(gate.stats().late, 0u);
}

TEST(StartGate, AnAnnouncedStartThatNeverAsksHoldsTheOthersFor50Milliseconds) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Announce(Start("2"), kBegin);
  EXPECT_EQ(gate.Tick(kBegin), Ids{"1"});
  EXPECT_EQ(gate.NextTick(), kBegin + kGateHold);
  EXPECT_TRUE(gate.Tick(kBegin + kGateHold - 1).empty());
  EXPECT_EQ(gate.Tick(kBegin + kGateHold), Ids{"2"});
}

TEST(StartGate, WhileALateStartMayStillAskNobodyIsTakenForAnother) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Announce(Start("2"), kBegin);
  gate.Tick(kBegin);
  gate.Tick(kBegin + kGateHold);
  EXPECT_EQ(Claim(gate, kBegin + kGateHold), "");
  EXPECT_EQ(gate.stats().ambiguous, 1u);
}

TEST(StartGate, ALateStartIsKnownWhereNobodyElseCouldAsk) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Tick(kBegin);
  gate.Tick(kBegin + kGateHold);
  EXPECT_EQ(Claim(gate, kBegin + kSecond), "web-1");
  EXPECT_EQ(Claim(gate, kBegin + kSecond), "") << "it had one request only";
}

TEST(StartGate, ADeathInBetweenLetsTheNextOnePassAndLeavesNoDoubt) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Announce(Start("2"), kBegin);
  EXPECT_EQ(gate.Tick(kBegin), Ids{"1"});
  gate.Ended("1");
  EXPECT_EQ(gate.Tick(kBegin + kMillisecond), Ids{"2"});
  EXPECT_EQ(Claim(gate, kBegin + 2 * kMillisecond), "web-2");
}

TEST(StartGate, TheDeathOfOneThatWaitsLetsItsRuntimeGoOn) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Announce(Start("2"), kBegin);
  gate.Tick(kBegin);
  gate.Ended("2");
  EXPECT_EQ(gate.Tick(kBegin), Ids{"2"});
  EXPECT_EQ(gate.waiting(), 0u);
}

TEST(StartGate, TwoNetworksAndBothFamiliesAreOneTurn) {
  StartGate gate;
  gate.Announce(Start("1", {{.network = "shopnet"}, {.network = "shopnet", .v6 = true}, {.network = "back"}}), kBegin);
  gate.Announce(Start("2"), kBegin);
  EXPECT_EQ(gate.Tick(kBegin), Ids{"1"});
  EXPECT_EQ(Claim(gate, kBegin + 1, {.network = "shopnet"}), "web-1");
  EXPECT_EQ(Claim(gate, kBegin + 2, {.network = "shopnet", .v6 = true}), "web-1");
  EXPECT_TRUE(gate.Tick(kBegin + 2).empty());
  EXPECT_EQ(Claim(gate, kBegin + 3, {.network = "back"}), "web-1");
  EXPECT_EQ(gate.Tick(kBegin + 3), Ids{"2"});
}

TEST(StartGate, ARequestOnANetworkOfNobodyAnnouncedIsNobodys) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Tick(kBegin);
  EXPECT_EQ(Claim(gate, kBegin, {.network = "other"}), "");
  EXPECT_EQ(Claim(gate, kBegin, {.network = "shopnet", .wanted = *IpAddress::Parse("10.50.0.7")}), "");
}

TEST(StartGate, ASecondTryOfAContainerReplacesItsFirst) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Tick(kBegin);
  gate.Tick(kBegin + kGateHold);  // the first never asked
  gate.Announce(Start("1"), kBegin + kSecond);
  EXPECT_EQ(gate.Tick(kBegin + kSecond), Ids{"1"});
  EXPECT_EQ(Claim(gate, kBegin + kSecond), "web-1");
}

TEST(StartGate, BeyondTheQueuesLimitStartsPassWithoutATurn) {
  StartGate gate;
  gate.Announce(Start("first"), kBegin);
  gate.Tick(kBegin);
  for (size_t i = 0; i < kGateQueue; i++) gate.Announce(Start(Cat(i)), kBegin);
  EXPECT_TRUE(gate.Tick(kBegin).empty());
  gate.Announce(Start("one more"), kBegin);
  EXPECT_EQ(gate.Tick(kBegin), Ids{"one more"});
  EXPECT_EQ(gate.stats().overflows, 1u);
}

TEST(StartGate, WhoWaitedTooLongPassesAnyway) {
  StartGate gate;
  gate.Announce(Start("1"), kBegin);
  gate.Announce(Start("2"), kBegin);
  gate.Tick(kBegin);
  gate.PassAnyway("2", kBegin + 1);
  EXPECT_EQ(gate.Tick(kBegin + 1), Ids{"2"});
  EXPECT_EQ(Claim(gate, kBegin + 2), "") << "it may be either's";
}

}  // namespace
}  // namespace fairlead::runtime
