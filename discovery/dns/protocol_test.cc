// What the message says beside its records: cookies, signatures, extended errors, caps and limits of rate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "discovery/dns/answer_fixture.h"

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Option(uint16_t code, std::string_view data) {
  std::string option;
  Append16(option, code);
  Append16(option, static_cast<uint16_t>(data.size()));
  return option.append(data);
}

class ProtocolTest : public AnswerTest {
 protected:
  void Restart(const AnswerOptions& options) { answerer_ = std::make_unique<Answerer>(*zone_, metrics_, options); }
  void Serve(int endpoints) {
    for (int i = 0; i < endpoints; i++) {
      Change({Put("host1", Serving(Cat("web-", i), "host1", "web", "demo", Cat("10.40.0.", i)))});
    }
  }
  uint16_t ExtendedError(const Answered& a) {
    auto it = a.options.find(kExtendedErrorOption);
    return it == a.options.end() ? 0 : Load16(reinterpret_cast<const uint8_t*>(it->second.data()));
  }
};

// --- cookies

TEST_F(ProtocolTest, GivesACookieThatIsKnownAgain) {
  Answered first = Dig({.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .options = Option(kCookieOption, "client01")}, "192.0.2.1");
  std::string cookie = first.options[kCookieOption];
  ASSERT_THAT(cookie, SizeIs(kCookieBytes));
  EXPECT_EQ(cookie.substr(0, 8), "client01");
  auto again = [&](std::string_view source) {
    return Dig({.name = "fl.internal", .edns_bytes = 1232, .options = Option(kCookieOption, cookie)}, source).options[kCookieOption];
  };
  EXPECT_EQ(again("192.0.2.1"), cookie);
  EXPECT_NE(again("192.0.2.2"), cookie);
}

TEST_F(ProtocolTest, GivesACookieWithErrorsToo) {
  for (const char* name : {"nobody.fl.internal", "example.org"}) {
    Answered a = Dig({.name = name, .edns_bytes = 1232, .options = Option(kCookieOption, "client01")});
    EXPECT_THAT(a.options[kCookieOption], SizeIs(kCookieBytes)) << name;
  }
}

TEST_F(ProtocolTest, AnswersFormatErrorToCookiesOfALengthThatIsNone) {
  for (size_t bytes : {0, 1, 7, 9, 15, 41}) {
    Ask ask{.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .options = Option(kCookieOption, std::string(bytes, 'x'))};
    Answered a = Dig(ask);
    EXPECT_EQ(a.rcode, 1) << bytes;
    EXPECT_TRUE(a.has_edns) << bytes << ": who sends an OPT gets one (RFC 6891 6.1.1)";
  }
  for (size_t bytes : {8, 16, 40}) {
    Ask ask{.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .options = Option(kCookieOption, std::string(bytes, 'x'))};
    EXPECT_EQ(Dig(ask).rcode, 0) << bytes;
  }
}

TEST_F(ProtocolTest, SaysNothingOfOptionsItDoesNotKnow) {
  // NSID, client subnet, keepalive, padding, one that nobody has
  std::string options;
  for (uint16_t code : {3, 8, 11, 12, 65001}) options += Option(code, "");
  Answered a = Dig({.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .options = options});
  EXPECT_EQ(a.rcode, 0);
  EXPECT_THAT(a.options, IsEmpty());
}

TEST_F(ProtocolTest, KeepsRoomForOptionsWithinTheLimit) {
  Serve(60);
  for (uint16_t limit : {512, 700, 1232}) {
    answerer_->SetStale(true);
    Answered a = Dig({.name = "web.demo.svc.fl.internal", .edns_bytes = limit, .options = Option(kCookieOption, "client01")});
    EXPECT_LE(a.bytes, limit);
    EXPECT_THAT(a.options, SizeIs(2));
  }
}

// --- extended errors

