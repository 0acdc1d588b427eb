// Contract of Proactor: bytes from stream to stream inside the kernel.
#pragma once

#include "base/io/contract_streams.h"
#include "base/io/splice.h"

namespace fairlead::io {

// Everything `from` brings goes to `to`; gives 0 at its end, or the error of either.
inline Task<void> SpliceAll(Proactor& proactor, int from, int to, IoResult* end) {
  CHECK(proactor.PrepareSplice(from) && proactor.PrepareSplice(to));
  for (;;) {
    IoResult ready = co_await StreamReady(proactor, from, StreamSide::kIn);
    BorrowedPipe pipe(proactor);
    CHECK(pipe);
    int moved = ready.ok() ? pipe.Fill(from) : ready.value();
    if (moved == -EAGAIN) continue;
    while (moved > 0 && pipe.held() > 0) {
      moved = pipe.DrainTo(to);
      if (moved != -EAGAIN) continue;
      ready = co_await StreamReady(proactor, to, StreamSide::kOut);
      moved = ready.ok() ? 1 : ready.value();
    }
    if (moved > 0) continue;
    *end = IoResult::FromKernel(moved);
    co_return;
  }
}

class SpliceContract : public ProactorContract {
 protected:
  // Bytes go in at left_.client, from left_.server to right_.client, and come out at right_.server.
  void Connect(const SocketAddress& left = Loopback(), const SocketAddress& right = Loopback()) {
    left_ = ConnectedAt(left);
    right_ = ConnectedAt(right);
    for (int fd : {source(), sink()}) ASSERT_TRUE(proactor().PrepareSplice(fd));
  }
  int source() { return left_.server.socket()->fd(); }
  int sink() { return right_.client.socket()->fd(); }
  static Task<void> AwaitReady(Proactor& p, int fd, StreamSide side, IoResult* out) {
    *out = co_await StreamReady(p, fd, side);
  }
  int FillWhenReady(BorrowedPipe& pipe) {
    IoResult ready = Pending();
    Run(AwaitReady(proactor(), source(), StreamSide::kIn, &ready));
    EXPECT_TRUE(ready.ok());
    return pipe.Fill(source());
  }
  void TearDown() override {
    group().Drain(proactor());
    for (Stream* s : {&left_.client, &left_.server, &right_.client, &right_.server}) s->Close();
    ProactorContract::TearDown();
  }

  void CarriesAll() {
    const std::string sent = Pattern(5'000'001);
    std::string received;
    IoResult end = Pending();
    group().Spawn(SpliceAll(proactor(), source(), sink(), &end));
    group().Spawn([](Stream& stream, std::string_view bytes) -> Task<void> {
      EXPECT_TRUE((co_await stream.Send(bytes)).ok());
      stream.ShutdownWrite();
    }(left_.client, sent));
    group().Spawn(ReceiveInto(right_.server, sent.size(), &received));
    ASSERT_TRUE(Until([&] { return end != Pending() && received.size() == sent.size(); }));
    EXPECT_TRUE(end.is_end());
    EXPECT_TRUE(received == sent);
    EXPECT_EQ(proactor().stats.spliced_bytes, sent.size());
  }

