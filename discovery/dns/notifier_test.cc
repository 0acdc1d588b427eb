// On the simulator: a secondary that answers late, once, or never.
#include "discovery/dns/notifier.h"

#include <gtest/gtest.h>

#include "base/sim/sim_proactor.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

const IpAddress kServerHost = Ip("10.0.0.1"), kSecondaryHost = Ip("10.0.0.2");

class NotifierTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  NotifierTest() : world_(GetParam()), server_loop_(world_, kServerHost), secondary_loop_(world_, kSecondaryHost) {
    zone_ = *Zone::Make({.zone = "fl.internal", .branch_zone = "ns.example.com"}, world_.clock());
  }
  ~NotifierTest() override {
    tasks_.Drain(server_loop_);
    tasks_of_secondary_.Drain(secondary_loop_);
  }
  void Start(const TsigKeys* keys = nullptr) {
    notifier_ = std::make_unique<Notifier>(server_loop_, *zone_, random_, metrics_, SocketAddress(kSecondaryHost, 53), keys);
    tasks_.Spawn(notifier_->Run());
    tasks_of_secondary_.Spawn(Listen(secondary_loop_, keys, this));
  }
  // Hears all, and answers those behind the first `deaf_`.
  static io::Task<void> Listen(io::Proactor& loop, const TsigKeys* keys, NotifierTest* test) {
    auto socket = io::UdpSocket::Open(loop, SocketAddress(kSecondaryHost, 53));
    CHECK(socket.ok());
    while ((co_await socket->Readable()).ok()) {
      Packet room(2000);
      for (io::Datagram got{.bytes = room}; socket->ReceiveBatch({&got, 1}) == 1; got.bytes = room) test->Hear(*socket, got, keys);
    }
  }
  void Hear(io::UdpSocket& socket, const io::Datagram& got, const TsigKeys* keys) {
    Packet message(got.bytes.begin(), got.bytes.end());
    EXPECT_EQ(Load16(&message[2]), 0x2400);  // NOTIFY, AA
    Packet as_question = message;
    Store16(&as_question[2], 0);
    Query query;
    CHECK(ReadQuery(as_question, &query) == ReadResult::kQuery);
    EXPECT_EQ(query.type, kSoa);
    heard_.emplace_back(NameToText(query.name()), world_.clock().Now());
    if (heard_.size() <= deaf_) return;
    Store16(&message[2], 0xa400);
    if (keys != nullptr) {
      Tsig tsig;
      auto now_s = static_cast<uint64_t>(world_.clock().WallNow() / kSecond);
      CHECK(tsig.Read(got.bytes, query.tsig_at));
      EXPECT_EQ(tsig.CheckQuestion(got.bytes, query.tsig_at, *keys, now_s), TsigError::kNone);
      size_t size = query.tsig_at;
      message.resize(size + 400);
      Store16(&message[10], 0);
      message.resize(tsig.SignAnswer(message, size, now_s));
    }
    io::Datagram answer{got.peer, {}, message};
    CHECK(socket.SendBatch({&answer, 1}) == 1);
  }
  uint64_t Count(const char* result) { return metrics_.counter("fairlead_dns_notifies_total", "", {{"result", result}}).value(); }

  sim::SimWorld world_;
  sim::SimProactor server_loop_, secondary_loop_;
  SeededRandom random_{GetParam()};
  Metrics metrics_;
  std::unique_ptr<Zone> zone_;
  std::unique_ptr<Notifier> notifier_;
  size_t deaf_ = 0;
  std::vector<std::pair<std::string, Nanos>> heard_;  // zone, when
  io::TaskGroup tasks_, tasks_of_secondary_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, NotifierTest, ::testing::Range<uint64_t>(0, 3));

TEST_P(NotifierTest, TellsEachZoneOnceForManyChanges) {
  Start();
  for (int i = 0; i < 10; i++) notifier_->Changed();
  ASSERT_TRUE(world_.RunUntil([&] { return Count("answered") == 2; }, 5 * kSecond));
  world_.Run(100 * kSecond);
  EXPECT_EQ(heard_.size(), 2u);
  EXPECT_EQ((std::set<std::string>{heard_[0].first, heard_[1].first}), (std::set<std::string>{"fl.internal.", "ns.example.com."}));
}

TEST_P(NotifierTest, TellsAgainWithGrowingPauses) {
  deaf_ = 2 * 3;
  Start();
  notifier_->Changed();
  ASSERT_TRUE(world_.RunUntil([&] { return Count("answered") == 2; }, 60 * kSecond));
  ASSERT_EQ(heard_.size(), 8u);
  EXPECT_GE(heard_[2].second - heard_[0].second, Notifier::kFirstPause);
  EXPECT_GE(heard_[4].second - heard_[2].second, 2 * Notifier::kFirstPause);
  EXPECT_GE(heard_[6].second - heard_[4].second, 4 * Notifier::kFirstPause);
}

TEST_P(NotifierTest, GivesUpAndTellsOfTheNextChange) {
  deaf_ = size_t{2} * Notifier::kTries;
  Start();
  notifier_->Changed();
  world_.Run(300 * kSecond);
  EXPECT_EQ(heard_.size(), size_t{2} * Notifier::kTries);
  EXPECT_EQ(Count("unanswered"), 2u);
  notifier_->Changed();
  EXPECT_TRUE(world_.RunUntil([&] { return Count("answered") == 2; }, 5 * kSecond));
}

TEST_P(NotifierTest, SignsAndTakesOnlySignedAnswers) {
  const TsigKeys keys = *TsigKeys::Parse("hmac-sha256:secondary:c2VjcmV0IG9mIGEgdGVzdA==", "keys");
  Start(&keys);
  notifier_->Changed();
  EXPECT_TRUE(world_.RunUntil([&] { return Count("answered") == 2; }, 5 * kSecond));
}

}  // namespace
}  // namespace fairlead::dns