TEST_F(ProtocolTest, MarksAnswersFromRowsOfAnEarlierRun) {
  Serve(1);
  answerer_->SetStale(true);
  EXPECT_EQ(ExtendedError(Dig({.name = "web.demo.svc.fl.internal", .edns_bytes = 1232})), 3);
  EXPECT_EQ(ExtendedError(Dig({.name = "nobody.demo.svc.fl.internal", .edns_bytes = 1232})), 19);
  EXPECT_THAT(Dig({.name = "web.demo.svc.fl.internal"}).data(), ElementsAre("10.40.0.0")) << "without EDNS as always";
  answerer_->SetStale(false);
  EXPECT_EQ(ExtendedError(Dig({.name = "web.demo.svc.fl.internal", .edns_bytes = 1232})), 0);
}

TEST_F(ProtocolTest, SaysWhyItRefuses) {
  EXPECT_EQ(ExtendedError(Dig({.name = "example.org", .edns_bytes = 1232})), 20);
  EXPECT_EQ(ExtendedError(Dig({.name = "fl.internal", .type = kAxfr, .edns_bytes = 1232})), 18);
}

// --- dns.max_answers

TEST_F(ProtocolTest, CapsAddressesAndServicesButGivesEachItsTurn) {
  Serve(5);
  Load("many TXT a\nmany TXT b\nmany TXT c\n");
  Restart({.max_answers = 2});
  std::set<std::string> seen;
  for (int i = 0; i < 10; i++) {
    Answered a = Dig({.name = "web.demo.svc.fl.internal"});
    EXPECT_THAT(a.answer, SizeIs(2));
    EXPECT_FALSE(a.has(flag::kTruncated));
    seen.merge(a.data());
  }
  EXPECT_THAT(seen, SizeIs(5));
  EXPECT_THAT(DigTcp({.name = "web.demo.svc.fl.internal"}).answer, SizeIs(2));
  Answered srv = Dig({.name = "_http._tcp.web.demo.svc.fl.internal", .type = kSrv, .edns_bytes = 1232});
  EXPECT_THAT(srv.answer, SizeIs(2));
  EXPECT_THAT(srv.additional, SizeIs(2));
  EXPECT_THAT(Dig({.name = "many.fl.internal", .type = kTxt}).answer, SizeIs(3));
}

// --- dns.rate_limit

TEST_F(ProtocolTest, SendsWhoAsksTooOftenToTcpOrAway) {
  Restart({.limit = std::make_shared<RateLimit>(3, CookieSecret{})});
  int whole = 0, truncated = 0, silent = 0;
  for (int i = 0; i < 11; i++) {
    Answered a = Dig({.name = "fl.internal", .type = kSoa}, "192.0.2.1");
    silent += a.silent;
    truncated += !a.silent && a.has(flag::kTruncated) && a.answer.empty();
    whole += a.answer.size() == 1;
  }
  EXPECT_EQ(whole, 3);
  EXPECT_EQ(truncated, 4);
  EXPECT_EQ(silent, 4);
  EXPECT_EQ(metrics_.counter("fairlead_dns_rate_limited_total", "").value(), 8u);
  EXPECT_THAT(Exchange(*answerer_, MakeQuery({.name = "fl.internal", .type = kSoa}), Ip("192.0.2.1"), Transport::kTcp).answer, SizeIs(1));
}

TEST_F(ProtocolTest, LimitsNeitherLeasedAddressesNorWhoShowsACookieNorThisHost) {
  Change({Put("host1", Lease("asker", "demo", "10.40.0.5"))});
  Restart({.limit = std::make_shared<RateLimit>(1, CookieSecret{})});
  std::string cookie = Dig({.name = "fl.internal", .edns_bytes = 1232, .options = Option(kCookieOption, "client01")}, "192.0.2.1").options[kCookieOption];
  for (int i = 0; i < 5; i++) {
    EXPECT_THAT(Dig({.name = "fl.internal", .type = kSoa}, "10.40.0.5").answer, SizeIs(1));
    EXPECT_THAT(Dig({.name = "fl.internal", .type = kSoa}, "127.0.0.1").answer, SizeIs(1));
    Ask ask{.name = "fl.internal", .type = kSoa, .edns_bytes = 1232, .options = Option(kCookieOption, cookie)};
    EXPECT_THAT(Dig(ask, "192.0.2.1").answer, SizeIs(1));
  }
}

