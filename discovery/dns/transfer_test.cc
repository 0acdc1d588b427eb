#include "discovery/dns/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "discovery/dns/answer_fixture.h"

namespace fairlead::dns {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kSecondary = "192.0.2.53";

// "OWNER TYPE DATA".
std::string Line(const AnsweredRecord& record) { return Cat(record.owner, " ", record.type, " ", record.data); }

class TransferTest : public AnswerTest {
 protected:
  TransferTest() { Restart(nullptr); }

  void Restart(const TsigKeys* keys) {
    transfers_ = std::make_unique<Transfers>(*zone_, lock_, metrics_, TransferOptions{{*Prefix::Parse("192.0.2.0/24")}, keys});
  }
  std::vector<Answered> Ask(const Packet& query, std::string_view source = kSecondary) {
    EXPECT_TRUE(Transfers::IsTransfer(query));
    std::vector<Answered> answers;
    auto transfer = transfers_->Begin(query, Ip(source));
    for (size_t taken = 0; Continue(*transfer, &answers); taken = answers.size()) {
      EXPECT_LE(answers.size(), taken + 1) << "more is made than its reader takes";
    }
    return answers;
  }
  static bool Continue(Transfer& transfer, std::vector<Answered>* answers) {
    bool more = transfer.Work();
    for (const std::string& message : transfer.TakeMessages()) {
      answers->push_back(ReadAnswer({reinterpret_cast<const uint8_t*>(message.data()), message.size()}));
    }
    return more;
  }
  std::vector<std::string> Lines(const std::string& zone) { return LinesOf(Ask(MakeQuery({.name = zone, .type = kAxfr}))); }
  static std::vector<std::string> LinesOf(const std::vector<Answered>& answers) {
    std::vector<std::string> lines;
    for (const Answered& a : answers) {
      EXPECT_EQ(a.rcode, 0);
      EXPECT_TRUE(a.has(flag::kAuthoritative));
      for (const AnsweredRecord& record : a.answer) lines.push_back(Line(record));
    }
    return lines;
  }
  uint64_t Results(const char* result) { return metrics_.counter("fairlead_dns_transfers_total", "", {{"result", result}}).value(); }

