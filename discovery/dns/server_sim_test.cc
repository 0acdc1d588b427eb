// On the simulator: a network that loses and reorders, and what takes ten seconds of somebody's patience.
#include <gtest/gtest.h>

#include <deque>

#include "base/sim/sim_proactor.h"
#include "discovery/dns/dns.h"
#include "discovery/dns/server.h"
#include "discovery/dns/tcp_test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

const IpAddress kServerHost = Ip("10.0.0.1"), kClientHost = Ip("10.0.0.2"), kLateAddress = Ip("10.0.0.53");
constexpr int kServices = 40;

// What a client of TCP saw.
struct Talker {
  bool connected = false, ended = false;
  Nanos ended_at = 0;
  std::vector<Answered> answers;
};

class SimServerTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  SimServerTest() : world_(GetParam()), server_loop_(world_, kServerHost), client_loop_(world_, kClientHost) {
    Config config;
    config.listen = {SocketAddress(kServerHost, 53), SocketAddress(kLateAddress, 53)};
    server_ = std::make_unique<NameServer>(server_loop_, config, world_.clock(), random_, metrics_);
    CHECK(server_->Start().ok());
    for (int i = 0; i < kServices; i++) {
      server_->OnChanges({Put("host1", Serving(Cat("c", i), "host1", Cat("s", i), "demo", AddressOf(i)))});
    }
  }
  ~SimServerTest() override {
    clients_.Drain(client_loop_);
    server_->Stop();
  }

  static std::string AddressOf(int i) { return Cat("10.40.0.", i); }
  static Ask AskFor(int i) { return {.name = Cat("s", i, ".demo.svc.fl.internal")}; }
  SocketAddress address() const { return {kServerHost, 53}; }
  Talker& NewTalker() { return talkers_.emplace_back(); }
  uint64_t limits() { return metrics_.counter("fairlead_dns_tcp_limit_total", "").value(); }
  double connections() { return metrics_.gauge("fairlead_dns_tcp_connections", "").value(); }
  // "big" has answers of 64 KB: two of them fill the way to a reader that does not read.
  void ServeBig() {
    for (int i = 0; i < 4000; i++) {
      server_->OnChanges({Put("host1", Serving(Cat("b", i), "host1", "big", "demo", Cat("10.41.", i >> 8, ".", i & 255)))});
    }
  }

  sim::SimWorld world_;
  sim::SimProactor server_loop_, client_loop_;
  SeededRandom random_{GetParam()};
  Metrics metrics_;
  std::unique_ptr<NameServer> server_;
  // What clients write to, until they are drained.
  std::deque<Talker> talkers_;
  std::vector<Ask> questions_;
  std::map<int, Answered> udp_;
  io::TaskGroup clients_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, SimServerTest, ::testing::Range<uint64_t>(0, 10));

// Asks again every 20 ms for what has not been answered, as resolvers do.
io::Task<void> AskUntilAnswered(io::Proactor& loop, SocketAddress server, const std::vector<Ask>& questions,
                                std::map<int, Answered>* answers) {
  auto socket = io::UdpSocket::Open(loop, SocketAddress(kClientHost, 0));
  CHECK(socket.ok());
  while (answers->size() < questions.size()) {
    for (size_t i = 0; i < questions.size(); i++) {
      if (answers->contains(static_cast<int>(i))) continue;
      Packet query = MakeQuery(questions[i], static_cast<uint16_t>(i));
      io::Datagram datagram{server, {}, query};
      (void)socket->SendBatch({&datagram, 1});
    }
    if (!(co_await io::Sleep(loop, 20 * kMillisecond)).ok()) co_return;
    Packet room(kMaxUdpBytes);
    for (io::Datagram got{.bytes = room}; socket->ReceiveBatch({&got, 1}) == 1; got.bytes = room) {
      CHECK(got.peer == server);
      Answered answer = ReadAnswer(got.bytes);
      auto [it, is_new] = answers->emplace(answer.id, answer);
      CHECK(is_new || it->second.data() == answer.data());
    }
  }
}

// Sends a piece after each pause, then listens until the end.
io::Task<void> SendSlowly(io::Proactor& loop, SocketAddress server, std::vector<std::string> pieces, Nanos pause, Talker* me) {
  auto stream = co_await io::Dial(loop, server, loop.clock().Now() + kSecond);
  if (!stream.ok()) co_return;
  me->connected = true;
  for (const std::string& piece : pieces) {
    if (!(co_await io::Sleep(loop, pause)).ok()) co_return;
    if (!(co_await stream->Send(piece)).ok()) break;
  }
  co_await ReadAnswers(*stream, SIZE_MAX, &me->answers, &me->ended);
  me->ended_at = loop.Now();
}

TEST_P(SimServerTest, AnswersEveryQuestionOverANetworkThatLosesAndReorders) {
  world_.faults = sim::Faults::All();
  world_.faults.datagrams_lost = 200;
  for (int i = 0; i < kServices; i++) questions_.push_back(AskFor(i));
  clients_.Spawn(AskUntilAnswered(client_loop_, address(), questions_, &udp_));
  ASSERT_TRUE(world_.RunUntil([&] { return udp_.size() == questions_.size(); }, 10 * kSecond));
  for (int i = 0; i < kServices; i++) EXPECT_EQ(udp_[i].data(), std::set<std::string>{AddressOf(i)});
  EXPECT_GT(world_.counts.datagrams_lost, 0u);
  EXPECT_GT(world_.counts.datagrams_reordered, 0u);
}