// --- signatures

class SignedTest : public ProtocolTest {
 protected:
  SignedTest() { Restart({.keys = &keys_}); }

  Packet Sign(const Ask& ask, const TsigKeys& keys, int64_t clock_error_s = 0) {
    Packet query = MakeQuery(ask);
    size_t size = query.size();
    query.resize(size + 400);
    query.resize(tsig_.SignQuestion(query, size, keys.first(), Now(clock_error_s)));
    return query;
  }
  uint64_t Now(int64_t error_s = 0) { return static_cast<uint64_t>(clock_.WallNow() / kSecond + error_s); }
  Packet Raw(const Packet& query) {
    Packet out(kMaxUdpBytes);
    out.resize(answerer_->Answer(query, {}, Transport::kUdp, out));
    return out;
  }
  static size_t TsigAt(const Packet& message) {  // of an answer: as a question it would be dropped
    Packet as_question = message;
    as_question[2] = 0;
    Query query;
    CHECK(ReadQuery(as_question, &query) == ReadResult::kQuery);
    return query.tsig_at;
  }
  // The error that the record of the answer tells.
  static int ErrorOf(const Answered& a) {
    CHECK(a.tsig.size() > 20);
    auto* bytes = reinterpret_cast<const uint8_t*>(a.tsig.data());
    size_t at = 13 + 10;
    at += Load16(bytes + at - 2) + 2;
    return Load16(bytes + at);
  }

  const TsigKeys keys_ = *TsigKeys::Parse("hmac-sha256:secondary:c2VjcmV0IG9mIGEgdGVzdA==", "keys");
  Tsig tsig_;
};

TEST_F(SignedTest, AnswersASignedQuestionSigned) {
  Packet answer = Raw(Sign({.name = "fl.internal", .type = kSoa, .edns_bytes = 1232}, keys_));
  EXPECT_EQ(ReadAnswer(answer).rcode, 0);
  size_t at = TsigAt(answer);
  ASSERT_TRUE(tsig_.Read(answer, at));
  EXPECT_EQ(tsig_.CheckAnswer(answer, at, Now()), TsigError::kNone);
}

TEST_F(SignedTest, AChangedAnswerIsNoticed) {
  Packet answer = Raw(Sign({.name = "fl.internal", .type = kSoa}, keys_));
  size_t at = TsigAt(answer);
  answer[kHeaderBytes + 20] ^= 1;
  ASSERT_TRUE(tsig_.Read(answer, at));
  EXPECT_EQ(tsig_.CheckAnswer(answer, at, Now()), TsigError::kBadSig);
}

TEST_F(SignedTest, TellsABadSignatureAnUnknownKeyAndAClockThatIsWrong) {
  TsigKeys other_secret = *TsigKeys::Parse("hmac-sha256:secondary:b3RoZXIgc2VjcmV0IG9mIGl0", "keys");
  TsigKeys other_name = *TsigKeys::Parse("hmac-sha256:somebody:c2VjcmV0IG9mIGEgdGVzdA==", "keys");
  struct Case {
    Packet query;
    int error;
  };
  Ask ask{.name = "fl.internal", .type = kSoa};
  for (const Case& test : {Case{Sign(ask, other_secret), 16}, Case{Sign(ask, other_name), 17}, Case{Sign(ask, keys_, 301), 18},
                           Case{Sign(ask, keys_, -301), 18}}) {
    Answered a = ReadAnswer(Raw(test.query));
    EXPECT_EQ(a.rcode, 9);
    EXPECT_THAT(a.answer, IsEmpty());
    EXPECT_EQ(ErrorOf(a), test.error);
  }
}

