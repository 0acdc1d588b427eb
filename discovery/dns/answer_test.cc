#include "discovery/dns/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "discovery/dns/answer_fixture.h"
#include "discovery/names.h"

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

constexpr uint16_t kNoErrorCode = 0, kFormErrCode = 1, kNxDomainCode = 3, kNotImpCode = 4, kRefusedCode = 5, kBadVersCode = 16;

// --- header and question

TEST_F(AnswerTest, CopiesIdAndRecursionDesiredAndEchoesTheQuestionInItsCase) {
  Change({Put("host1", Serving("web-1", "host1", "web", "demo", "10.40.0.10"))});
  Packet query = MakeQuery({.name = "WeB.dEmO.svc.FL.internal"}, 0xbeef);
  Answered a = Exchange(*answerer_, query);
  EXPECT_EQ(a.id, 0xbeef);
  EXPECT_EQ(a.flags, 0x8500);  // QR, AA, RD
  EXPECT_EQ(a.question, std::string(query.begin() + kHeaderBytes, query.end()));
  EXPECT_THAT(a.data(), ElementsAre("10.40.0.10"));
  EXPECT_EQ(a.answer[0].owner, "WeB.dEmO.svc.FL.internal.");
  EXPECT_EQ(a.answer[0].ttl_s, 5u);
}

TEST_F(AnswerTest, ClearsReservedBitsAndKeepsCheckingDisabled) {
  EXPECT_EQ(Dig({.name = "fl.internal", .flags = 0x0070}).flags, 0x8410);  // Z and AD are not copied
}

TEST_F(AnswerTest, SaysNothingToResponsesAndShreds) {
  EXPECT_TRUE(Dig({.name = "fl.internal", .flags = 0x8100}).silent);
  EXPECT_TRUE(Exchange(*answerer_, Packet(11)).silent);
  EXPECT_EQ(metrics_.counter("fairlead_dns_dropped_total", "").value(), 2u);
}

TEST_F(AnswerTest, AnswersOtherOpcodesNotImplemented) {
  for (uint16_t opcode : {1, 2, 4, 5, 6, 15}) {
    Answered a = Dig({.name = "fl.internal", .flags = static_cast<uint16_t>(opcode << 11)});
    EXPECT_EQ(a.rcode, kNotImpCode);
    EXPECT_EQ(a.flags >> 11 & 15, opcode);
  }
}

TEST_F(AnswerTest, AnswersFormatErrorWhenQdcountIsNotOne) {
  Packet query = MakeQuery({.name = "fl.internal"});
  query[5] = 0;
  EXPECT_EQ(Exchange(*answerer_, query).rcode, kFormErrCode);
  query[5] = 2;
  EXPECT_EQ(Exchange(*answerer_, query).rcode, kFormErrCode);
}

TEST_F(AnswerTest, GivesNoInternetDataInOtherClasses) {
  for (uint16_t klass : {3, 4, 254, 255}) {
    Answered a = Dig({.name = "fl.internal", .type = kSoa, .klass = klass});
    EXPECT_EQ(a.rcode, kRefusedCode);
    EXPECT_THAT(a.answer, IsEmpty());
  }
}

TEST_F(AnswerTest, RefusesNamesOutsideItsZones) {
  for (const char* name : {"example.org", "internal", ".", "xfl.internal", "7.0.40.10.in-addr.arpa"}) {
    Answered a = Dig({.name = name});
    EXPECT_EQ(a.rcode, kRefusedCode) << name;
    EXPECT_FALSE(a.has(flag::kAuthoritative)) << name;
  }
}

TEST_F(AnswerTest, RefusesTransfersAndMetaTypes) {
  EXPECT_EQ(Dig({.name = "fl.internal", .type = kAxfr}).rcode, kRefusedCode);
  EXPECT_EQ(Dig({.name = "fl.internal", .type = kIxfr}).rcode, kRefusedCode);
  EXPECT_EQ(Dig({.name = "fl.internal", .type = 250}).rcode, kNotImpCode);
  EXPECT_EQ(Dig({.name = "fl.internal", .type = kOpt}).rcode, kFormErrCode);
}

TEST_F(AnswerTest, AnswersAnySmall) {
  Change({Put("host1", Serving("web-1", "host1", "web", "demo", "10.40.0.10"))});
  Answered a = Dig({.name = "web.demo.svc.fl.internal", .type = kAny});
  ASSERT_THAT(a.answer, SizeIs(1));
  EXPECT_EQ(a.answer[0].type, kHinfo);
  EXPECT_EQ(Dig({.name = "nobody.demo.svc.fl.internal", .type = kAny}).rcode, kNxDomainCode);
}

