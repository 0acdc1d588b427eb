// Contract of Proactor: datagrams.
#pragma once

#include <array>

#include "base/io/contract_fixture.h"

namespace fairlead::io {

// Room for a batch of received messages.
template <size_t N>
struct DatagramBatch {
  std::array<std::array<uint8_t, 512>, N> room;
  std::array<Datagram, N> entries;
  DatagramBatch() { Reset(); }
  void Reset() {
    for (size_t i = 0; i < N; i++) entries[i] = Datagram{.peer = {}, .local = {}, .bytes = room[i]};
  }
};

inline std::string_view TextOf(const Datagram& d) {
  return {reinterpret_cast<const char*>(d.bytes.data()), d.bytes.size()};
}

inline Datagram Outgoing(const SocketAddress& to, std::string& text) {
  return {.peer = to, .local = {}, .bytes = {reinterpret_cast<uint8_t*>(text.data()), text.size()}};
}

TEST_P(ProactorContract, DatagramsComeInBatchesWithBothAddresses) {
  UdpSocket a = *UdpSocket::Open(proactor(), Loopback()), b = *UdpSocket::Open(proactor(), Loopback());
  std::string texts[3] = {"one", "two", "three"};
  Datagram out[3] = {Outgoing(b.address(), texts[0]), Outgoing(b.address(), texts[1]), Outgoing(b.address(), texts[2])};
  EXPECT_EQ(a.SendBatch(out), 3);
  DatagramBatch<8> in;
  std::vector<std::string> received;
  Run([](UdpSocket& socket, DatagramBatch<8>& batch, SocketAddress from, std::vector<std::string>* all) -> Task<void> {
    while (all->size() < 3 && (co_await socket.Readable()).ok()) {
      batch.Reset();
      int count = socket.ReceiveBatch(batch.entries);
      for (int i = 0; i < count; i++) {
        const Datagram& d = batch.entries[static_cast<size_t>(i)];
        all->emplace_back(TextOf(d));
        EXPECT_EQ(d.peer, from);
        EXPECT_EQ(d.local, socket.address().ip());
        EXPECT_FALSE(d.truncated);
      }
    }
  }(b, in, a.address(), &received));
  EXPECT_EQ(received, (std::vector<std::string>{"one", "two", "three"}));
}

TEST_P(ProactorContract, AnswerLeavesFromTheAddressThatWasAsked) {
  UdpSocket client = *UdpSocket::Open(proactor(), Loopback()), server = *UdpSocket::Open(proactor(), Loopback());
  std::string question = "question", answer = "answer";
  Datagram out = Outgoing(server.address(), question);
  EXPECT_EQ(client.SendBatch({&out, 1}), 1);
  DatagramBatch<1> in;
  auto wait = [](UdpSocket& socket) -> Task<void> { (void)co_await socket.Readable(); };
  Run(wait(server));
  ASSERT_EQ(server.ReceiveBatch(in.entries), 1);
  Datagram reply = Outgoing(in.entries[0].peer, answer);
  reply.local = in.entries[0].local;
  EXPECT_EQ(server.SendBatch({&reply, 1}), 1);
  Run(wait(client));
  in.Reset();
  ASSERT_EQ(client.ReceiveBatch(in.entries), 1);
  EXPECT_EQ(TextOf(in.entries[0]), "answer");
  EXPECT_EQ(in.entries[0].peer, server.address());
}

TEST_P(ProactorContract, LongerDatagramThanTheRoomIsMarked) {
  UdpSocket a = *UdpSocket::Open(proactor(), Loopback()), b = *UdpSocket::Open(proactor(), Loopback());
  std::string text(600, 'x');
  Datagram out = Outgoing(b.address(), text);
  EXPECT_EQ(a.SendBatch({&out, 1}), 1);
  DatagramBatch<1> in;
  Run([](UdpSocket& socket) -> Task<void> { (void)co_await socket.Readable(); }(b));
  ASSERT_EQ(b.ReceiveBatch(in.entries), 1);
  EXPECT_TRUE(in.entries[0].truncated);
  EXPECT_EQ(in.entries[0].bytes.size(), 512u);
}

TEST_P(ProactorContract, NothingToReceiveIsNone) {
  UdpSocket socket = *UdpSocket::Open(proactor(), Loopback());
  DatagramBatch<2> in;
  EXPECT_EQ(socket.ReceiveBatch(in.entries), 0);
}

TEST_P(ProactorContract, WaitForDatagramsIsCancelledAndWorksAgain) {
  UdpSocket a = *UdpSocket::Open(proactor(), Loopback()), b = *UdpSocket::Open(proactor(), Loopback());
  auto wait = [](UdpSocket& socket, IoResult* out) -> Task<void> { *out = co_await socket.Readable(); };
  IoResult first = Pending(), second = Pending();
  TaskGroup waiting;
  waiting.Spawn(wait(b, &first));
  proactor().Turn(0);
  EXPECT_EQ(first, Pending());
  waiting.Drain(proactor());
  EXPECT_EQ(first, IoResult::Error(ECANCELED));
  std::string text = "late";
  Datagram out = Outgoing(b.address(), text);
  EXPECT_EQ(a.SendBatch({&out, 1}), 1);
  Run(wait(b, &second));
  EXPECT_TRUE(second.ok());
}

}  // namespace fairlead::io
