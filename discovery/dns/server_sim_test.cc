// On the simulator: a network that loses and reorders, and what takes ten seconds of somebody's patience.
#include <gtest/gtest.h>

#include <unistd.h>

#include <deque>
#include <fstream>

#include "base/sim/sim_proactor.h"
#include "discovery/dns/dns.h"
#include "discovery/dns/server.h"
#include "discovery/dns/tcp_test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

const IpAddress kServerHost = Ip("10.0.0.1"), kClientHost = Ip("10.0.0.2"), kLateAddress = Ip("10.0.0.53");
constexpr int kServices = 40;
const Ask kBig{.name = "big.demo.svc.fl.internal"};

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
    config.forward = {upstream()};
    config.records = {records_};
    std::ofstream(records_) << "alias CNAME www.example.org.\n";
    config.transfer.allow = {*Prefix::Parse("10.0.0.0/8")};
    server_ = std::make_unique<NameServer>(server_loop_, config, world_.clock(), random_, metrics_);
    CHECK(server_->Start().ok());
    for (int i = 0; i < kServices; i++) {
      server_->OnChanges({Put("host1", Serving(Cat("c", i), "host1", Cat("s", i), "demo", AddressOf(i)))});
    }
  }
  ~SimServerTest() override {
    clients_.Drain(client_loop_);
    server_->Stop();
    unlink(records_.c_str());
  }

  static std::string AddressOf(int i) { return Cat("10.40.0.", i); }
  static Ask AskFor(int i) { return {.name = Cat("s", i, ".demo.svc.fl.internal")}; }
  SocketAddress address() const { return {kServerHost, 53}; }
  static SocketAddress upstream() { return {kClientHost, 5353}; }
  Talker& NewTalker() { return talkers_.emplace_back(); }
  uint64_t limits() { return metrics_.counter("fairlead_dns_tcp_limit_total", "").value(); }
  double connections() { return metrics_.gauge("fairlead_dns_tcp_connections", "").value(); }
  // "big" has answers of 64 KB: two of them fill the way to a reader that does not read.
  void ServeBig() {
    for (int i = 0; i < 4000; i++) {
      server_->OnChanges({Put("host1", Serving(Cat("b", i), "host1", "big", "demo", Cat("10.41.", i >> 8, ".", i & 255)))});
    }
  }

  const std::string records_ = Cat(::testing::TempDir(), "server_sim_", getpid(), ".zone");
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
io::Task<void> ReadLate(io::Proactor& loop, SocketAddress server, Ask ask, size_t queries, Nanos silence, Talker* me) {
  auto stream = co_await io::Dial(loop, server, loop.clock().Now() + kSecond);
  if (!stream.ok()) co_return;
  std::string all;
  for (size_t i = 0; i < queries; i++) all += Framed(ask, static_cast<uint16_t>(i));
  me->connected = (co_await stream->Send(all)).ok();
  if (!(co_await io::Sleep(loop, silence)).ok()) co_return;
  co_await ReadAnswers(*stream, ask.type == kAxfr ? SIZE_MAX : queries, &me->answers, &me->ended);
}

// A server of other names: says that there are none, once it is told to say anything.
io::Task<void> SayNoWhenTold(io::Proactor& loop, SocketAddress at, const bool* told, size_t* asked) {
  auto socket = io::UdpSocket::Open(loop, at);
  CHECK(socket.ok());
  std::deque<std::pair<SocketAddress, Packet>> questions;
  for (;;) {
    if (!(co_await io::Sleep(loop, 10 * kMillisecond)).ok()) co_return;
    Packet room(2000);
    for (io::Datagram got{.bytes = room}; socket->ReceiveBatch({&got, 1}) == 1; got.bytes = room) {
      questions.emplace_back(got.peer, Packet(got.bytes.begin(), got.bytes.end()));
      ++*asked;
    }
    for (; *told && !questions.empty(); questions.pop_front()) {
      auto& [peer, answer] = questions.front();
      Store16(&answer[2], 0x8183);
      io::Datagram datagram{peer, {}, answer};
      (void)socket->SendBatch({&datagram, 1});
    }
  }
}