TEST_F(AnswerTest, CountsQueriesByRcode) {
  Dig({.name = "fl.internal", .type = kSoa});
  Dig({.name = "nobody.fl.internal"});
  Dig({.name = "example.org"});
  EXPECT_EQ(Count("NOERROR"), 1u);
  EXPECT_EQ(Count("NXDOMAIN"), 1u);
  EXPECT_EQ(Count("REFUSED"), 1u);
}

// --- EDNS and size

TEST_F(AnswerTest, SendsOptIfAndOnlyIfAsked) {
  for (const char* name : {"fl.internal", "nobody.fl.internal", "example.org"}) {
    EXPECT_FALSE(Dig({.name = name}).has_edns);
    Answered a = Dig({.name = name, .edns_bytes = 4096});
    EXPECT_TRUE(a.has_edns) << name;
    EXPECT_EQ(a.edns_bytes, 1232);
    EXPECT_FALSE(a.dnssec_ok);
    EXPECT_TRUE(Dig({.name = name, .edns_bytes = 4096, .dnssec_ok = true}).dnssec_ok);
  }
  EXPECT_TRUE(DigTcp({.name = "fl.internal", .edns_bytes = 4096}).has_edns);
}

TEST_F(AnswerTest, AnswersBadVersionToALaterEdns) {
  Answered a = Dig({.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .edns_version = 1});
  EXPECT_EQ(a.rcode, kBadVersCode);
  EXPECT_THAT(a.answer, IsEmpty());
}

class LargeAnswerTest : public AnswerTest {
 protected:
  LargeAnswerTest() {
    for (int i = 0; i < 200; i++) {
      std::string name = Cat("web-", i);
      Change({Put("host1", Serving(name, "host1", "web", "demo", Cat("10.40.1.", i)))});
    }
  }
};

TEST_F(LargeAnswerTest, IsTruncatedOverUdpAndWholeOverTcp) {
  struct Case {
    uint16_t edns_bytes;
    size_t limit;
  };
  for (Case test : {Case{0, 512}, Case{100, 512}, Case{700, 700}, Case{1232, 1232}, Case{65535, 1232}}) {
    for (uint16_t type : {kA, kSrv}) {
      std::string name = type == kA ? "web.demo.svc.fl.internal" : "_http._tcp.web.demo.svc.fl.internal";
      Answered a = Dig({.name = name, .type = type, .edns_bytes = test.edns_bytes});
      EXPECT_TRUE(a.has(flag::kTruncated));
      EXPECT_LE(a.bytes, test.limit);
      EXPECT_GT(a.answer.size(), 0u);  // as many as fit: some askers make do with them
    }
  }
  EXPECT_EQ(metrics_.counter("fairlead_dns_truncated_total", "").value(), 10u);
  Answered whole = DigTcp({.name = "web.demo.svc.fl.internal"});
  EXPECT_FALSE(whole.has(flag::kTruncated));
  EXPECT_THAT(whole.data(), SizeIs(200));
  EXPECT_THAT(DigTcp({.name = "_http._tcp.web.demo.svc.fl.internal", .type = kSrv}).data(), SizeIs(200));
}

TEST_F(AnswerTest, LeavesOutAdditionalRecordsWithoutTruncation) {
  for (int i = 0; i < 7; i++) {
    Change({Put("host1", Serving(Cat("web-", i), "host1", "web", "demo", Cat("10.40.1.", i)))});
  }
  Answered a = Dig({.name = "_http._tcp.web.demo.svc.fl.internal", .type = kSrv});
  EXPECT_FALSE(a.has(flag::kTruncated));
  EXPECT_THAT(a.answer, SizeIs(7));
  EXPECT_LT(a.additional.size(), 7u);
  EXPECT_LE(a.bytes, 512u);
}

TEST_F(AnswerTest, RotatesAddresses) {
  for (int i = 1; i <= 3; i++) {
    Change({Put("host1", Serving(Cat("web-", i), "host1", "web", "demo", Cat("10.40.0.", i)))});
  }
  std::map<std::string, int> first;
  for (int i = 0; i < 9; i++) {
    Answered a = Dig({.name = "web.demo.svc.fl.internal"});
    ASSERT_THAT(a.data(), SizeIs(3));
    ++first[a.answer[0].data];
  }
  EXPECT_THAT(first, UnorderedElementsAre(std::pair("10.40.0.1", 3), std::pair("10.40.0.2", 3), std::pair("10.40.0.3", 3)));
}

