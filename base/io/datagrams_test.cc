// Datagrams on the kernel's own: source addresses of a wildcard socket, IPv6, refused messages.
#include "base/io/datagrams.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <vector>

#include "base/io/descriptors.h"

namespace fairlead::io {
namespace {

class Datagrams : public testing::Test {
 protected:
  ~Datagrams() override {
    for (int fd : open_) close(fd);
  }
  int Open(std::string_view address) {
    StatusOr<int> fd = OpenUdpDescriptor(*SocketAddress::Parse(address), {}, 0);
    CHECK(fd.ok());
    open_.push_back(*fd);
    return *fd;
  }
  Datagram Message(const SocketAddress& to, IpAddress local = {}) { return {.peer = to, .local = local, .bytes = text_}; }
  // Waits for one message and receives it.
  Datagram ReceiveOne(int fd) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    EXPECT_EQ(poll(&ready, 1, 10'000), 1);
    Datagram in{.peer = {}, .local = {}, .bytes = room_};
    EXPECT_EQ(ReceiveDatagramBatch(fd, {&in, 1}), 1);
    return in;
  }
  void ExpectAnswerFrom(const SocketAddress& asked, int client, int server) {
    Datagram question = Message(asked);
    ASSERT_EQ(SendDatagramBatch(client, {&question, 1}, dropped_), 1);
    Datagram answer = ReceiveOne(server);
    EXPECT_EQ(answer.local, asked.ip());
    ASSERT_EQ(SendDatagramBatch(server, {&answer, 1}, dropped_), 1);
    EXPECT_EQ(ReceiveOne(client).peer, asked);
    EXPECT_EQ(dropped_, 0u);
  }
  uint64_t dropped_ = 0;

 private:
  uint8_t text_[5] = {'h', 'e', 'l', 'l', 'o'};
  uint8_t room_[64];
  std::vector<int> open_;
};

// Every address of 127.0.0.0/8 is this host's: a wildcard socket must answer from the one that was asked.
TEST_F(Datagrams, WildcardSocketAnswersFromTheAddressThatWasAsked) {
  int server = Open("0.0.0.0:0"), client = Open("127.0.0.1:0");
  ExpectAnswerFrom(SocketAddress(IpAddress::V4(0x7f000203), LocalAddressOf(server).port()), client, server);
}

TEST_F(Datagrams, WildcardSocketAnswersFromTheIpv6AddressThatWasAsked) {
  int server = Open("[::]:0"), client = Open("[::1]:0");
  ExpectAnswerFrom(SocketAddress(*IpAddress::Parse("::1"), LocalAddressOf(server).port()), client, server);
}

TEST_F(Datagrams, RefusedMessageIsDroppedAndTheRestIsSent) {
  int server = Open("127.0.0.1:0"), client = Open("0.0.0.0:0");
  SocketAddress to = LocalAddressOf(server);
  IpAddress not_ours = *IpAddress::Parse("192.0.2.1");
  Datagram out[3] = {Message(to), Message(to, not_ours), Message(to)};
  EXPECT_EQ(SendDatagramBatch(client, out, dropped_), 3);
  EXPECT_EQ(dropped_, 1u);
  ReceiveOne(server);
  ReceiveOne(server);
}

TEST_F(Datagrams, BatchBeyondOneCallIsTakenInPart) {
  int server = Open("127.0.0.1:0"), client = Open("127.0.0.1:0");
  std::vector<Datagram> out(100, Message(LocalAddressOf(server)));
  EXPECT_EQ(SendDatagramBatch(client, out, dropped_), 64);
}

TEST_F(Datagrams, AnswerOfAClosedPortDoesNotDisturbTheNextReceive) {
  int gone = Open("127.0.0.1:0"), client = Open("127.0.0.1:0"), server = Open("127.0.0.1:0");
  SocketAddress nobody = LocalAddressOf(gone);
  shutdown(gone, SHUT_RDWR);
  Datagram lost = Message(nobody), kept = Message(LocalAddressOf(client));
  EXPECT_EQ(SendDatagramBatch(client, {&lost, 1}, dropped_), 1);
  EXPECT_EQ(SendDatagramBatch(server, {&kept, 1}, dropped_), 1);
  EXPECT_EQ(ReceiveOne(client).peer, LocalAddressOf(server));
}

}  // namespace
}  // namespace fairlead::io
