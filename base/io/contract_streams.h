// Contract of Proactor: streams.
#pragma once

#include <algorithm>

#include "base/io/contract_fixture.h"

namespace fairlead::io {

TEST_P(ProactorContract, CarriesBytesBothWays) {
  Pair pair = Connected();
  std::string at_server, at_client;
  Run(SendAll(pair.client, "request"));
  Run(ReceiveInto(pair.server, 7, &at_server));
  Run(SendAll(pair.server, "answer"));
  Run(ReceiveInto(pair.client, 6, &at_client));
  EXPECT_EQ(at_server, "request");
  EXPECT_EQ(at_client, "answer");
}

TEST_P(ProactorContract, WhatIsPutBackIsReceivedAgainBeforeTheRest) {
  Pair pair = Connected();
  Run(SendAll(pair.client, "header|body"));
  std::string first, rest;
  Run([](Stream& stream, std::string* read) -> Task<void> {
    EXPECT_TRUE((co_await stream.Receive()).ok());
    Chunk chunk = stream.Take();
    read->assign(chunk.view().substr(0, 7));
    chunk.Skip(7);
    stream.PutBack(std::move(chunk));
  }(pair.server, &first));
  Run(SendAll(pair.client, " and more"));
  Run(ReceiveInto(pair.server, 13, &rest));
  EXPECT_EQ(first, "header|");
  EXPECT_EQ(rest, "body and more");
}

TEST_P(ProactorContract, CarriesBytesOverUnixSockets) {
  SocketAddress address = *SocketAddress::Unix(UnixPath());
  Pair pair = ConnectedAt(address);
  std::string at_server;
  Run(SendAll(pair.client, "request"));
  Run(ReceiveInto(pair.server, 7, &at_server));
  EXPECT_EQ(at_server, "request");
  EXPECT_EQ(pair.server.local(), address);
}

TEST_P(ProactorContract, BothEndsTellTheirAddresses) {
  Pair pair = Connected();
  EXPECT_EQ(pair.client.peer(), pair.server.local());
  EXPECT_EQ(pair.client.local(), pair.server.peer());
  EXPECT_EQ(pair.server.local().ip(), Loopback().ip());
  EXPECT_NE(pair.server.local().port(), 0);
}

TEST_P(ProactorContract, ConnectIsRefusedWhereNobodyListens) {
  SocketAddress address = OpenListener().address();  // closed again at once
  ASSERT_TRUE(Until([this] { return proactor().stats.orphans == 0; }));
  Status status;
  Run([](Proactor& p, SocketAddress to, Status* out) -> Task<void> {
    StatusOr<Stream> stream = co_await Dial(p, to, p.Now() + 5 * kSecond);
    *out = stream.status();
  }(proactor(), address, &status));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_NE(Message(status).find(address.ToString()), std::string_view::npos) << status;
}

TEST_P(ProactorContract, ConnectToAPathWithoutSocketIsNotFound) {
  Status status;
  Run([](Proactor& p, SocketAddress to, Status* out) -> Task<void> {
    StatusOr<Stream> stream = co_await Dial(p, to, p.Now() + 5 * kSecond);
    *out = stream.status();
  }(proactor(), *SocketAddress::Unix(UnixPath()), &status));
  EXPECT_EQ(status.code(), StatusCode::kNotFound) << status;
}

TEST_P(ProactorContract, LargeTransferArrivesWholeAndInOrder) {
  Pair pair = Connected(BufferGroup::kLarge);
  const std::string sent = Pattern(3 << 20);
  std::string received;
  IoResult result = Pending();
  group().Spawn(SendAll(pair.client, sent, &result));
  Run(ReceiveInto(pair.server, sent.size(), &received));
  EXPECT_EQ(result, IoResult::Ok());
  EXPECT_TRUE(received == sent);
}

TEST_P(ProactorContract, BothSidesMaySendMuchAtOnce) {
  Pair pair = Connected();
  const std::string up = Pattern(1 << 20), down = Pattern(1'200'000);
  std::string at_server, at_client;
  group().Spawn(SendAll(pair.client, up));
  group().Spawn(SendAll(pair.server, down));
  group().Spawn(ReceiveInto(pair.server, up.size(), &at_server));
  Run(ReceiveInto(pair.client, down.size(), &at_client));
  EXPECT_TRUE(at_server == up);
  EXPECT_TRUE(at_client == down);
}

TEST_P(ProactorContract, ReaderThatDoesNotReadHoldsBackTheSender) {
  Pair pair = Connected();
  const std::string sent = Pattern(24 << 20);
  std::string received;
  IoResult result = Pending();
  Run(SendAll(pair.client, sent.substr(0, 1)));
  Run(ReceiveInto(pair.server, 1, &received));  // the first receive is one-shot; the next one goes on by itself
  group().Spawn(SendAll(pair.client, std::string_view(sent).substr(1), &result));
  group().Spawn(ReceiveInto(pair.server, 2, &received));
  ASSERT_TRUE(Until([&] { return received.size() >= 2; }));
  int most = 0;
  for (int i = 0; i < 200; i++) {
    proactor().Turn(kMillisecond);
    most = std::max(most, proactor().buffers_out(BufferGroup::kSmall));
  }
  EXPECT_EQ(result, Pending());
  EXPECT_GE(most, 1);
  EXPECT_LE(most, 100);  // 4 queued, and what one turn of the kernel had on its way
  Run(ReceiveInto(pair.server, sent.size(), &received));
  EXPECT_TRUE(received == sent);
  EXPECT_EQ(result, IoResult::Ok());
}

TEST_P(ProactorContract, EndOfStreamComesBehindTheDataAndStays) {
  Pair pair = Connected();
  std::string received;
  IoResult last = Pending(), again = Pending();
  Run(SendAll(pair.client, "bye"));
  pair.client.Close();
  Run(ReceiveInto(pair.server, 100, &received, &last));
  Run(ReceiveOnce(pair.server, &again));
  EXPECT_EQ(received, "bye");
  EXPECT_TRUE(last.is_end());
  EXPECT_TRUE(again.is_end());
}

TEST_P(ProactorContract, HalfClosedPeerStillGetsTheAnswer) {
  Pair pair = Connected();
  std::string request, answer;
  IoResult last = Pending();
  Run(SendAll(pair.client, "request"));
  pair.client.ShutdownWrite();
  Run(ReceiveInto(pair.server, 100, &request, &last));
  EXPECT_EQ(request, "request");
  EXPECT_TRUE(last.is_end());
  Run(SendAll(pair.server, "answer"));
  Run(ReceiveInto(pair.client, 6, &answer));
  EXPECT_EQ(answer, "answer");
}

TEST_P(ProactorContract, ResetIsAnErrorAndNoEnd) {
  Pair pair = Connected();
  IoResult result = Pending();
  group().Spawn(ReceiveOnce(pair.server, &result));
  proactor().Turn(0);
  pair.client.Reset();
  ASSERT_TRUE(Until([&] { return result != Pending(); }));
  EXPECT_EQ(result, IoResult::Error(ECONNRESET));
}

TEST_P(ProactorContract, ResetWithAnArmedReceiveReachesThePeer) {
  Pair pair = Connected();
  pair.client.socket()->Arm();
  proactor().Turn(0);
  pair.client.Reset();
  IoResult result = Pending();
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_EQ(result, IoResult::Error(ECONNRESET));
}

TEST_P(ProactorContract, SendToAPeerThatWentAwayFails) {
  Pair pair = Connected();
  pair.client.Reset();
  IoResult result = IoResult::Ok();
  Run([](Stream& stream, IoResult* out) -> Task<void> {
    for (int i = 0; i < 1000 && out->ok(); i++) *out = co_await stream.Send("x");
  }(pair.server, &result));
  EXPECT_TRUE(result == IoResult::Error(EPIPE) || result == IoResult::Error(ECONNRESET)) << result.value();
}

TEST_P(ProactorContract, TrySendTellsWhenThePeerIsFull) {
  Pair pair = Connected();
  const std::string block = Pattern(256 << 10);
  int result = 0;
  int64_t taken = 0;
  for (int i = 0; i < 1000 && result >= 0; i++) {
    result = proactor().TrySend(pair.client.socket()->fd(), block.data(), block.size());
    if (result > 0) taken += result;
  }
  EXPECT_EQ(result, -EAGAIN);
  EXPECT_GT(taken, 0);
}

TEST_P(ProactorContract, SendSomeTakesWhatThereIsRoomForAndNeverWaits) {
  Pair pair = Connected();
  const std::string block = Pattern(256 << 10);
  std::string taken;
  bool full = false;
  Run([](Stream& sink, const std::string& bytes, std::string* sent, bool* refused) -> Task<void> {
    for (int i = 0; i < 1000 && !*refused; i++) {
      size_t some = co_await sink.SendSome(bytes);
      sent->append(bytes, 0, some);
      *refused = some == 0;
    }
  }(pair.client, block, &taken, &full));
  EXPECT_TRUE(full);
  pair.client.ShutdownWrite();
  std::string received;
  Run(ReceiveInto(pair.server, taken.size(), &received));
  EXPECT_TRUE(received == taken) << received.size() << " of " << taken.size();
}

TEST_P(ProactorContract, SendSomeToABrokenConnectionSendsNothing) {
  Pair pair = Connected();
  pair.server.Reset();
  ASSERT_TRUE(Until([&] {
    pair.client.socket()->Arm();
    return pair.client.socket()->has_input();
  }));
  size_t sent = 1;
  Run([](Stream& sink, size_t* some) -> Task<void> { *some = co_await sink.SendSome("x"); }(pair.client, &sent));
  EXPECT_EQ(sent, 0u);
}

TEST_P(ProactorContract, ReleaseWithAnArmedReceiveClosesAndLeavesNoOrphan) {
  Pair pair = Connected();
  ASSERT_TRUE(Until([this] { return proactor().stats.orphans == 0; }));  // of the listener
  pair.client.socket()->Arm();
  proactor().Turn(0);
  pair.client.Close();
  EXPECT_EQ(proactor().stats.orphans, 1);
  IoResult result = Pending();
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_TRUE(result.is_end());
  EXPECT_TRUE(Until([this] { return proactor().stats.orphans == 0; }));
}

TEST_P(ProactorContract, ReleaseBeforeTheReceiveWasSubmittedCloses) {
  Pair pair = Connected();
  pair.client.socket()->Arm();
  pair.client.Close();  // receive, cancel and close meet in one batch
  IoResult result = Pending();
  Run(ReceiveOnce(pair.server, &result));
  EXPECT_TRUE(result.is_end());
}

TEST_P(ProactorContract, ReleaseGivesBackWhatNobodyRead) {
  Pair pair = Connected();
  Run(SendAll(pair.client, "unread"));
  pair.server.socket()->Arm();
  ASSERT_TRUE(Until([&] { return pair.server.socket()->has_input(); }));
  EXPECT_EQ(proactor().buffers_out(BufferGroup::kSmall), 1);
  pair.server.Close();
  EXPECT_EQ(proactor().buffers_out(BufferGroup::kSmall), 0);
}

// A descriptor's number is used again at once; nothing of the former connection may reach the next.
TEST_P(ProactorContract, FormerConnectionOfTheSameNumberIsNotTouched) {
  for (int i = 0; i < 50; i++) {
    Pair former = Connected();
    former.server.socket()->Arm();
    former.client.socket()->Arm();
    if (i % 2 == 0) proactor().Turn(0);
    former.server.Close();
    former.client.Close();
    Pair pair = Connected();
    std::string received;
    Run(SendAll(pair.client, "hello"));
    Run(ReceiveInto(pair.server, 5, &received));
    ASSERT_EQ(received, "hello") << "round " << i;
  }
}

TEST_P(ProactorContract, IdleSocketTellsItsListenerOfTheEnd) {
  struct Pool final : Socket::IdleListener {
    void OnIdleEvent(Socket& socket) override {
      had_input = socket.has_input();
      socket.Release();
      ++events;
    }
    int events = 0;
    bool had_input = false;
  } pool;
  Pair pair = Connected();
  Socket* idle = pair.client.ReleaseSocket();
  idle->SetIdleListener(&pool);
  idle->Arm();
  proactor().Turn(0);
  EXPECT_EQ(pool.events, 0);
  pair.server.Close();
  EXPECT_TRUE(Until([&] { return pool.events == 1; }));
  EXPECT_TRUE(pool.had_input);
}

TEST_P(ProactorContract, EverySocketGetsItsTurnWhenBuffersRunOut) {
  UseTinyBuffers();
  const int kPairs = 12;  // three times the buffers
  std::vector<Pair> pairs;
  for (int i = 0; i < kPairs; i++) pairs.push_back(Connected());
  const std::string sent = Pattern(60'000);
  std::vector<std::string> received(kPairs);
  for (size_t i = 0; i < kPairs; i++) {
    group().Spawn(SendAll(pairs[i].client, sent));
    group().Spawn([](Proactor& p, Stream& stream, size_t bytes, std::string* out) -> Task<void> {
      while (out->size() < bytes) {
        IoResult got = co_await stream.Receive();
        if (!got.ok() || got.is_end()) co_return;
        Chunk chunk = stream.Take();
        (void)co_await Sleep(p, kMillisecond);  // holds the buffer over some turns
        out->append(chunk.view());
      }
    }(proactor(), pairs[i].server, sent.size(), &received[i]));
  }
  ASSERT_TRUE(Until([&] { return group().live() == 0; }));
  for (const std::string& r : received) EXPECT_TRUE(r == sent);
  EXPECT_GT(proactor().stats.buffer_shortages, 0u);
}

TEST_P(ProactorContract, StarvedSocketMayBeReleased) {
  UseTinyBuffers();
  std::vector<Pair> pairs;
  for (int i = 0; i < 5; i++) pairs.push_back(Connected());
  for (Pair& pair : pairs) {
    Run(SendAll(pair.client, "held"));
    pair.server.socket()->Arm();
  }
  ASSERT_TRUE(Until([this] { return proactor().stats.buffer_shortages > 0; }));
  EXPECT_EQ(proactor().buffers_out(BufferGroup::kSmall), 4);
  for (Pair& pair : pairs) pair.server.Close();
  for (Pair& pair : pairs) {
    IoResult result = Pending();
    Run(ReceiveOnce(pair.client, &result));
    EXPECT_TRUE(result.is_end() || result == IoResult::Error(ECONNRESET)) << result.value();
  }
}

}  // namespace fairlead::io