// --- negative answers

TEST_F(AnswerTest, TellsNoSuchNameFromNoSuchData) {
  Change({Put("host1", Serving("web-1", "host1", "web", "demo", "10.40.0.10"))});
  Answered no_data = Dig({.name = "web.demo.svc.fl.internal", .type = kAaaa});
  EXPECT_EQ(no_data.rcode, kNoErrorCode);
  EXPECT_THAT(no_data.answer, IsEmpty());
  Answered no_name = Dig({.name = "other.demo.svc.fl.internal"});
  EXPECT_EQ(no_name.rcode, kNxDomainCode);
  for (const Answered& a : {no_data, no_name}) {
    ASSERT_THAT(a.authority, SizeIs(1));
    EXPECT_EQ(a.authority[0].type, kSoa);
    EXPECT_EQ(a.authority[0].owner, "fl.internal.");
    EXPECT_EQ(a.authority[0].ttl_s, 1u);
    EXPECT_TRUE(a.has(flag::kAuthoritative));
  }
}

TEST_F(AnswerTest, KnowsEmptyNonTerminals) {
  Change({Put("host1", Serving("web-1", "host1", "web", "demo", "10.40.0.10"))});
  for (const char* name : {"demo.svc.fl.internal", "svc.fl.internal", "_tcp.web.demo.svc.fl.internal", "ct.fl.internal"}) {
    EXPECT_EQ(Dig({.name = name}).rcode, kNoErrorCode) << name;
  }
}

TEST_F(AnswerTest, HasNoDataForTypesItDoesNotKnow) {
  for (uint16_t type : {64, 65, 99, 1000, 65535}) {
    EXPECT_EQ(Dig({.name = "fl.internal", .type = type}).rcode, kNoErrorCode) << type;
  }
}

TEST_F(AnswerTest, TakesTheLeastOfSoaTtlAndMinimumForNegativeAnswers) {
  Load("@ 60 SOA ns hostmaster 7 3600 600 86400 900\n");
  EXPECT_EQ(Dig({.name = "nobody.fl.internal"}).authority.at(0).ttl_s, 60u);
  Load("@ 900 SOA ns hostmaster 7 3600 600 86400 30\n");
  EXPECT_EQ(Dig({.name = "nobody.fl.internal"}).authority.at(0).ttl_s, 30u);
}

TEST_F(AnswerTest, SerialGrowsWithEveryChange) {
  auto serial = [&] { return zone_->serial(); };
  uint32_t before = serial();
  Change({Put("host1", Serving("web-1", "host1", "web", "demo", "10.40.0.10"))});
  EXPECT_GT(serial(), before);
  EXPECT_THAT(Dig({.name = "fl.internal", .type = kSoa}).answer.at(0).data, ::testing::HasSubstr(Cat(" ", serial(), " ")));
}

// --- names of the contract

TEST_F(AnswerTest, NamesOnlyEndpointsThatMayTakeTraffic) {
  discovery::EndpointRow row = Serving("web-1", "host1", "web", "demo", "10.40.0.10");
  Change({Put("host1", row)});
  EXPECT_THAT(Dig({.name = "web.demo.svc.fl.internal"}).data(), ElementsAre("10.40.0.10"));
  row.draining = true;
  Change({Put("host1", row)});
  Answered a = Dig({.name = "web.demo.svc.fl.internal"});
  EXPECT_EQ(a.rcode, kNoErrorCode);  // a known service without a ready endpoint: no data, not no name
  EXPECT_THAT(a.answer, IsEmpty());
  Change({Gone("host1", row)});
  EXPECT_EQ(Dig({.name = "web.demo.svc.fl.internal"}).rcode, kNxDomainCode);
}