  ZoneLock lock_{1};
  std::unique_ptr<Transfers> transfers_;
};

TEST_F(TransferTest, GivesTheWholeZoneBetweenTwoSoas) {
  Load("text TXT hello\n*.wild A 192.0.2.1\n");
  discovery::EndpointRow row = Serving("web-1", "host1", "web", "demo", "10.40.0.10");
  row.branch = "feature";
  Change({Put("host1", row), Put("host1", Serving("api-1", "host1", "api", "demo", "10.40.0.11"))});
  std::vector<std::string> lines = Lines("fl.internal");
  ASSERT_GT(lines.size(), 2u);
  EXPECT_EQ(lines.front(), lines.back());
  EXPECT_THAT(lines.front(), ::testing::HasSubstr(Cat("fl.internal. 6 ns.fl.internal. hostmaster.fl.internal. ", zone_->serial())));
  for (const char* line : {"fl.internal. 2 ns.fl.internal.", "ns.fl.internal. 1 10.0.0.1", "host1.node.fl.internal. 1 10.0.0.1",
                           "api.demo.svc.fl.internal. 1 10.40.0.11", "api.demo.lb.fl.internal. 1 10.0.0.1",
                           "_http._tcp.api.demo.svc.fl.internal. 33 0 1 8080 10-40-0-11.api.demo.svc.fl.internal.",
                           "*.wild.fl.internal. 1 192.0.2.1"}) {
    EXPECT_THAT(lines, Contains(line));
  }
  EXPECT_EQ(std::set(lines.begin(), lines.end()).size(), lines.size() - 1) << "each record once";
  EXPECT_THAT(lines, Not(Contains(::testing::HasSubstr("ns.example.com"))));
  EXPECT_THAT(Lines("NS.example.com"), Contains("*.feature.demo.NS.example.com. 1 10.0.0.1"));
  EXPECT_EQ(Results("sent"), 2u);
}

TEST_F(TransferTest, GivesAReverseZoneAndTheCutToAZoneBelow) {
  Change({Put("host1", Lease("db", "shop", "10.40.0.7"))});
  EXPECT_THAT(Lines("0.40.10.in-addr.arpa"), Contains("7.0.40.10.in-addr.arpa. 12 db.host1.ct.fl.internal."));
  Load("inner SOA ns.inner hostmaster 1 2 3 4 5\ninner NS ns.inner\nns.inner A 192.0.2.7\nwww.inner A 192.0.2.8\n");
  std::vector<std::string> outer = Lines("fl.internal");
  EXPECT_THAT(outer, Contains("inner.fl.internal. 2 ns.inner.fl.internal."));
  EXPECT_THAT(outer, Not(Contains("www.inner.fl.internal. 1 192.0.2.8")));
  EXPECT_THAT(Lines("inner.fl.internal"), Contains("www.inner.fl.internal. 1 192.0.2.8"));
}

TEST_F(TransferTest, CutsALargeZoneIntoMessagesOfOneMoment) {
  for (int i = 0; i < 3000; i++) {
    Change({Put("host1", Serving(Cat("web-", i), "host1", Cat("s", i), "demo", Cat("10.40.", i >> 8, ".", i & 255)))});
  }
  std::vector<Answered> answers = Ask(MakeQuery({.name = "fl.internal", .type = kAxfr}, 77));
  EXPECT_GT(answers.size(), 3u);
  size_t records = 0, soas = 0;
  for (const Answered& a : answers) {
    EXPECT_EQ(a.id, 77);
    EXPECT_LE(a.bytes, Transfers::kMessageBytes + 600);
    records += a.answer.size();
    soas += static_cast<size_t>(std::count_if(a.answer.begin(), a.answer.end(), [](const auto& r) { return r.type == kSoa; }));
  }
  EXPECT_EQ(soas, 2u);
  // Each service: A, its target, SRV, the balancer's address, and two of its container.
  EXPECT_GE(records, 3000u * 6);
}

TEST_F(TransferTest, IsTheZoneOfItsBeginningWhateverChangesMeanwhile) {
  SeededRandom random(1);
  auto row = [&](uint64_t i) {
    discovery::EndpointRow made = Serving(Cat("web-", i), "host1", Cat("s", i / 2), "demo", Cat("10.40.", i >> 8, ".", i & 255));
    if (i % 10 == 0) made.branch = Cat("b", i);
    return made;
  };
  for (uint64_t i = 0; i < 1500; i++) Change({Put("host1", row(i))});
  for (const char* zone : {"fl.internal", "ns.example.com"}) {
    std::vector<std::string> want = Lines(zone);
    std::vector<Answered> answers;
    auto transfer = transfers_->Begin(MakeQuery({.name = zone, .type = kAxfr}), Ip(kSecondary));
    bool changed = false;
    while (Continue(*transfer, &answers)) {
      for (int i = 0; i < 40; i++) {
        discovery::EndpointRow one = row(random.Below(3000));  // known, gone since, or new
        if (random.OneIn(3)) {
          Change({Gone("host1", one)});
        } else {
          one.draining = random.OneIn(2);
          Change({Put("host1", one)});
        }
        changed = true;
      }
      if (random.OneIn(4)) Change({Put("host1", Lease(Cat("l", random.Below(50)), "demo", Cat("10.41.", random.Below(5), ".7")))});
    }
    EXPECT_FALSE(transfer->broken());
    ASSERT_TRUE(changed) << "it was made in one piece";
    std::vector<std::string> got = LinesOf(answers);
    EXPECT_EQ(got.front(), got.back());
    std::sort(want.begin(), want.end());
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, want);
  }
}

TEST_F(TransferTest, EndsBrokenWhenTheZonesAreLoadedAnew) {
  for (int i = 0; i < 1000; i++) Change({Put("host1", Serving(Cat("web-", i), "host1", Cat("s", i), "demo", Cat("10.40.", i >> 8, ".", i & 255)))});
  auto transfer = transfers_->Begin(MakeQuery({.name = "fl.internal", .type = kAxfr}), Ip(kSecondary));
  EXPECT_TRUE(transfer->Work());
  Load("text TXT hello\n");
  EXPECT_FALSE(transfer->Work());
  EXPECT_TRUE(transfer->broken());
}