TEST_P(SimServerTest, AnswersAtAnAddressThatAppearsLater) {
  Talker& tcp = NewTalker();
  world_.Run(3500 * kMillisecond);
  EXPECT_FALSE(server_->ready());
  world_.network().AddAddress(kServerHost, kLateAddress);
  ASSERT_TRUE(world_.RunUntil([&] { return server_->ready(); }, kSecond + 10 * kMillisecond));
  questions_ = {AskFor(7)};
  clients_.Spawn(AskUntilAnswered(client_loop_, {kLateAddress, 53}, questions_, &udp_));
  clients_.Spawn(SendSlowly(client_loop_, {kLateAddress, 53}, {Framed(AskFor(7), 1)}, 0, &tcp));
  ASSERT_TRUE(world_.RunUntil([&] { return udp_.size() == 1 && tcp.answers.size() == 1; }, kSecond));
}

// --- TCP

TEST_P(SimServerTest, ClosesAConnectionThatAsksNothingForTenSeconds) {
  Talker& silent = NewTalker();
  clients_.Spawn(SendSlowly(client_loop_, address(), {}, 0, &silent));
  world_.Run(kTcpIdle - 100 * kMillisecond);
  EXPECT_TRUE(silent.connected);
  EXPECT_FALSE(silent.ended);
  world_.Run(200 * kMillisecond);
  EXPECT_TRUE(silent.ended);
  EXPECT_EQ(connections(), 0);
}

TEST_P(SimServerTest, GivesAQueryInSingleBytesNoMoreTimeThanNone) {
  std::vector<std::string> bytes;
  for (char c : Framed(AskFor(1), 1)) bytes.emplace_back(1, c);
  Talker& trickling = NewTalker();
  clients_.Spawn(SendSlowly(client_loop_, address(), bytes, kSecond, &trickling));
  world_.Run(kTcpIdle + 100 * kMillisecond);
  EXPECT_TRUE(trickling.connected);
  EXPECT_EQ(connections(), 0);
  EXPECT_TRUE(trickling.answers.empty());
}

TEST_P(SimServerTest, KeepsAConnectionThatAsksNowAndThen) {
  Talker& regular = NewTalker();
  std::vector<std::string> queries(5, Framed(AskFor(1), 1));
  clients_.Spawn(SendSlowly(client_loop_, address(), queries, 9 * kSecond, &regular));
  ASSERT_TRUE(world_.RunUntil([&] { return regular.ended; }, 2 * kMinute));
  EXPECT_EQ(regular.answers.size(), 5u);
  EXPECT_GE(regular.ended_at, 45 * kSecond + kTcpIdle);
}

// Asks for far more than the way to it holds, and reads nothing for `silence`.
io::Task<void> ReadLate(io::Proactor& loop, SocketAddress server, size_t queries, Nanos silence, Talker* me) {
  auto stream = co_await io::Dial(loop, server, loop.clock().Now() + kSecond);
  if (!stream.ok()) co_return;
  std::string all;
  for (size_t i = 0; i < queries; i++) all += Framed({.name = "big.demo.svc.fl.internal"}, static_cast<uint16_t>(i));
  me->connected = (co_await stream->Send(all)).ok();
  if (!(co_await io::Sleep(loop, silence)).ok()) co_return;
  co_await ReadAnswers(*stream, queries, &me->answers, &me->ended);
}

TEST_P(SimServerTest, AnswersOthersWhileAPeerDoesNotRead) {
  ServeBig();
  Talker &stuck = NewTalker(), &other = NewTalker();
  clients_.Spawn(ReadLate(client_loop_, address(), 20, kHour, &stuck));
  world_.Run(kSecond);
  ASSERT_TRUE(stuck.connected);
  clients_.Spawn(SendSlowly(client_loop_, address(), {Framed(AskFor(3), 3)}, 0, &other));
  questions_ = {AskFor(7)};
  clients_.Spawn(AskUntilAnswered(client_loop_, address(), questions_, &udp_));
  EXPECT_TRUE(world_.RunUntil([&] { return other.answers.size() == 1 && udp_.size() == 1; }, kSecond));
  EXPECT_EQ(connections(), 2);  // the stuck one is still waited for
  EXPECT_EQ(limits(), 0u);
}

TEST_P(SimServerTest, ClosesAPeerThatDoesNotReadForTenSeconds) {
  ServeBig();
  Talker& stuck = NewTalker();
  clients_.Spawn(ReadLate(client_loop_, address(), 20, kHour, &stuck));
  world_.Run(kTcpSend - 100 * kMillisecond);
  EXPECT_EQ(connections(), 1);
  world_.Run(200 * kMillisecond);
  EXPECT_EQ(connections(), 0);
  EXPECT_EQ(limits(), 1u);
}

TEST_P(SimServerTest, GivesASlowReaderEverything) {
  ServeBig();
  Talker& slow = NewTalker();
  clients_.Spawn(ReadLate(client_loop_, address(), 20, kTcpSend - kSecond, &slow));
  ASSERT_TRUE(world_.RunUntil([&] { return slow.answers.size() == 20; }, kMinute));
  for (uint16_t i = 0; i < 20; i++) {
    EXPECT_EQ(slow.answers[i].id, i);
    EXPECT_EQ(slow.answers[i].answer.size(), 4000u);
  }
}

}  // namespace
}  // namespace fairlead::dns