TEST_F(AnswerTest, GivesSrvWithTheAddressOfEachTarget) {
  discovery::EndpointRow row = Serving("web-1", "host1", "web", "demo", "10.40.0.10");
  row.services[0].ports.push_back({"metrics", 9090, "tcp"});
  row.services[0].weight = 3;
  Change({Put("host1", row)});
  Answered a = Dig({.name = "_HTTP._tcp.web.demo.svc.fl.internal", .type = kSrv});
  EXPECT_THAT(a.data(), ElementsAre("0 3 8080 10-40-0-10.web.demo.svc.fl.internal."));
  ASSERT_THAT(a.additional, SizeIs(1));
  EXPECT_EQ(a.additional[0].owner, "10-40-0-10.web.demo.svc.fl.internal.");
  EXPECT_EQ(a.additional[0].data, "10.40.0.10");
  EXPECT_THAT(Dig({.name = "_metrics._tcp.web.demo.svc.fl.internal", .type = kSrv}).data(),
              ElementsAre("0 3 9090 10-40-0-10.web.demo.svc.fl.internal."));
  EXPECT_THAT(Dig({.name = "10-40-0-10.web.demo.svc.fl.internal"}).data(), ElementsAre("10.40.0.10"));
}

TEST_F(AnswerTest, GivesSrvOfOtherPortsOnlyWherePublished) {
  discovery::EndpointRow row = Endpoint("web-1", "host1", "demo", "172.17.0.2");
  row.services = {Service("web", "demo", "10.0.0.1", 18080)};
  row.services[0].ports = {{"http", 80, "tcp"}, {"metrics", 9090, "tcp"}, {"debug", 6060, "tcp"}};
  row.published_ports = {{80, "tcp", {}, 18080}, {9090, "tcp", {}, 19090}};
  Change({Put("host1", row)});
  EXPECT_THAT(Dig({.name = "_http._tcp.web.demo.svc.fl.internal", .type = kSrv}).data(),
              ElementsAre("0 1 18080 10-0-0-1.web.demo.svc.fl.internal."));
  EXPECT_THAT(Dig({.name = "_metrics._tcp.web.demo.svc.fl.internal", .type = kSrv}).data(),
              ElementsAre("0 1 19090 10-0-0-1.web.demo.svc.fl.internal."));
  EXPECT_THAT(Dig({.name = "_debug._tcp.web.demo.svc.fl.internal", .type = kSrv}).data(), IsEmpty());
}

// The only string of each TXT record.
std::set<std::string> Texts(const Answered& answer) {
  std::set<std::string> texts;
  for (const std::string& hex : answer.data()) {
    std::string text;
    for (size_t i = 2; i < hex.size(); i += 2) text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    texts.insert(text);
  }
  return texts;
}

TEST_F(AnswerTest, TellsReleasesOfAServiceAndWhatAnEndpointIs) {
  discovery::EndpointRow row = Serving("web-1", "host2", "web", "demo", "10.40.0.10");
  row.release = "2.0";
  row.env = "prod";
  discovery::EndpointRow second = Serving("web-2", "host2", "web", "demo", "10.40.0.11");
  second.release = "1.9";
  Change({Put("host2", row), Put("host2", second)});
  EXPECT_THAT(Texts(Dig({.name = "web.demo.svc.fl.internal", .type = kTxt})), ElementsAre("release=1.9", "release=2.0"));
  EXPECT_THAT(Texts(Dig({.name = "10-40-0-10.web.demo.svc.fl.internal", .type = kTxt})),
              ElementsAre("container=web-1", "env=prod", "node=host2", "release=2.0"));
  second.draining = true;
  Change({Put("host2", second)});
  EXPECT_THAT(Texts(Dig({.name = "web.demo.svc.fl.internal", .type = kTxt})), ElementsAre("release=2.0"));
}

TEST_F(AnswerTest, CutsALongTextIntoStrings) {
  std::string data = TxtData(std::string(300, 'x'));
  EXPECT_EQ(data, Cat("\xff", std::string(255, 'x'), "\x2d", std::string(45, 'x')));
  EXPECT_EQ(TxtData(""), std::string(1, '\0'));
}

TEST_F(AnswerTest, GivesTheBalancerForServicesAndBranches) {
  discovery::EndpointRow row = Serving("web-1", "host2", "web", "demo", "10.40.0.10");
  row.branch = "Feature/Login_2";
  Change({Put("host2", row)});
  for (const char* name : {"web--feature-login_2.demo.lb.fl.internal", "feature-login-2.demo.ns.example.com",
                           "web.feature-login-2.demo.ns.example.com", "a.b.c.feature-login-2.demo.ns.example.com",
                           "feature-login-2--demo.ns.example.com", "web--feature-login-2--demo.ns.example.com"}) {
    EXPECT_THAT(Dig({.name = name}).data(), ElementsAre("10.0.0.1")) << name;
  }
  Answered below = Dig({.name = "a.feature-login-2.demo.ns.example.com", .type = kTxt});
  EXPECT_EQ(below.rcode, kNoErrorCode);
  EXPECT_EQ(below.authority.at(0).owner, "ns.example.com.");
  EXPECT_EQ(Dig({.name = "other.demo.ns.example.com"}).rcode, kNxDomainCode);
  Change({Gone("host2", row)});
  EXPECT_EQ(Dig({.name = "a.feature-login-2.demo.ns.example.com"}).rcode, kNxDomainCode);
}