TEST_P(SimServerTest, AnswersOwnNamesWhileOthersAreAskedForAForeignOne) {
  bool told = false;
  size_t asked = 0;
  clients_.Spawn(SayNoWhenTold(client_loop_, upstream(), &told, &asked));
  Talker& mixed = NewTalker();
  std::string pipeline = Framed({.name = "www.example.org"}, 1) + Framed(AskFor(2), 2) + Framed({.name = "mail.example.org"}, 3) + Framed(AskFor(4), 4);
  clients_.Spawn(SendSlowly(client_loop_, address(), {pipeline, Framed(AskFor(5), 5)}, 100 * kMillisecond, &mixed));
  ASSERT_TRUE(world_.RunUntil([&] { return mixed.answers.size() == 3 && asked >= 2; }, kSecond));
  for (size_t i = 0; i < 3; i++) {
    EXPECT_EQ(mixed.answers[i].id, (std::array{2, 4, 5})[i]);
    EXPECT_EQ(mixed.answers[i].rcode, 0);
  }
  told = true;
  ASSERT_TRUE(world_.RunUntil([&] { return mixed.answers.size() == 5; }, 5 * kSecond));
  EXPECT_EQ(mixed.answers[3].rcode, 3);
  EXPECT_EQ(mixed.answers[3].id + mixed.answers[4].id, 1 + 3);
}

TEST_P(SimServerTest, FindsTheTargetOfAnAliasOverUdpAndTcp) {
  bool told = true;
  size_t asked = 0;
  clients_.Spawn(SayNoWhenTold(client_loop_, upstream(), &told, &asked));
  Talker& tcp = NewTalker();
  Ask alias{.name = "alias.fl.internal"};
  questions_ = {alias};
  clients_.Spawn(SendSlowly(client_loop_, address(), {Framed(alias, 1) + Framed(AskFor(2), 2)}, 0, &tcp));
  clients_.Spawn(AskUntilAnswered(client_loop_, address(), questions_, &udp_));
  ASSERT_TRUE(world_.RunUntil([&] { return tcp.answers.size() == 2 && udp_.size() == 1; }, 5 * kSecond));
  EXPECT_EQ(tcp.answers[0].id, 2) << "what is known goes first";
  for (const Answered& a : {tcp.answers[1], udp_[0]}) {
    EXPECT_EQ(a.rcode, 3) << "of the target";
    EXPECT_EQ(a.data(), std::set<std::string>{"www.example.org."});
  }
}

// Asks and says that it asks no more, then listens until the end.
io::Task<void> AskAndShutDown(io::Proactor& loop, SocketAddress server, std::string queries, Talker* me) {
  auto stream = co_await io::Dial(loop, server, loop.clock().Now() + kSecond);
  if (!stream.ok() || !(co_await stream->Send(queries)).ok()) co_return;
  stream->ShutdownWrite();
  co_await ReadAnswers(*stream, SIZE_MAX, &me->answers, &me->ended);
}

TEST_P(SimServerTest, AnswersWhatItForwardedAfterAHalfClose) {
  bool told = false;
  size_t asked = 0;
  clients_.Spawn(SayNoWhenTold(client_loop_, upstream(), &told, &asked));
  Talker& brief = NewTalker();
  clients_.Spawn(AskAndShutDown(client_loop_, address(), Framed({.name = "www.example.org"}, 1), &brief));
  ASSERT_TRUE(world_.RunUntil([&] { return asked >= 1; }, kSecond));
  EXPECT_FALSE(brief.ended);
  told = true;
  ASSERT_TRUE(world_.RunUntil([&] { return brief.ended; }, 5 * kSecond));
  ASSERT_EQ(brief.answers.size(), 1u);
  EXPECT_EQ(brief.answers[0].id, 1);
  EXPECT_EQ(connections(), 0);
}

