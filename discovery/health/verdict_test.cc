#include "discovery/health/verdict.h"

#include <gtest/gtest.h>

namespace fairlead::health {
namespace {

using discovery::CheckKind;
using discovery::HealthCheck;
using discovery::HealthState;

const ProbeOutcome kGood{};
const ProbeOutcome kBad{Answer::kBad, "HTTP 500"};
const ProbeOutcome kRefused{Answer::kRefused, "connection refused"};
const ProbeOutcome kSilent{Answer::kSilent, "no answer"};

HealthCheck Http() { return {.kind = CheckKind::kHttp, .target = "/", .rise = 2, .fall = 3}; }
HealthCheck Reachable() { return {.kind = CheckKind::kReachable}; }

TEST(Verdict, TheFirstGoodAnswerIsEnough) {
  Verdict verdict(Http(), 5);
  EXPECT_EQ(verdict.health().state, HealthState::kStarting);
  EXPECT_TRUE(verdict.Count(kGood, 7));
  EXPECT_EQ(verdict.health(), (discovery::CheckedHealth{HealthState::kHealthy, false, true, true, "", 7}));
}

TEST(Verdict, FallsAfterThatManyBadAnswersInARowAndRisesAgain) {
  Verdict verdict(Http(), 0);
  verdict.Count(kGood, 1);
  EXPECT_FALSE(verdict.Count(kBad, 2));
  EXPECT_FALSE(verdict.Count(kBad, 3));
  EXPECT_FALSE(verdict.Count(kGood, 4)) << "the row of bad ones is broken";
  verdict.Count(kBad, 5);
  verdict.Count(kBad, 6);
  EXPECT_TRUE(verdict.Count(kBad, 7));
  EXPECT_EQ(verdict.health(), (discovery::CheckedHealth{HealthState::kUnhealthy, false, true, true, "HTTP 500", 7}));
  EXPECT_FALSE(verdict.Count(kGood, 8));
  EXPECT_TRUE(verdict.Count(kGood, 9));
  EXPECT_EQ(verdict.health(), (discovery::CheckedHealth{HealthState::kHealthy, false, true, true, "", 9}));
}

TEST(Verdict, WhatWasKnownStandsUntilAsManyLooksSayOtherwise) {
  const discovery::CheckedHealth healthy{.state = HealthState::kHealthy, .answered = true, .was_healthy = true, .since_wall = 3};
  Verdict verdict(Http(), 5, healthy);
  EXPECT_EQ(verdict.health(), healthy);
  EXPECT_FALSE(verdict.Count(kSilent, 6));
  EXPECT_FALSE(verdict.Count(kSilent, 7));
  EXPECT_TRUE(verdict.Count(kSilent, 8)) << "it answered before, so silence is bad";
  EXPECT_EQ(verdict.health().state, HealthState::kUnhealthy);
  EXPECT_TRUE(verdict.health().was_healthy);
}

TEST(Verdict, WhatWasNotDecidedBeginsAnew) {
  Verdict verdict(Http(), 5, {.state = HealthState::kUnknown, .reason = "no answer"});
  EXPECT_EQ(verdict.health().state, HealthState::kStarting);
  EXPECT_FALSE(verdict.health().was_healthy);
}

TEST(Verdict, SaysWhetherNothingListens) {
  Verdict verdict(Http(), 0);
  verdict.Count(kGood, 1);
  verdict.Count(kRefused, 2);
  verdict.Count(kRefused, 3);
  verdict.Count(kRefused, 4);
  EXPECT_EQ(verdict.health().state, HealthState::kUnhealthy);
  EXPECT_TRUE(verdict.health().refused);
  EXPECT_TRUE(verdict.Count(kBad, 5)) << "it listens now, and is ill: another reason is news";
  EXPECT_FALSE(verdict.health().refused);
  EXPECT_EQ(verdict.health().since_wall, 4);
}

TEST(Verdict, SilenceBeforeAnyAnswerMeansUnknown) {
  Verdict verdict(Http(), 0);
  verdict.Count(kSilent, 1);
  verdict.Count(kSilent, 2);
  EXPECT_EQ(verdict.health().state, HealthState::kStarting);
  EXPECT_TRUE(verdict.Count(kSilent, 3));
  EXPECT_EQ(verdict.health().state, HealthState::kUnknown);
  EXPECT_TRUE(verdict.Count(kGood, 4));
  EXPECT_EQ(verdict.health().state, HealthState::kHealthy);
}

TEST(Verdict, SilenceAfterAnAnswerIsBad) {
  Verdict verdict(Http(), 0);
  verdict.Count(kGood, 1);
  for (Nanos now = 2; now <= 4; now++) verdict.Count(kSilent, now);
  EXPECT_EQ(verdict.health().state, HealthState::kUnhealthy);
}

TEST(Verdict, WithoutACheckItWaitsForTheFirstAnswerAndThenLooksNoMore) {
  Verdict verdict(Reachable(), 0);
  for (Nanos now = 1; now <= 100; now++) verdict.Count(kRefused, now);
  EXPECT_EQ(verdict.health().state, HealthState::kStarting) << "nobody said by when";
  EXPECT_EQ(verdict.health().reason, "connection refused");
  verdict.Count(kGood, 101);
  EXPECT_EQ(verdict.health().state, HealthState::kHealthy);
  EXPECT_EQ(verdict.NextPause(), kNever);
}

TEST(Verdict, PausesGrowWhileItStarts) {
  Verdict verdict(Reachable(), 0);
  Nanos before = 0;
  for (int i = 0; i < 20; i++) {
    verdict.Count(kRefused, i);
    EXPECT_GE(verdict.NextPause(), before);
    before = verdict.NextPause();
  }
  EXPECT_EQ(before, Verdict::kLongestStartPause);
}

TEST(Verdict, NonsenseFromTheWireIsBroughtWithinLimits) {
  HealthCheck check = Http();
  check.interval = -5;
  check.rise = check.fall = 0;
  Verdict verdict(check, 0);
  verdict.Count(kGood, 1);
  EXPECT_EQ(verdict.NextPause(), Verdict::kMinInterval);
  EXPECT_TRUE(verdict.Count(kBad, 2));
  EXPECT_EQ(verdict.health().state, HealthState::kUnhealthy);
}

}  // namespace
}  // namespace fairlead::health
