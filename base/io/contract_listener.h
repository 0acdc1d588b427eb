// Contract of Proactor: listeners.
#pragma once

#include "base/io/contract_fixture.h"

namespace fairlead::io {

TEST_P(ProactorContract, ListenerTellsThePortItGot) {
  Listener listener = OpenListener();
  EXPECT_EQ(listener.address().ip(), Loopback().ip());
  EXPECT_NE(listener.address().port(), 0);
}

TEST_P(ProactorContract, PortInUseIsAnErrorThatNamesIt) {
  Listener first = OpenListener();
  StatusOr<Listener> second = Listener::Open(proactor(), first.address());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::kAlreadyExists);
  EXPECT_NE(Message(second.status()).find(first.address().ToString()), std::string_view::npos) << second.status();
}

TEST_P(ProactorContract, CheckOfAnAddressSaysWhyNobodyCouldListenThere) {
  Listener alone = OpenListener();
  Status taken = proactor().CheckListenable(alone.address());
  EXPECT_EQ(taken.code(), StatusCode::kAlreadyExists);
  EXPECT_NE(Message(taken).find(alone.address().ToString()), std::string_view::npos) << taken;
  EXPECT_FALSE(proactor().CheckListenable(*SocketAddress::Parse("192.0.2.1:80")).ok()) << "nobody has that address";
  Listener shared = OpenListener(Loopback(), {.reuse_port = true});
  EXPECT_TRUE(proactor().CheckListenable(shared.address()).ok());
}

TEST_P(ProactorContract, ConnectionsWaitInTheBacklogUntilAccepted) {
  Listener listener = OpenListener();
  std::vector<Stream> clients(5), servers(5);
  for (Stream& client : clients) Run(DialInto(proactor(), listener.address(), BufferGroup::kSmall, &client));
  for (Stream& server : servers) Run(AcceptInto(listener, BufferGroup::kSmall, &server));
  for (Stream& client : clients) EXPECT_TRUE(client);
  for (Stream& server : servers) EXPECT_TRUE(server);
}

TEST_P(ProactorContract, FullBacklogLetsConnectsWaitForTheirDeadline) {
  Listener listener = OpenListener(Loopback(), {.backlog = 1});
  int connected = 0, timed_out = 0;
  for (int i = 0; i < 4; i++) {
    Run([](Proactor& p, SocketAddress to, int* ok, int* late) -> Task<void> {
      StatusOr<Stream> stream = co_await Dial(p, to, p.Now() + 60 * kMillisecond);
      ++*(stream.ok() ? ok : late);
      if (!stream.ok()) EXPECT_EQ(stream.status().code(), StatusCode::kDeadlineExceeded) << stream.status();
    }(proactor(), listener.address(), &connected, &timed_out));
  }
  EXPECT_GE(connected, 1);
  EXPECT_GE(timed_out, 1);
}

TEST_P(ProactorContract, AcceptLoopServesManyAtOnce) {
  Listener listener = OpenListener();
  TaskGroup serving;
  serving.Spawn(AcceptLoop(listener, serving, [this](int fd) {
    return [](Proactor& p, int descriptor) -> Task<void> {
      Stream stream(p, descriptor);
      IoResult got = co_await stream.Receive();
      if (!got.ok() || got.is_end()) co_return;
      Chunk chunk = stream.Take();
      (void)co_await stream.Send(chunk.view());
    }(proactor(), fd);
  }));
  std::vector<std::string> answers(40);
  for (size_t i = 0; i < answers.size(); i++) {
    group().Spawn([](Proactor& p, SocketAddress to, std::string request, std::string* answer) -> Task<void> {
      StatusOr<Stream> stream = co_await Dial(p, to, p.Now() + 5 * kSecond);
      if (!stream.ok()) co_return;
      if (!(co_await stream->Send(request)).ok()) co_return;
      while (answer->size() < request.size()) {
        IoResult got = co_await stream->Receive();
        if (!got.ok() || got.is_end()) co_return;
        answer->append(stream->Take().view());
      }
    }(proactor(), listener.address(), Cat("request ", i), &answers[i]));
  }
  EXPECT_TRUE(Until([this] { return group().live() == 0; }));
  for (size_t i = 0; i < answers.size(); i++) EXPECT_EQ(answers[i], Cat("request ", i));
  serving.Drain(proactor());
}

TEST_P(ProactorContract, CancelledAcceptEndsWithTheReason) {
  Listener listener = OpenListener();
  IoResult result = Pending();
  TaskGroup accepting;
  accepting.Spawn([](Listener& from, IoResult* out) -> Task<void> { *out = co_await from.Accept(); }(listener, &result));
  proactor().Turn(0);
  EXPECT_EQ(result, Pending());
  accepting.Drain(proactor());
  EXPECT_EQ(result, IoResult::Error(ECANCELED));
}

TEST_P(ProactorContract, ConnectionOfACancelledAcceptIsKeptForTheNext) {
  Listener listener = OpenListener();
  TaskGroup accepting;
  Stream none, client, server;
  accepting.Spawn([](Listener& from) -> Task<void> { (void)co_await from.Accept(); }(listener));
  proactor().Turn(0);
  accepting.Drain(proactor());
  Run(DialInto(proactor(), listener.address(), BufferGroup::kSmall, &client));
  Run(AcceptInto(listener, BufferGroup::kSmall, &server));
  EXPECT_EQ(server.peer(), client.local());
}

TEST_P(ProactorContract, ClosedListenerClosesWhatNobodyAccepted) {
  Stream client;
  {
    Listener listener = OpenListener();
    TaskGroup accepting;  // arms the accept, which then goes on by itself
    accepting.Spawn([](Listener& from) -> Task<void> { (void)co_await from.Accept(); }(listener));
    proactor().Turn(0);
    accepting.Drain(proactor());
    Run(DialInto(proactor(), listener.address(), BufferGroup::kSmall, &client));
    proactor().Turn(0);
  }
  IoResult result = Pending();
  Run(ReceiveOnce(client, &result));
  EXPECT_TRUE(result.is_end() || result == IoResult::Error(ECONNRESET)) << result.value();
}

}  // namespace fairlead::io