TEST_F(TransferTest, AnswersIxfrWithAllOrWithItsSerial) {
  auto ixfr = [&](uint32_t serial) {
    Packet query = MakeQuery({.name = "fl.internal", .type = kIxfr});
    Store16(&query[8], 1);
    std::string soa("\300\14", 2);
    Append16(soa, kSoa);
    Append16(soa, kClassIn);
    Append32(soa, 0);
    Append16(soa, 22);
    soa += std::string(2, '\0');
    Append32(soa, serial);
    soa += std::string(16, '\0');
    query.insert(query.end(), soa.begin(), soa.end());
    return Ask(query);
  };
  EXPECT_THAT(ixfr(zone_->serial()).at(0).answer, SizeIs(1));
  EXPECT_THAT(ixfr(zone_->serial() + 1).at(0).answer, SizeIs(1));
  EXPECT_GT(ixfr(zone_->serial() - 1).at(0).answer.size(), 3u);
}

TEST_F(TransferTest, RefusesWhoIsNotAllowedAndNamesThatAreNoZones) {
  Packet query = MakeQuery({.name = "fl.internal", .type = kAxfr});
  EXPECT_EQ(Ask(query, "198.51.100.1").at(0).rcode, 5);
  EXPECT_EQ(Ask(MakeQuery({.name = "host1.node.fl.internal", .type = kAxfr})).at(0).rcode, 9);
  EXPECT_EQ(Ask(MakeQuery({.name = "example.org", .type = kAxfr})).at(0).rcode, 9);
  EXPECT_EQ(Ask(MakeQuery({.name = "fl.internal", .type = kAxfr, .klass = 3})).at(0).rcode, 5);
  EXPECT_EQ(Results("refused"), 4u);
}

TEST_F(TransferTest, SendsNoMoreThanSoManyAtOnce) {
  std::vector<std::unique_ptr<Transfer>> running;
  for (size_t i = 0; i < Transfers::kMaxAtOnce; i++) {
    running.push_back(transfers_->Begin(MakeQuery({.name = "fl.internal", .type = kAxfr}), Ip(kSecondary)));
  }
  EXPECT_EQ(Ask(MakeQuery({.name = "fl.internal", .type = kAxfr})).at(0).rcode, 2);
  EXPECT_EQ(Results("busy"), 1u);
  running.pop_back();
  EXPECT_EQ(Ask(MakeQuery({.name = "fl.internal", .type = kAxfr})).at(0).rcode, 0);
}

TEST_F(TransferTest, WantsASignatureWhereThereAreKeys) {
  const TsigKeys keys = *TsigKeys::Parse("hmac-sha256:secondary:c2VjcmV0IG9mIGEgdGVzdA==", "keys");
  Restart(&keys);
  Packet query = MakeQuery({.name = "fl.internal", .type = kAxfr});
  EXPECT_EQ(Ask(query).at(0).rcode, 5);
  Tsig tsig;
  size_t size = query.size();
  query.resize(size + 400);
  query.resize(tsig.SignQuestion(query, size, keys.first(), static_cast<uint64_t>(clock_.WallNow() / kSecond)));
  std::vector<Answered> answers = Ask(query);
  EXPECT_EQ(answers.at(0).rcode, 0);
  for (const Answered& a : answers) EXPECT_FALSE(a.tsig.empty());
  EXPECT_EQ(Ask(query, "198.51.100.1").at(0).rcode, 5) << "the address counts too";
}

TEST_F(TransferTest, ReadsShredsOfQuestions) {
  Packet query = MakeQuery({.name = "fl.internal", .type = kAxfr, .edns_bytes = 1232});
  for (size_t size = 0; size < query.size(); size++) {
    std::span<const uint8_t> shred(query.data(), size);
    if (!Transfers::IsTransfer(shred)) continue;
    auto answers = transfers_->Begin(shred, Ip(kSecondary))->TakeMessages();
    EXPECT_EQ(answers.at(0)[3] & 15, 1) << size;  // FORMERR
  }
}

}  // namespace
}  // namespace fairlead::dns
