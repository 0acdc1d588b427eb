// Contract of Proactor with the tasks on top: cancellation, deadlines, races (docs/decisions/0001-cancellation.md).
#pragma once

#include "base/io/contract_streams.h"

namespace fairlead::io {

TEST_P(ProactorContract, CancelledReceiveLosesNoByte) {
  Pair pair = Connected();
  IoResult result = Pending();
  TaskGroup reading;
  reading.Spawn(ReceiveOnce(pair.server, &result));
  proactor().Turn(0);
  reading.Drain(proactor());
  EXPECT_EQ(result, IoResult::Error(ECANCELED));
  std::string received;
  Run(SendAll(pair.client, "kept"));
  Run(ReceiveInto(pair.server, 4, &received));
  EXPECT_EQ(received, "kept");
}

TEST_P(ProactorContract, CancelledSendEndsAndItsMemoryIsFree) {
  Pair pair = Connected();
  const auto block = std::make_unique<std::string>(24 << 20, 'x');  // more than both sides buffer
  IoResult result = Pending();
  TaskGroup sending;
  sending.Spawn(SendAll(pair.client, *block, &result));
  for (int i = 0; i < 50; i++) proactor().Turn(kMillisecond);
  EXPECT_EQ(result, Pending());
  sending.Drain(proactor());
  EXPECT_EQ(result, IoResult::Error(ECANCELED));
}

TEST_P(ProactorContract, CancelledConnectEndsAndKeepsItsSuccess) {
  Listener listener = OpenListener();
  StatusOr<int> fd = proactor().OpenStream(AF_INET);
  ASSERT_TRUE(fd.ok());
  IoResult result = Pending();
  TaskGroup dialing;
  dialing.Spawn([](Proactor& p, int descriptor, SocketAddress to, IoResult* out) -> Task<void> {
    *out = co_await ConnectOperation(p, descriptor, to);
  }(proactor(), *fd, listener.address(), &result));
  dialing.Drain(proactor());
  EXPECT_TRUE(result.ok() || result == IoResult::Error(ECANCELED)) << result.value();
  proactor().Close(*fd);
}

TEST_P(ProactorContract, CancelledSleepEndsAtOnce) {
  IoResult result = Pending();
  TaskGroup sleeping;
  Nanos before = proactor().Now();
  sleeping.Spawn(SleepFor(proactor(), kHour, &result));
  sleeping.Drain(proactor());
  EXPECT_EQ(result, IoResult::Error(ECANCELED));
  EXPECT_LT(proactor().Now() - before, kHour);
}

TEST_P(ProactorContract, CancelResumesNobodyOnTheCallersStack) {
  Pair pair = Connected();
  IoResult slept = Pending(), received = Pending();
  TaskGroup waiting;
  waiting.Spawn(SleepFor(proactor(), kHour, &slept));
  waiting.Spawn(ReceiveOnce(pair.server, &received));
  waiting.Cancel();
  EXPECT_EQ(slept, Pending());
  EXPECT_EQ(received, Pending());
  waiting.Drain(proactor());
  EXPECT_EQ(slept, IoResult::Error(ECANCELED));
  EXPECT_EQ(received, IoResult::Error(ECANCELED));
}

TEST_P(ProactorContract, AwaitInACancelledScopeEndsAtOnceAndSubmitsNothing) {
  Pair pair = Connected();
  std::vector<IoResult> results;
  TaskGroup waiting;
  waiting.Spawn([](Proactor& p, Stream& stream, std::vector<IoResult>* all) -> Task<void> {
    all->push_back(co_await Sleep(p, kHour));
    uint64_t submitted = p.stats.submissions;
    all->push_back(co_await stream.Send("never"));
    all->push_back(co_await stream.Receive());
    all->push_back(co_await Sleep(p, kHour));
    EXPECT_EQ(p.stats.submissions, submitted);
  }(proactor(), pair.client, &results));
  waiting.Drain(proactor());
  EXPECT_EQ(results, std::vector<IoResult>(4, IoResult::Error(ECANCELED)));
}

// Whichever comes first, the result tells the truth of the bytes.
TEST_P(ProactorContract, SendThatMeetsItsCancelTellsWhatWasSent) {
  Pair pair = Connected();
  IoResult result = Pending();
  TaskGroup sending;
  sending.Spawn(SendAll(pair.client, "small", &result));
  sending.Drain(proactor());
  std::string received;
  pair.client.ShutdownWrite();
  Run(ReceiveInto(pair.server, 100, &received));
  EXPECT_TRUE(result.ok() || result == IoResult::Error(ECANCELED)) << result.value();
  EXPECT_EQ(received, result.ok() ? "small" : "");
}

TEST_P(ProactorContract, CancelAfterTheTimerFiredIsTooLate) {
  struct CancelTimer final : Timer {
    explicit CancelTimer(TaskGroup& g) : target(g) {}
    void OnTimer() override { target.Cancel(); }
    TaskGroup& target;
  };
  IoResult result = Pending();
  TaskGroup sleeping;
  CancelTimer cancel(sleeping);
  sleeping.Spawn(SleepFor(proactor(), 3 * kMillisecond, &result));
  proactor().timers().Add(cancel, proactor().Now() + 3 * kMillisecond);  // fires behind the sleep, before it resumes
  ASSERT_TRUE(Until([&] { return sleeping.cancelled() && sleeping.live() == 0; }));
  EXPECT_EQ(result, IoResult::Ok());
}

TEST_P(ProactorContract, SocketDeadlineEndsAWaitAndKeepsTheConnection) {
  Pair pair = Connected();
  IoResult result = Pending();
  Nanos deadline = proactor().Now() + 20 * kMillisecond;
  pair.server.SetDeadline(deadline);
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_TRUE(result.timed_out());
  EXPECT_GE(proactor().Now(), deadline);
  pair.server.SetDeadline(kNever);
  std::string received;
  Run(SendAll(pair.client, "after"));
  Run(ReceiveInto(pair.server, 5, &received));
  EXPECT_EQ(received, "after");
}

TEST_P(ProactorContract, SocketDeadlineMayMoveBothWays) {
  Pair pair = Connected();
  IoResult result = Pending();
  Nanos start = proactor().Now();
  pair.server.SetDeadline(start + 10 * kMillisecond);
  group().Spawn(ReceiveOnce(pair.server, &result));
  pair.server.SetDeadline(start + kHour);
  Pass(40 * kMillisecond);
  EXPECT_EQ(result, Pending());
  pair.server.SetDeadline(proactor().Now() + 10 * kMillisecond);
  EXPECT_TRUE(Until([&] { return result != Pending(); }));
  EXPECT_TRUE(result.timed_out());
  EXPECT_LT(proactor().Now() - start, kHour);
}

TEST_P(ProactorContract, SocketDeadlineThatPassedUnawaitedFailsTheNextWait) {
  Pair pair = Connected();
  pair.server.SetDeadline(proactor().Now() + 5 * kMillisecond);
  Pass(30 * kMillisecond);
  IoResult result = Pending();
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_TRUE(result.timed_out());
}

TEST_P(ProactorContract, DataThatIsThereBeatsAPassedDeadline) {
  Pair pair = Connected();
  Run(SendAll(pair.client, "there"));
  pair.server.socket()->Arm();
  ASSERT_TRUE(Until([&] { return pair.server.socket()->has_input(); }));
  pair.server.SetDeadline(proactor().Now() - 1);
  std::string received;
  Run(ReceiveInto(pair.server, 5, &received));
  EXPECT_EQ(received, "there");
}

TEST_P(ProactorContract, WithDeadlineEndsWhatTakesTooLong) {
  IoResult result = Pending();
  Nanos deadline = proactor().Now() + 10 * kMillisecond;
  Run([](Proactor& p, Nanos until, IoResult* out) -> Task<void> {
    *out = co_await WithDeadline<IoResult>(p, until, [](Proactor& q) -> Task<IoResult> {
      co_return co_await Sleep(q, kHour);
    }(p));
  }(proactor(), deadline, &result));
  EXPECT_TRUE(result.timed_out());
  EXPECT_GE(proactor().Now(), deadline);
}

TEST_P(ProactorContract, WhileActiveEndsWhatHasBeenSilentForTooLong) {
  IoResult result = Pending();
  Nanos last_activity = proactor().Now(), moved_on = 0;
  group().Spawn([](Proactor& p, Nanos* last, Nanos* moved, IoResult* out) -> Task<void> {
    *out = co_await WhileActive<IoResult>(p, 40 * kMillisecond, *last, [](Proactor& q, Nanos* at, Nanos* noted) -> Task<IoResult> {
      (void)co_await Sleep(q, 20 * kMillisecond);
      *at = *noted = q.Now();
      co_return co_await Sleep(q, kHour);
    }(p, last, moved));
  }(proactor(), &last_activity, &moved_on, &result));
  ASSERT_TRUE(Until([&] { return result != Pending(); }));
  EXPECT_TRUE(result.timed_out());
  EXPECT_GE(proactor().Now() - moved_on, 40 * kMillisecond);
}

TEST_P(ProactorContract, WithDeadlineKeepsAResultThatCameInSpiteOfIt) {
  int value = 0;
  Run([](Proactor& p, int* out) -> Task<void> {
    *out = co_await WithDeadline<int>(p, p.Now() + 5 * kMillisecond, [](Proactor& q) -> Task<int> {
      IoResult slept = co_await Sleep(q, kHour);  // is cancelled; what the task makes of it is its own
      co_return slept.timed_out() ? 42 : 0;
    }(p));
  }(proactor(), &value));
  EXPECT_EQ(value, 42);
}

TEST_P(ProactorContract, OuterScopeLivesOnAfterAnInnerDeadline) {
  Pair pair = Connected();
  std::string received;
  group().Spawn([](Proactor& p, Stream& stream) -> Task<void> {
    (void)co_await WithDeadline<IoResult>(p, p.Now() + 5 * kMillisecond, [](Stream& s) -> Task<IoResult> {
      co_return co_await s.Receive();
    }(stream));
    EXPECT_TRUE((co_await stream.Send("504")).ok());
  }(proactor(), pair.server));
  Run(ReceiveInto(pair.client, 3, &received));
  EXPECT_EQ(received, "504");
}

TEST_P(ProactorContract, RaceGivesBothResults) {
  int winner = -1;
  IoResult slow = Pending();
  Run([](Proactor& p, int* first, IoResult* loser) -> Task<void> {
    auto nap = [](Proactor& q, Nanos duration) -> Task<IoResult> { co_return co_await Sleep(q, duration); };
    auto result = co_await Race<IoResult, IoResult>(nap(p, kHour), nap(p, kMillisecond));
    *first = result.winner;
    *loser = *result.a;
  }(proactor(), &winner, &slow));
  EXPECT_EQ(winner, 1);
  EXPECT_EQ(slow, IoResult::Error(ECANCELED));
}

TEST_P(ProactorContract, RaceDoesNotStartTheSecondWhenTheFirstEndsAtOnce) {
  bool second_started = false;
  int winner = -1;
  Run([](bool* started, int* first) -> Task<void> {
    auto now = []() -> Task<int> { co_return 1; };
    auto never = [](bool* s) -> Task<int> {
      *s = true;
      co_return 2;
    };
    auto result = co_await Race<int, int>(now(), never(started));
    *first = result.winner;
    EXPECT_EQ(result.a, 1);
    EXPECT_FALSE(result.b.has_value());
  }(&second_started, &winner));
  EXPECT_EQ(winner, 0);
  EXPECT_FALSE(second_started);
}

// The loser may have received something in the very turn in which it lost: its value says so, and no byte is lost.
TEST_P(ProactorContract, RaceLoserKeepsItsData) {
  Pair pair = Connected();
  Pair gate = Connected();
  std::string from_race, rest;
  group().Spawn([](Stream& trigger, Stream& data, std::string* out) -> Task<void> {
    auto wait = [](Stream& s) -> Task<IoResult> { co_return co_await s.Receive(); };
    auto read = [](Stream& s, std::string* into) -> Task<IoResult> {
      IoResult got = co_await s.Receive();
      if (got.ok() && !got.is_end()) into->append(s.Take().view());
      co_return got;
    };
    auto result = co_await Race<IoResult, IoResult>(wait(trigger), read(data, out));
    if (result.b->ok()) EXPECT_EQ(*out, "data");
    if (!result.b->ok()) EXPECT_EQ(*out, "");
  }(gate.server, pair.server, &from_race));
  proactor().Turn(0);
  group().Spawn(SendAll(gate.client, "go"));
  group().Spawn(SendAll(pair.client, "data"));
  ASSERT_TRUE(Until([this] { return group().live() == 0; }));
  if (from_race.empty()) Run(ReceiveInto(pair.server, 4, &rest));
  EXPECT_EQ(from_race + rest, "data");
}

TEST_P(ProactorContract, RaceLoserThatHadItsDataGivesIt) {
  Pair pair = Connected();
  std::string kept;
  group().Spawn([](Proactor& p, Stream& data, std::string* out) -> Task<void> {
    auto read_then_wait = [](Proactor& q, Stream& s) -> Task<std::string> {
      std::string taken;
      if ((co_await s.Receive()).ok()) taken = s.Take().view();
      EXPECT_EQ((co_await Sleep(q, kHour)).error(), ECANCELED);
      co_return taken;
    };
    auto nap = [](Proactor& q) -> Task<IoResult> { co_return co_await Sleep(q, 30 * kMillisecond); };
    auto result = co_await Race<IoResult, std::string>(nap(p), read_then_wait(p, data));
    EXPECT_EQ(result.winner, 0);
    *out = *result.b;
  }(proactor(), pair.server, &kept));
  Run(SendAll(pair.client, "data"));
  EXPECT_EQ(kept, "data");
}

TEST_P(ProactorContract, CancelReachesThroughRaceDeadlineAndGroup) {
  IoResult a = Pending(), b = Pending(), c = Pending();
  TaskGroup outer;
  outer.Spawn([](Proactor& p, IoResult* x, IoResult* y, IoResult* z) -> Task<void> {
    auto nap = [](Proactor& q) -> Task<IoResult> { co_return co_await Sleep(q, kHour); };
    auto result = co_await Race<IoResult, IoResult>(
        [](Proactor& q, Task<IoResult> inner) -> Task<IoResult> {
          co_return co_await WithDeadline<IoResult>(q, q.Now() + 2 * kHour, std::move(inner));
        }(p, nap(p)),
        nap(p));
    *x = *result.a;
    *y = *result.b;
    *z = co_await Sleep(p, kHour);
  }(proactor(), &a, &b, &c));
  proactor().Turn(0);
  outer.Drain(proactor());
  for (IoResult r : {a, b, c}) EXPECT_EQ(r, IoResult::Error(ECANCELED));
}

TEST_P(ProactorContract, FirstReasonOfACancelWins) {
  IoResult result = Pending();
  TaskGroup sleeping;
  sleeping.Spawn(SleepFor(proactor(), kHour, &result));
  sleeping.Cancel(ETIMEDOUT);
  sleeping.Cancel(ECANCELED);
  sleeping.Drain(proactor());
  EXPECT_EQ(result, IoResult::Error(ETIMEDOUT));
}

TEST_P(ProactorContract, GroupJoinWaitsForAllAndCancelledGroupStartsNone) {
  int ended = 0;
  bool started = false;
  Run([](Proactor& p, int* count, bool* late) -> Task<void> {
    TaskGroup children;
    for (int i = 0; i < 3; i++)
      children.Spawn([](Proactor& q, Nanos duration, int* n) -> Task<void> {
        (void)co_await Sleep(q, duration);
        ++*n;
      }(p, i * 5 * kMillisecond, count));
    co_await children.Join();
    EXPECT_EQ(*count, 3);
    for (int i = 0; i < 3; i++)
      children.Spawn([](Proactor& q, int* n) -> Task<void> {
        (void)co_await Sleep(q, kHour);
        ++*n;
      }(p, count));
    co_await children.CancelAndJoin();
    EXPECT_EQ(*count, 6);
    children.Spawn([](bool* s) -> Task<void> {
      *s = true;
      co_return;
    }(late));
  }(proactor(), &ended, &started));
  EXPECT_EQ(ended, 6);
  EXPECT_FALSE(started);
}

TEST_P(ProactorContract, PausedReceiveGoesOnWhereItStopped) {
  Pair pair = Connected();
  const std::string sent = Pattern(2 << 20);
  std::string received;
  group().Spawn(SendAll(pair.client, sent));
  // Reads in bursts, with waits that are cancelled in between: pause and resume meet in every way.
  group().Spawn([](Proactor& p, Stream& stream, size_t bytes, std::string* out) -> Task<void> {
    for (int i = 0; out->size() < bytes; i++) {
      if (i % 97 == 0) (void)co_await Sleep(p, kMillisecond);
      IoResult got = co_await WithDeadline<IoResult>(p, p.Now() + (i % 3) * 5 * kMillisecond,
                                                     [](Stream& s) -> Task<IoResult> {
                                                       co_return co_await s.Receive();
                                                     }(stream));
      if (got.timed_out()) continue;
      if (!got.ok() || got.is_end()) co_return;
      out->append(stream.Take().view());
    }
  }(proactor(), pair.server, sent.size(), &received));
  ASSERT_TRUE(Until([this] { return group().live() == 0; }));
  EXPECT_TRUE(received == sent);
}

}  // namespace fairlead::io