TEST_F(SignedTest, KnowsNoKeyWhereNoneIsConfigured) {
  Restart({});
  Answered a = ReadAnswer(Raw(Sign({.name = "fl.internal", .type = kSoa}, keys_)));
  EXPECT_EQ(a.rcode, 9);
  EXPECT_EQ(ErrorOf(a), 17);
}

TEST_F(SignedTest, EveryBitOfTheQuestionIsSigned) {
  const Packet query = Sign({.name = "fl.internal", .type = kSoa}, keys_);
  for (size_t i = 0; i < query.size() - 6; i++) {
    Packet changed = query;
    changed[i] ^= 0x04;
    Packet out = Raw(changed);
    if (out.empty()) continue;
    Answered a = ReadAnswer(out);
    // The id is not: the original one is in the record. Where that record becomes another, the question is an unsigned one.
    EXPECT_TRUE(a.answer.empty() || a.tsig.empty() || i < 2) << "byte " << i;
  }
}

TEST_F(SignedTest, AnswersFormatErrorToARecordThatIsCutOrNotTheLast) {
  const Packet query = Sign({.name = "fl.internal", .type = kSoa}, keys_);
  Packet not_last = query;
  not_last.insert(not_last.end(), {0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0});
  Store16(&not_last[10], 2);
  EXPECT_EQ(ReadAnswer(Raw(not_last)).rcode, 1);
  for (size_t cut = 1; cut < 60; cut++) {  // the record's own length says less than what it holds
    Packet shorter(query.begin(), query.end() - static_cast<ptrdiff_t>(cut));
    size_t length_at = TsigAt(query) + 11 + 8;
    Store16(&shorter[length_at], static_cast<uint16_t>(Load16(&query[length_at]) - cut));
    Answered a = ReadAnswer(Raw(shorter));
    EXPECT_EQ(a.rcode, 1) << cut;
  }
}

// --- key files

TEST(TsigKeys, ReadsBothForms) {
  auto keys = TsigKeys::Parse("# made by tsig-keygen\nkey \"one.example\" {\n\talgorithm hmac-sha256;\n\tsecret \"AAEC\";\n};\n"
                              "hmac-sha512:Two:AwQ=\n", "keys");
  ASSERT_TRUE(keys.ok()) << keys.status();
  const TsigKey* one = keys->Find(*ParseName("one.example."));
  ASSERT_NE(one, nullptr);
  EXPECT_EQ(one->secret, std::string("\0\1\2", 3));
  EXPECT_EQ(keys->first().name, one->name);
  EXPECT_EQ(keys->Find(*ParseName("two."))->secret, "\3\4");
}

TEST(TsigKeys, TellsFileAndLineOfAFaultAndNoSecret) {
  struct Case {
    const char* text;
    const char* told;
  };
  for (const Case& test : {Case{"", "keys: no key in it"}, Case{"\nkey a { algorithm hmac-md5; secret \"AAEC\"; };", "keys:2: algorithm hmac-md5 of key a"},
                           Case{"key a { algorithm hmac-sha256; };", "keys:1: key a wants an algorithm and a secret"},
                           Case{"hmac-sha256:a:####", "keys:1: the secret of key a is no base64"},
                           Case{"hmac-sha256:a:GEHEIM!", "keys:1: the secret of key a is no base64"},
                           Case{"key a { algorithm hmac-sha256 secret", "keys:1: expected a semicolon"},
                           Case{"hmac-sha256:a:AAEC\nhmac-sha256:A:AAEC", "keys:2: key a. is there twice"},
                           Case{"nonsense", "keys:1: expected key"}}) {
    auto keys = TsigKeys::Parse(test.text, "keys");
    ASSERT_FALSE(keys.ok()) << test.text;
    EXPECT_THAT(std::string(Message(keys.status())), ::testing::HasSubstr(test.told));
    EXPECT_THAT(std::string(Message(keys.status())), ::testing::Not(::testing::HasSubstr("GEHEIM")));
  }
}

}  // namespace
}  // namespace fairlead::dns