TEST_F(AnswerTest, ABranchAppearsWhenItsFirstContainerIsHealthyAndGoesWithTheLast) {
  using discovery::HealthState, discovery::RunState;
  discovery::EndpointRow first = Serving("web-1", "host2", "web", "demo", "10.40.0.10"), second = Serving("web-2", "host2", "web", "demo", "10.40.0.11");
  first.branch = second.branch = "b";
  auto there = [&](discovery::EndpointRow& row, RunState state, HealthState health, bool was_healthy) {
    row.state = state;
    row.health = health;
    row.was_healthy = was_healthy;
    Change({Put("host2", row)});
    int found = 0;
    for (const char* name : {"b.demo.ns.example.com", "any.b.demo.ns.example.com", "b--demo.ns.example.com", "web--b--demo.ns.example.com"}) {
      found += Dig({.name = name}).rcode == kNoErrorCode;
    }
    EXPECT_TRUE(found == 0 || found == 4) << found;
    return found == 4;
  };
  EXPECT_FALSE(there(first, RunState::kCreated, HealthState::kNone, false));
  EXPECT_FALSE(there(first, RunState::kRunning, HealthState::kStarting, false));
  EXPECT_FALSE(there(first, RunState::kRunning, HealthState::kUnhealthy, false)) << "it never was";
  EXPECT_TRUE(there(first, RunState::kRunning, HealthState::kHealthy, true));
  EXPECT_TRUE(there(first, RunState::kRunning, HealthState::kUnhealthy, true)) << "it has not stopped";
  EXPECT_TRUE(there(second, RunState::kRunning, HealthState::kNone, false));
  EXPECT_TRUE(there(first, RunState::kExited, HealthState::kNone, true)) << "the other is there";
  EXPECT_FALSE(there(second, RunState::kExited, HealthState::kNone, false));
}

TEST_F(AnswerTest, FollowsTheBalancerToANewAddress) {
  discovery::EndpointRow row = Serving("web-1", "host2", "web", "demo", "10.40.0.10");
  Change({Put("host2", row)});
  Change({Put("host1", discovery::NodeRow{"host1", "sh", {Ip("10.0.0.9"), Ip("fd00::9")}})});
  EXPECT_THAT(Dig({.name = "web.demo.lb.fl.internal"}).data(), ElementsAre("10.0.0.9"));
  EXPECT_THAT(Dig({.name = "web.demo.lb.fl.internal", .type = kAaaa}).data(), ElementsAre("fd00::9"));
}

TEST_F(AnswerTest, NamesContainersByNodeAndAloneWhileUnique) {
  Change({Put("host1", Lease("db", "shop", "10.40.0.7"))});  // it does not run: the lease is enough
  EXPECT_THAT(Dig({.name = "db.host1.ct.fl.internal"}).data(), ElementsAre("10.40.0.7"));
  EXPECT_THAT(Dig({.name = "db.ct.fl.internal"}).data(), ElementsAre("10.40.0.7"));
  Change({Put("host2", Lease("db", "shop", "10.40.0.8"))});
  EXPECT_EQ(Dig({.name = "db.ct.fl.internal"}).rcode, kNxDomainCode);
  EXPECT_THAT(Dig({.name = "db.host2.ct.fl.internal"}).data(), ElementsAre("10.40.0.8"));
  Change({Gone("host1", Lease("db", "shop", "10.40.0.7"))});
  EXPECT_THAT(Dig({.name = "db.ct.fl.internal"}).data(), ElementsAre("10.40.0.8"));
}

TEST_F(AnswerTest, NamesHosts) {
  EXPECT_THAT(Dig({.name = "host1.node.fl.internal"}).data(), ElementsAre("10.0.0.1"));
}