TEST_P(SimServerTest, HoldsAConnectionThatAsksForTooManyForeignNames) {
  bool told = false;
  size_t asked = 0;
  clients_.Spawn(SayNoWhenTold(client_loop_, upstream(), &told, &asked));
  Talker& greedy = NewTalker();
  std::string pipeline;
  for (uint16_t i = 0; i < 3 * kMaxForwardedPerTcp; i++) pipeline += Framed({.name = Cat("n", i, ".example.org")}, i);
  clients_.Spawn(SendSlowly(client_loop_, address(), {pipeline + Framed(AskFor(1), 9999)}, 0, &greedy));
  world_.Run(300 * kMillisecond);
  EXPECT_EQ(asked, kMaxForwardedPerTcp);
  told = true;
  ASSERT_TRUE(world_.RunUntil([&] { return greedy.answers.size() == 3 * kMaxForwardedPerTcp + 1; }, 10 * kSecond));
}

TEST_P(SimServerTest, AnswersOthersWhileASlowSecondaryTakesAZone) {
  ServeBig();
  Talker& secondary = NewTalker();
  clients_.Spawn(ReadLate(client_loop_, address(), {.name = "fl.internal", .type = kAxfr}, 1, 8 * kSecond, &secondary));
  world_.Run(kSecond);
  ASSERT_TRUE(secondary.connected);
  EXPECT_EQ(metrics_.counter("fairlead_dns_transfers_total", "", {{"result", "sent"}}).value(), 1u);
  for (int i = 0; i < kServices; i++) questions_.push_back(AskFor(i));
  clients_.Spawn(AskUntilAnswered(client_loop_, address(), questions_, &udp_));
  ASSERT_TRUE(world_.RunUntil([&] { return udp_.size() == questions_.size(); }, kSecond));
  server_->OnChanges({Gone("host1", Serving("b7", "host1", "big", "demo", "10.41.0.7"))});
  auto records = [&] {
    std::set<std::string> addresses;
    for (const Answered& a : secondary.answers) {
      for (const AnsweredRecord& r : a.answer) {
        if (r.owner == "big.demo.svc.fl.internal." && r.type == kA) addresses.insert(r.data);
      }
    }
    return addresses;
  };
  ASSERT_TRUE(world_.RunUntil([&] { return secondary.answers.size() > 1 && secondary.answers.back().answer.back().type == kSoa; }, kMinute));
  EXPECT_EQ(records().size(), 4000u) << "the zone of its beginning";
  EXPECT_TRUE(records().contains("10.41.0.7"));
}

TEST_P(SimServerTest, AnswersOthersWhileAPeerDoesNotRead) {
  ServeBig();
  Talker &stuck = NewTalker(), &other = NewTalker();
  clients_.Spawn(ReadLate(client_loop_, address(), kBig, 20, kHour, &stuck));
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
  clients_.Spawn(ReadLate(client_loop_, address(), kBig, 20, kHour, &stuck));
  world_.Run(kTcpSend - 100 * kMillisecond);
  EXPECT_EQ(connections(), 1);
  world_.Run(200 * kMillisecond);
  EXPECT_EQ(connections(), 0);
  EXPECT_EQ(limits(), 1u);
}

TEST_P(SimServerTest, GivesASlowReaderEverything) {
  ServeBig();
  Talker& slow = NewTalker();
  clients_.Spawn(ReadLate(client_loop_, address(), kBig, 20, kTcpSend - kSecond, &slow));
  ASSERT_TRUE(world_.RunUntil([&] { return slow.answers.size() == 20; }, kMinute));
  for (uint16_t i = 0; i < 20; i++) {
    EXPECT_EQ(slow.answers[i].id, i);
    EXPECT_EQ(slow.answers[i].answer.size(), 4000u);
  }
}

}  // namespace
}  // namespace fairlead::dns