  Pair left_, right_;
};

TEST_P(SpliceContract, CarriesMuchInOrderAndTellsTheEnd) {
  Connect();
  CarriesAll();
}

TEST_P(SpliceContract, CarriesMuchBetweenUnixSockets) {
  Connect(*SocketAddress::Unix(UnixPath()), *SocketAddress::Unix(UnixPath()));
  CarriesAll();
}

TEST_P(SpliceContract, NothingThereIsToldAtOnce) {
  Connect();
  BorrowedPipe pipe(proactor());
  EXPECT_EQ(pipe.Fill(source()), -EAGAIN);
  EXPECT_EQ(pipe.held(), 0u);
}

TEST_P(SpliceContract, ResetComesBehindTheBytes) {
  Connect();
  Run(SendAll(left_.client, "half"));
  IoResult ready = Pending();
  Run(AwaitReady(proactor(), source(), StreamSide::kIn, &ready));
  left_.client.Reset();
  Pass(20 * kMillisecond);
  std::string received;
  IoResult end = Pending();
  Run(SpliceAll(proactor(), source(), sink(), &end));
  EXPECT_EQ(end, IoResult::Error(ECONNRESET));
  Run(ReceiveInto(right_.server, 4, &received));
  EXPECT_EQ(received, "half");
}

TEST_P(SpliceContract, SinkThatWentAwayIsAnError) {
  Connect();
  IoResult end = Pending();
  group().Spawn(SpliceAll(proactor(), source(), sink(), &end));
  right_.server.Reset();
  Pass(20 * kMillisecond);
  Run(SendAll(left_.client, "nobody"));
  ASSERT_TRUE(Until([&] { return end != Pending(); }));
  EXPECT_EQ(end, IoResult::Error(ECONNRESET));
}

TEST_P(SpliceContract, SinkThatWasShutDownIsAnError) {
  Connect();
  right_.client.ShutdownWrite();
  Run(SendAll(left_.client, "too late"));
  IoResult end = Pending();
  Run(SpliceAll(proactor(), source(), sink(), &end));
  EXPECT_EQ(end, IoResult::Error(EPIPE));
}

TEST_P(SpliceContract, FullSinkHoldsTheSourceBackAndGoesOn) {
  Connect();
  const std::string sent = Pattern(32 << 20);
  std::string received;
  IoResult all_sent = Pending(), end = Pending();
  group().Spawn(SpliceAll(proactor(), source(), sink(), &end));
  group().Spawn(SendAll(left_.client, sent, &all_sent));
  uint64_t before;
  do {  // until nothing moves any more
    before = proactor().stats.spliced_bytes;
    Pass(50 * kMillisecond);
  } while (proactor().stats.spliced_bytes != before || before == 0);
  EXPECT_EQ(all_sent, Pending());
  group().Spawn(ReceiveInto(right_.server, sent.size(), &received));
  EXPECT_TRUE(Until([&] { return received.size() == sent.size() && all_sent.ok(); }));
  EXPECT_TRUE(received == sent);
  group().Drain(proactor());  // it writes where we stand
}

// One descriptor is waited for in both directions at once.
TEST_P(SpliceContract, WaitForBytesAndASendGoOnBesideEachOther) {
  Connect();
  const std::string down = Pattern(24 << 20);
  std::string received, up;
  IoResult sent = Pending(), end = Pending();
  group().Spawn(SendAll(left_.server, down, &sent));
  group().Spawn(SpliceAll(proactor(), source(), sink(), &end));
  group().Spawn(ReceiveInto(right_.server, 2, &up));
  for (int i = 0; i < 5; i++) proactor().Turn(kMillisecond);
  EXPECT_EQ(sent, Pending());
  group().Spawn(ReceiveInto(left_.client, down.size(), &received));
  EXPECT_TRUE(Until([&] { return sent != Pending() && received.size() == down.size(); }));
  EXPECT_TRUE(sent.ok() && received == down);
  EXPECT_EQ(end, Pending());
  group().Spawn(SendAll(left_.client, "up"));
  EXPECT_TRUE(Until([&] { return up == "up"; }));
  group().Drain(proactor());
}

TEST_P(SpliceContract, CancelledWaitsEndAndLoseNothing) {
  Connect();
  IoResult readable = Pending(), writable = Pending();
  const std::string block = Pattern(1 << 20);
  int taken;
  do {  // until it stays full
    taken = proactor().TrySend(sink(), block.data(), block.size());
    Pass(20 * kMillisecond);
  } while (taken > 0);
  TaskGroup waiting;
  waiting.Spawn(AwaitReady(proactor(), source(), StreamSide::kIn, &readable));
  BorrowedPipe pipe(proactor());
  EXPECT_EQ(pipe.Fill(source()), -EAGAIN);
  for (int i = 0; i < 5; i++) proactor().Turn(kMillisecond);
  EXPECT_EQ(readable, Pending());
  waiting.Drain(proactor());
  EXPECT_EQ(readable, IoResult::Error(ECANCELED));
  Run(SendAll(left_.client, "kept"));
  EXPECT_EQ(FillWhenReady(pipe), 4);
  EXPECT_EQ(pipe.DrainTo(sink()), -EAGAIN);
  TaskGroup stuck;
  stuck.Spawn(AwaitReady(proactor(), sink(), StreamSide::kOut, &writable));
  for (int i = 0; i < 5; i++) proactor().Turn(kMillisecond);
  EXPECT_EQ(writable, Pending());
  stuck.Drain(proactor());
  EXPECT_EQ(writable, IoResult::Error(ECANCELED));
  EXPECT_EQ(pipe.held(), 4u);
}

TEST_P(SpliceContract, StreamsThatMaySpliceStillReceiveAndSendAsBefore) {
  Connect();
  const std::string sent = Pattern(24 << 20);
  std::string up, down;
  group().Spawn(ReceiveInto(left_.server, 2, &up));
  for (int i = 0; i < 5; i++) proactor().Turn(kMillisecond);  // waits with nothing there
  Run(SendAll(left_.client, "up"));
  ASSERT_TRUE(Until([&] { return up == "up"; }));
  IoResult result = Pending();
  group().Spawn(SendAll(left_.server, sent, &result));
  for (int i = 0; i < 5; i++) proactor().Turn(kMillisecond);  // waits with nobody reading
  EXPECT_EQ(result, Pending());
  Run(ReceiveInto(left_.client, sent.size(), &down));
  ASSERT_TRUE(Until([&] { return result != Pending(); }));
  EXPECT_TRUE(result.ok() && down == sent);
}

TEST_P(SpliceContract, BytesThatWereGivenUpReachNobody) {
  Connect();
  Run(SendAll(left_.client, "given up"));
  {
    BorrowedPipe pipe(proactor());
    EXPECT_EQ(FillWhenReady(pipe), 8);
  }
  Run(SendAll(left_.client, "new"));
  BorrowedPipe pipe(proactor());
  EXPECT_EQ(FillWhenReady(pipe), 3);
  EXPECT_EQ(pipe.DrainTo(sink()), 3);
  std::string received;
  Run(ReceiveInto(right_.server, 3, &received));
  EXPECT_EQ(received, "new");
}

}  // namespace fairlead::io