TEST_F(AnswerTest, PointsLeasedAddressesAtTheirContainer) {
  Change({Put("host1", Lease("db", "shop", "10.40.0.7")), Put("host1", Lease("db6", "shop", "fd00::7"))});
  Answered a = Dig({.name = "7.0.40.10.in-addr.arpa", .type = kPtr});
  EXPECT_THAT(a.data(), ElementsAre("db.host1.ct.fl.internal."));
  EXPECT_TRUE(a.has(flag::kAuthoritative));
  EXPECT_THAT(Dig({.name = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", .type = kPtr}).data(),
              ElementsAre("db6.host1.ct.fl.internal."));
}

TEST_F(AnswerTest, IsAuthoritativeForTheSlash24OfALeaseOnly) {
  Change({Put("host1", Lease("db", "shop", "10.40.0.7"))});
  Answered free = Dig({.name = "8.0.40.10.in-addr.arpa", .type = kPtr});
  EXPECT_EQ(free.rcode, kNxDomainCode);
  EXPECT_EQ(free.authority.at(0).owner, "0.40.10.in-addr.arpa.");
  EXPECT_EQ(Dig({.name = "7.1.40.10.in-addr.arpa", .type = kPtr}).rcode, kRefusedCode);
  Change({Gone("host1", Lease("db", "shop", "10.40.0.7"))});
  EXPECT_EQ(Dig({.name = "7.0.40.10.in-addr.arpa", .type = kPtr}).rcode, kRefusedCode);
}

TEST_F(AnswerTest, SaysNothingOfProvisionalLeases) {
  discovery::LeaseRow lease = Lease("pending-1", "shop", "10.40.0.7");
  lease.provisional = true;
  Change({Put("host1", lease)});
  EXPECT_EQ(Dig({.name = "pending-1.ct.fl.internal"}).rcode, kNxDomainCode);
}

TEST_F(AnswerTest, GivesTheLaterOfTwoContainersWithOneLabelTheHashTail) {
  std::string tail = discovery::HashedLabel("db-1", "db-1");
  Change({Put("host1", Lease("Db.1", "shop", "10.40.0.7")), Put("host1", Lease("db-1", "shop", "10.40.0.8"))});
  EXPECT_THAT(Dig({.name = "db-1.host1.ct.fl.internal"}).data(), ElementsAre("10.40.0.7"));
  EXPECT_THAT(Dig({.name = Cat(tail, ".host1.ct.fl.internal")}).data(), ElementsAre("10.40.0.8"));
  EXPECT_THAT(Dig({.name = "8.0.40.10.in-addr.arpa", .type = kPtr}).data(), ElementsAre(Cat(tail, ".host1.ct.fl.internal.")));
  EXPECT_THAT(Dig({.name = "db-1"}, "10.40.0.8").data(), ElementsAre("10.40.0.7"));
  EXPECT_THAT(Dig({.name = tail}, "10.40.0.8").data(), ElementsAre("10.40.0.8"));
}

TEST_F(AnswerTest, KeepsContainersLabelsOverChangesAndReloads) {
  std::string tail = discovery::HashedLabel("db-1", "db-1");
  discovery::LeaseRow first = Lease("Db.1", "shop", "10.40.0.7"), later = Lease("db-1", "shop", "10.40.0.8");
  Change({Put("host1", first), Put("host1", later), Put("host1", Endpoint("db-1", "host1", "shop", "10.40.0.8"))});
  later.attached = true;
  Change({Put("host1", later)});
  Load("x A 192.0.2.1\n");
  Change({Gone("host1", first)});
  EXPECT_THAT(Dig({.name = Cat(tail, ".ct.fl.internal")}).data(), ElementsAre("10.40.0.8"));
  EXPECT_EQ(Dig({.name = "db-1.ct.fl.internal"}).rcode, kNxDomainCode);
  Change({Gone("host1", later), Gone("host1", Endpoint("db-1", "host1", "shop", "10.40.0.8"))});
  Change({Put("host1", later)});  // nobody has the plain label any more
  EXPECT_THAT(Dig({.name = "db-1.ct.fl.internal"}).data(), ElementsAre("10.40.0.8"));
}

// --- names of one label

TEST_F(AnswerTest, AnswersOneLabelFromTheAskersProject) {
  discovery::EndpointRow db = Endpoint("db", "host2", "demo", "10.40.0.20");
  db.aliases = {"database"};
  Change({Put("host1", Lease("asker", "demo", "10.40.0.5")),
          Put("host1", Serving("web-1", "host1", "web", "demo", "10.40.0.10")),
          Put("host1", Serving("web-9", "host1", "web", "other", "10.40.0.19")), Put("host2", db)});
  EXPECT_THAT(Dig({.name = "web"}, "10.40.0.5").data(), ElementsAre("10.40.0.10"));
  EXPECT_THAT(Dig({.name = "DB"}, "10.40.0.5").data(), ElementsAre("10.40.0.20"));
  EXPECT_THAT(Dig({.name = "database"}, "10.40.0.5").data(), ElementsAre("10.40.0.20"));
  Answered no_data = Dig({.name = "web", .type = kAaaa}, "10.40.0.5");
  EXPECT_EQ(no_data.rcode, kNoErrorCode);
  EXPECT_EQ(no_data.authority.at(0).owner, ".");
  EXPECT_EQ(Dig({.name = "nobody"}, "10.40.0.5").rcode, kNxDomainCode);
}

// The branch is made by a copy of the project's compose file: each part of it must find its own neighbours.
TEST_F(AnswerTest, KeepsAProjectAndItsBranchesApart) {
  auto of_branch = [](std::string name, std::string branch, std::string_view ip) {
    discovery::EndpointRow row = Serving(name, "host1", "db", "shop", ip);
    row.branch = std::move(branch);
    row.aliases = {"cache"};
    return row;
  };
  Change({Put("host1", of_branch("db-1", "", "10.40.0.1")), Put("host1", of_branch("db-2", "feat/X", "10.40.0.2")),
          Put("host1", of_branch("db-3", "feat/Y", "10.40.0.3")), Put("host1", Serving("mail-1", "host1", "mail", "shop", "10.40.0.4"))});
  EXPECT_THAT(Dig({.name = "db.shop.svc.fl.internal"}).data(), ElementsAre("10.40.0.1"));
  EXPECT_THAT(Dig({.name = "db--feat-x.shop.svc.fl.internal"}).data(), ElementsAre("10.40.0.2"));
  EXPECT_THAT(Dig({.name = "_http._tcp.db.shop.svc.fl.internal", .type = kSrv}).data(),
              ElementsAre("0 1 8080 10-40-0-1.db.shop.svc.fl.internal."));
  for (const char* ip : {"10.40.0.1", "10.40.0.2", "10.40.0.3"}) {
    EXPECT_THAT(Dig({.name = "db"}, ip).data(), ElementsAre(ip));
    EXPECT_THAT(Dig({.name = "cache"}, ip).data(), ElementsAre(ip));
    EXPECT_THAT(Dig({.name = "mail"}, ip).data(), ElementsAre("10.40.0.4")) << "what the branch has not got is the project's";
    EXPECT_THAT(Dig({.name = "db-2"}, ip).data(), ElementsAre("10.40.0.2")) << "a container's own name is known to all of them";
  }
}

TEST_F(AnswerTest, PutsServiceBeforeContainerBeforeAlias) {
  discovery::EndpointRow container = Endpoint("x", "host1", "demo", "10.40.0.2");
  discovery::EndpointRow alias = Endpoint("other", "host1", "demo", "10.40.0.3");
  alias.aliases = {"x"};
  discovery::EndpointRow service = Serving("third", "host1", "x", "demo", "10.40.0.1");
  Change({Put("host1", alias)});
  EXPECT_THAT(Dig({.name = "x"}, "10.40.0.3").data(), ElementsAre("10.40.0.3"));
  Change({Put("host1", container)});
  EXPECT_THAT(Dig({.name = "x"}, "10.40.0.3").data(), ElementsAre("10.40.0.2"));
  Change({Put("host1", service)});
  EXPECT_THAT(Dig({.name = "x"}, "10.40.0.3").data(), ElementsAre("10.40.0.1"));
}

TEST_F(AnswerTest, RefusesOneLabelFromAnAddressWithoutLease) {
  Change({Put("host1", Serving("web-1", "host1", "web", "demo", "10.40.0.10"))});
  EXPECT_EQ(Dig({.name = "web"}, "192.0.2.1").rcode, kRefusedCode);
}

// --- records of master files

constexpr std::string_view kWildcards = R"(
$ORIGIN wild.fl.internal.
*            A     192.0.2.1
explicit     TXT   "here"
a.b          A     192.0.2.2
*.sub        MX    10 mail.sub
mail.sub     A     192.0.2.3
)";

TEST_F(AnswerTest, MatchesWildcardsByTheClosestEncloser) {
  Load(kWildcards);
  EXPECT_THAT(Dig({.name = "anything.wild.fl.internal"}).data(), ElementsAre("192.0.2.1"));
  EXPECT_THAT(Dig({.name = "two.labels.wild.fl.internal"}).data(), ElementsAre("192.0.2.1"));
  EXPECT_EQ(Dig({.name = "anything.wild.fl.internal"}).answer[0].owner, "anything.wild.fl.internal.");
  EXPECT_THAT(Dig({.name = "*.wild.fl.internal"}).data(), ElementsAre("192.0.2.1"));
}

TEST_F(AnswerTest, LetsNamesThatExistBlockAWildcard) {
  Load(kWildcards);
  Answered explicit_name = Dig({.name = "explicit.wild.fl.internal"});
  EXPECT_EQ(explicit_name.rcode, kNoErrorCode);
  EXPECT_THAT(explicit_name.answer, IsEmpty());
  EXPECT_EQ(Dig({.name = "below.explicit.wild.fl.internal"}).rcode, kNxDomainCode);
  EXPECT_THAT(Dig({.name = "b.wild.fl.internal"}).answer, IsEmpty());            // an empty non-terminal
  EXPECT_EQ(Dig({.name = "x.b.wild.fl.internal"}).rcode, kNxDomainCode);         // closest encloser is b, not wild
}

TEST_F(AnswerTest, HasNoDataWhereTheWildcardLacksTheType) {
  Load(kWildcards);
  Answered a = Dig({.name = "anything.wild.fl.internal", .type = kAaaa});
  EXPECT_EQ(a.rcode, kNoErrorCode);
  EXPECT_EQ(a.authority.at(0).type, kSoa);
  EXPECT_THAT(Dig({.name = "x.sub.wild.fl.internal", .type = kMx}).data(), ElementsAre("10 mail.sub.wild.fl.internal."));
  EXPECT_THAT(Dig({.name = "x.sub.wild.fl.internal"}).answer, IsEmpty());
}

TEST_F(AnswerTest, PutsAliasesFirstAndFollowsThemInsideItsZones) {
  Load("www CNAME web\nweb CNAME real\nreal A 192.0.2.7\nout CNAME example.org.\nlost CNAME nobody\n");
  Answered a = Dig({.name = "www.fl.internal"});
  ASSERT_THAT(a.answer, SizeIs(3));
  EXPECT_EQ(a.answer[0].type, kCname);
  EXPECT_EQ(a.answer[1].owner, "web.fl.internal.");
  EXPECT_EQ(a.answer[2].owner, "real.fl.internal.");
  EXPECT_EQ(a.answer[2].data, "192.0.2.7");
  EXPECT_THAT(Dig({.name = "www.fl.internal", .type = kCname}).data(), ElementsAre("web.fl.internal."));
  EXPECT_THAT(Dig({.name = "out.fl.internal"}).data(), ElementsAre("example.org."));
  Answered lost = Dig({.name = "lost.fl.internal"});
  EXPECT_EQ(lost.rcode, kNxDomainCode);
  EXPECT_THAT(lost.answer, SizeIs(1));
}

TEST_F(AnswerTest, EndsALoopOfAliases) {
  Load("a CNAME b\nb CNAME a\n");
  EXPECT_THAT(Dig({.name = "a.fl.internal"}).answer, SizeIs(9));
}

TEST_F(AnswerTest, RefersToTheServersOfADelegatedZone) {
  Load("child NS ns1.child\nns1.child A 192.0.2.53\n");
  Answered a = Dig({.name = "www.child.fl.internal"});
  EXPECT_FALSE(a.has(flag::kAuthoritative));
  EXPECT_THAT(a.answer, IsEmpty());
  EXPECT_EQ(a.authority.at(0).data, "ns1.child.fl.internal.");
  EXPECT_EQ(a.authority.at(0).owner, "child.fl.internal.");
  EXPECT_EQ(a.additional.at(0).data, "192.0.2.53");
}

TEST_F(AnswerTest, ServesRecordsAndRowsTogether) {
  Load("mysql.demo.svc A 192.0.2.9\n");
  Change({Put("host1", Serving("mysql-1", "host1", "mysql", "demo", "10.40.0.30"))});
  EXPECT_THAT(Dig({.name = "mysql.demo.svc.fl.internal"}).data(), UnorderedElementsAre("10.40.0.30", "192.0.2.9"));
  Load("");
  EXPECT_THAT(Dig({.name = "mysql.demo.svc.fl.internal"}).data(), ElementsAre("10.40.0.30"));
}

}  // namespace
}  // namespace fairlead::dns
