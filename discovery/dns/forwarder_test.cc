// On the simulator: other servers that answer, lie, truncate, fail and fall silent.
#include "discovery/dns/forwarder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/io/listener.h"
#include "base/sim/sim_proactor.h"
#include "discovery/dns/answer.h"
#include "discovery/dns/special_names.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

const IpAddress kServerHost = Ip("10.0.0.1"), kUpstreamHost = Ip("10.0.0.2"), kSecondHost = Ip("10.0.0.3");

// A server of other names, answering as the test says.
struct Upstream {
  enum Kind { kAnswers, kSilent, kFails, kTruncates, kLies, kLowerCase };
  Upstream(sim::SimWorld& world, const IpAddress& address) : loop(world, address), host(address) {
    tasks.Spawn(ServeUdp(this));
    tasks.Spawn(ServeTcp(this));
  }
  ~Upstream() { tasks.Drain(loop); }

  Packet Answer(const Packet& query, bool over_tcp) {
    Query read;
    CHECK(ReadQuery(query, &read) == ReadResult::kQuery);
    seen.push_back(NameToText({reinterpret_cast<const char*>(read.question.data()), read.name_bytes}));
    Packet answer(query.begin(), query.begin() + static_cast<ptrdiff_t>(kHeaderBytes + read.question.size()));
    Store16(&answer[2], 0x8180);
    Store16(&answer[10], 0);
    if (kind == kLowerCase) std::memcpy(&answer[kHeaderBytes], read.folded.data(), read.name_bytes);
    if (kind == kLies) Store16(&answer[0], static_cast<uint16_t>(read.id + 1));
    if (kind == kFails) answer[3] = 0x82;
    if (kind == kTruncates && !over_tcp) answer[2] |= 2;
    bool nothing = kind == kFails || (kind == kTruncates && !over_tcp);
    std::string record;
    if (!nothing && read.name().starts_with("\2no")) {
      answer[3] = 0x83;
      record = Soa();
      Store16(&answer[8], 1);
    } else if (!nothing) {
      record = std::string("\300\14", 2);
      Append16(record, kA);
      Append16(record, kClassIn);
      Append32(record, 60);
      Append16(record, 4);
      record += std::string("\300\0\2\7", 4);
      Store16(&answer[6], 1);
    }
    record += std::string("\0\0\51\4\320\0\0\0\0\0\0", 11);  // OPT
    Store16(&answer[10], 1);
    answer.insert(answer.end(), record.begin(), record.end());
    return answer;
  }
  static std::string Soa() {
    std::string soa("\0", 1);
    Append16(soa, kSoa);
    Append16(soa, kClassIn);
    Append32(soa, 900);
    Append16(soa, 22);
    soa += std::string(2, '\0');
    for (uint32_t value : {1, 2, 3, 4, 10}) Append32(soa, value);
    return soa;
  }
  static io::Task<void> ServeUdp(Upstream* self) {
    auto socket = io::UdpSocket::Open(self->loop, SocketAddress(self->host, 53));
    CHECK(socket.ok());
    while ((co_await socket->Readable()).ok()) {
      Packet room(2000);
      for (io::Datagram got{.bytes = room}; socket->ReceiveBatch({&got, 1}) == 1; got.bytes = room) {
        self->ports.insert(got.peer.port());
        Packet answer = self->Answer({got.bytes.begin(), got.bytes.end()}, false);
        if (self->kind == kSilent) continue;
        io::Datagram datagram{got.peer, {}, answer};
        CHECK(socket->SendBatch({&datagram, 1}) == 1);
      }
    }
  }
  static io::Task<void> ServeTcp(Upstream* self) {
    auto listener = io::Listener::Open(self->loop, SocketAddress(self->host, 53));
    CHECK(listener.ok());
    for (;;) {
      io::IoResult accepted = co_await listener->Accept();
      if (!accepted.ok()) co_return;
      io::Stream stream(self->loop, accepted.value());
      std::string input;
      while (input.size() < 2 || input.size() < 2u + Load16(reinterpret_cast<const uint8_t*>(input.data()))) {
        io::IoResult got = co_await stream.Receive();
        if (!got.ok() || got.is_end()) break;
        io::Chunk chunk = stream.Take();
        input.append(chunk.view());
      }
      if (input.size() < 2) continue;
      ++self->tcp;
      Packet answer = self->Answer({input.begin() + 2, input.end()}, true);
      std::string framed;
      Append16(framed, static_cast<uint16_t>(answer.size()));
      framed.append(answer.begin(), answer.end());
      (void)co_await stream.Send(framed);
    }
  }

  sim::SimProactor loop;
  IpAddress host;
  Kind kind = kAnswers;
  std::vector<std::string> seen;     // names, as they were spelled
  std::set<uint16_t> ports;          // that asked
  int tcp = 0;
  io::TaskGroup tasks;
};

class ForwarderTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  ForwarderTest() : world_(GetParam()), loop_(world_, kServerHost), upstream_(world_, kUpstreamHost), second_(world_, kSecondHost) {
    zone_ = *Zone::Make({}, world_.clock());
    forwarder_ = std::make_unique<Forwarder>(loop_, *zone_, random_, metrics_,
                                             std::vector{SocketAddress(kUpstreamHost, 53), SocketAddress(kSecondHost, 53)});
  }
  ~ForwarderTest() override {
    askers_.Drain(loop_);
    forwarder_->Stop();
  }

  static io::Task<void> Run(io::Proactor* loop, Forwarder* forwarder, Packet query, IpAddress asker, size_t limit, Answered* answer,
                            bool* done) {
    if (!(co_await io::Sleep(*loop, 1)).ok()) co_return;  // into a turn of the loop, as a query comes
    std::string got = co_await forwarder->Ask({query.begin(), query.end()}, asker, limit);
    if (got.empty()) co_return;  // cancelled
    *answer = ReadAnswer({reinterpret_cast<const uint8_t*>(got.data()), got.size()});
    *done = true;
  }
  struct Asked {
    Answered answer;
    bool done = false;
  };
  Asked& Start(const Ask& ask, std::string_view asker = "10.9.9.9", uint16_t id = 7) {
    Asked& asked = asked_.emplace_back();
    askers_.Spawn(Run(&loop_, forwarder_.get(), MakeQuery(ask, id), Ip(asker), kMaxUdpBytes, &asked.answer, &asked.done));
    return asked;
  }
  Answered Dig(const Ask& ask) {
    Asked& asked = Start(ask);
    EXPECT_TRUE(world_.RunUntil([&] { return asked.done; }, 20 * kSecond));
    return asked.answer;
  }
  uint64_t Count(const char* result) { return metrics_.counter("fairlead_dns_forwarded_total", "", {{"result", result}}).value(); }
  static uint16_t ExtendedError(const Answered& a) {
    auto it = a.options.find(kExtendedErrorOption);
    return it == a.options.end() ? 0 : Load16(reinterpret_cast<const uint8_t*>(it->second.data()));
  }

  sim::SimWorld world_;
  sim::SimProactor loop_;
  SeededRandom random_{GetParam()};
  Metrics metrics_;
  std::unique_ptr<Zone> zone_;
  Upstream upstream_, second_;
  std::unique_ptr<Forwarder> forwarder_;
  std::deque<Asked> asked_;
  io::TaskGroup askers_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, ForwarderTest, ::testing::Range<uint64_t>(0, 3));

TEST_P(ForwarderTest, GivesTheAnswerInTheAskersSpellingWithItsOwnHeader) {
  Answered a = Dig({.name = "WwW.Example.org", .edns_bytes = 1232});
  EXPECT_EQ(a.id, 7);
  EXPECT_EQ(a.flags, 0x8180);  // QR, RD, RA; not authoritative
  EXPECT_THAT(a.data(), ElementsAre("192.0.2.7"));
  EXPECT_EQ(a.answer[0].owner, "WwW.Example.org.");
  EXPECT_EQ(a.answer[0].ttl_s, 60u);
  EXPECT_TRUE(a.has_edns);
  EXPECT_FALSE(Dig({.name = "www.example.org"}).has_edns);
}

TEST_P(ForwarderTest, KeepsAnswersAndCountsTheirTimeDown) {
  Dig({.name = "www.example.org"});
  world_.Run(20 * kSecond);
  Answered a = Dig({.name = "www.example.ORG"});
  EXPECT_THAT(upstream_.seen, SizeIs(1));
  EXPECT_LE(a.answer.at(0).ttl_s, 40u);
  EXPECT_GE(a.answer.at(0).ttl_s, 38u);
  world_.Run(50 * kSecond);
  Dig({.name = "www.example.org"});
  EXPECT_THAT(upstream_.seen, SizeIs(2));
  Dig({.name = "www.example.org", .edns_bytes = 1232, .dnssec_ok = true});
  EXPECT_THAT(upstream_.seen, SizeIs(3)) << "with DO it is another answer";
}

TEST_P(ForwarderTest, KeepsANoAsLongAsItsSoaSays) {
  EXPECT_EQ(Dig({.name = "no.example.org"}).rcode, 3);
  world_.Run(5 * kSecond);
  EXPECT_EQ(Dig({.name = "no.example.org"}).rcode, 3);
  EXPECT_THAT(upstream_.seen, SizeIs(1));
  world_.Run(6 * kSecond);
  Dig({.name = "no.example.org"});
  EXPECT_THAT(upstream_.seen, SizeIs(2));
}

TEST_P(ForwarderTest, AsksEachTimeFromAnotherPortInAnotherSpelling) {
  for (int i = 0; i < 8; i++) Dig({.name = Cat("name", i, ".averylongname.example.org")});
  EXPECT_GE(upstream_.ports.size(), 6u);
  std::set<std::string> spellings;
  for (const std::string& name : upstream_.seen) spellings.insert(name.substr(name.find('.')));
  EXPECT_GE(spellings.size(), 7u);
}

TEST_P(ForwarderTest, TakesNoAnswerToAnotherQuestion) {
  upstream_.kind = Upstream::kLies;
  Answered a = Dig({.name = "www.example.org"});
  EXPECT_THAT(a.data(), ElementsAre("192.0.2.7"));
  EXPECT_THAT(second_.seen, SizeIs(1)) << "the other server told";
}

TEST_P(ForwarderTest, GetsAnAnswerFromAServerThatForgetsTheSpelling) {
  upstream_.kind = second_.kind = Upstream::kLowerCase;
  EXPECT_THAT(Dig({.name = "www.averylongname.example.org"}).data(), ElementsAre("192.0.2.7"));
}

TEST_P(ForwarderTest, GoesToTheNextServerAndStaysThere) {
  upstream_.kind = Upstream::kFails;
  EXPECT_THAT(Dig({.name = "a.example.org"}).data(), ElementsAre("192.0.2.7"));
  EXPECT_THAT(Dig({.name = "b.example.org"}).data(), ElementsAre("192.0.2.7"));
  EXPECT_THAT(upstream_.seen, SizeIs(1));
  EXPECT_THAT(second_.seen, SizeIs(2));
}

TEST_P(ForwarderTest, ComesBackOverTcpForWhatIsTruncated) {
  upstream_.kind = Upstream::kTruncates;
  EXPECT_THAT(Dig({.name = "www.example.org"}).data(), ElementsAre("192.0.2.7"));
  EXPECT_EQ(upstream_.tcp, 1);
}

TEST_P(ForwarderTest, FailsBelowTheAskersPatienceAndRemembersItShortly) {
  upstream_.kind = second_.kind = Upstream::kSilent;
  Nanos start = world_.clock().Now();
  Answered a = Dig({.name = "www.example.org", .edns_bytes = 1232});
  EXPECT_EQ(a.rcode, 2);
  EXPECT_EQ(ExtendedError(a), 22);
  EXPECT_LT(world_.clock().Now() - start, 5 * kSecond);
  size_t asked = upstream_.seen.size() + second_.seen.size();
  EXPECT_EQ(Dig({.name = "www.example.org"}).rcode, 2);
  EXPECT_EQ(upstream_.seen.size() + second_.seen.size(), asked);
  upstream_.kind = Upstream::kAnswers;
  world_.Run(6 * kSecond);
  EXPECT_THAT(Dig({.name = "www.example.org"}).data(), ElementsAre("192.0.2.7"));
}

TEST_P(ForwarderTest, SaysWhatOnceWasTrueWhenNobodyAnswers) {
  Dig({.name = "www.example.org"});
  upstream_.kind = second_.kind = Upstream::kSilent;
  world_.Run(100 * kSecond);
  Nanos start = world_.clock().Now();
  Answered a = Dig({.name = "www.example.org", .edns_bytes = 1232});
  EXPECT_LE(world_.clock().Now() - start, Forwarder::kStalePatience + 100 * kMillisecond);
  EXPECT_THAT(a.data(), ElementsAre("192.0.2.7"));
  EXPECT_EQ(a.answer[0].ttl_s, 30u);
  EXPECT_EQ(ExtendedError(a), 3);
  world_.Run(2 * 86400 * kSecond);
  EXPECT_EQ(Dig({.name = "www.example.org"}).rcode, 2) << "but not for ever";
}

TEST_P(ForwarderTest, AsksOnceForManyAskersOfOneName) {
  for (uint16_t i = 0; i < 100; i++) Start({.name = "www.example.org"}, Cat("10.9.0.", i), i);
  ASSERT_TRUE(world_.RunUntil([&] { return std::all_of(asked_.begin(), asked_.end(), [](auto& a) { return a.done; }); }, 5 * kSecond));
  for (uint16_t i = 0; i < 100; i++) {
    EXPECT_EQ(asked_[i].answer.id, i);
    EXPECT_THAT(asked_[i].answer.data(), ElementsAre("192.0.2.7"));
  }
  EXPECT_THAT(upstream_.seen, SizeIs(1));
}

TEST_P(ForwarderTest, LetsAGreedyAskerDelayNobodyElse) {
  upstream_.kind = second_.kind = Upstream::kSilent;
  for (size_t i = 0; i < Forwarder::kMaxInFlight; i++) Start({.name = Cat("name", i, ".example.org")}, Cat("10.7.", i >> 4, ".", i & 15));
  for (size_t i = 0; i < 2 * Forwarder::kMaxWaitingPerAsker; i++) Start({.name = Cat("greedy", i, ".example.org")}, "10.8.0.1");
  Asked& modest = Start({.name = "modest.example.org"}, "10.8.0.2");
  world_.Run(50 * kMillisecond);
  EXPECT_EQ(Count("limited"), Forwarder::kMaxWaitingPerAsker) << "at once";
  upstream_.kind = Upstream::kAnswers;
  ASSERT_TRUE(world_.RunUntil([&] { return modest.done; }, 6 * kSecond));
  EXPECT_THAT(modest.answer.data(), ElementsAre("192.0.2.7"));
}

TEST_P(ForwarderTest, KeepsSpecialNamesInside) {
  for (const char* name : {"7.0.0.10.in-addr.arpa", "1.1.20.172.in-addr.arpa", "printer.local", "a.test", "x.onion", "b.home.arpa",
                           "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"}) {
    EXPECT_EQ(Dig({.name = name, .type = kPtr}).rcode, 3) << name;
  }
  EXPECT_THAT(Dig({.name = "my.LocalHost"}).data(), ElementsAre("127.0.0.1"));
  EXPECT_THAT(Dig({.name = "localhost", .type = kAaaa}).data(), ElementsAre("::1"));
  EXPECT_THAT(upstream_.seen, SizeIs(0));
  for (const char* name : {"8.8.8.8.in-addr.arpa", "1.1.32.172.in-addr.arpa", "test.example.org", "latest", "local.example.org"}) {
    EXPECT_EQ(SpecialNameOf(*ParseName(Cat(name, "."))), SpecialName::kNone) << name;
  }
}

TEST_P(ForwarderTest, ServesAskersOfThisNetworkOnly) {
  zone_->OnChanges({Put("host1", Lease("db", "shop", "203.0.113.7"))});
  for (const char* asker : {"127.0.0.1", "10.1.2.3", "192.168.7.7", "fd00::1", "203.0.113.7"}) EXPECT_TRUE(forwarder_->Serves(Ip(asker))) << asker;
  for (const char* asker : {"203.0.113.8", "8.8.8.8", "2001:db8::1"}) EXPECT_FALSE(forwarder_->Serves(Ip(asker))) << asker;
}

TEST_P(ForwarderTest, FindsItsWayThroughANetworkThatLosesAndReorders) {
  world_.faults = sim::Faults::All();
  world_.faults.datagrams_lost = 100;
  for (int i = 0; i < 60; i++) Start({.name = Cat("name", i, ".example.org")}, Cat("10.9.0.", i));
  ASSERT_TRUE(world_.RunUntil([&] { return std::all_of(asked_.begin(), asked_.end(), [](auto& a) { return a.done; }); }, 60 * kSecond));
  auto good = std::count_if(asked_.begin(), asked_.end(), [](const Asked& a) { return a.answer.data().contains("192.0.2.7"); });
  EXPECT_GE(good, 50);
}

// --- messages of others, broken

TEST(ForeignMessage, TakesNoShredsOrRubbish) {
  Query query;
  Packet asked = MakeQuery({.name = "www.example.org"});
  CHECK(ReadQuery(asked, &query) == ReadResult::kQuery);
  std::string question = MakeForeignQuery(query, 99, {});
  sim::SimWorld world(1);
  Upstream upstream(world, kUpstreamHost);
  Packet whole = upstream.Answer(Packet(question.begin(), question.end()), false);
  ASSERT_TRUE(ReadForeignAnswer(whole, question));
  for (size_t size = 0; size < whole.size(); size++) EXPECT_FALSE(ReadForeignAnswer(std::span(whole).first(size), question)) << size;
  SeededRandom random(1);
  for (int i = 0; i < 20000; i++) {
    Packet broken = whole;
    for (int n = 0; n < 3; n++) broken[random.Below(broken.size())] = static_cast<uint8_t>(random.Next());
    auto answer = ReadForeignAnswer(broken, question);
    if (!answer) continue;
    Packet out(kMaxUdpBytes);
    size_t size = WriteForeignAnswer(*answer, query, {}, kMaxUdpBytes, out);
    (void)ReadAnswer(std::span(out).first(size));  // CHECKs that it is well-formed
  }
}

TEST(ForeignMessage, TakesNoNameMadeOfATtl) {
  Query query;
  Packet asked = MakeQuery({.name = "www.example.org"});
  CHECK(ReadQuery(asked, &query) == ReadResult::kQuery);
  std::string question = MakeForeignQuery(query, 99, {});
  // Two addresses of the question's name; the TTL of the first, and the address itself, read as the name "b." too.
  constexpr std::string_view kAddress("\0\1\0\1\1b\0\0\0\4\1b\0\1", 14);
  std::string head = question.substr(0, question.size() - kOptBytes);
  head[2] = '\x80';
  for (size_t i = 6; i < kHeaderBytes; i++) head[i] = i == 7 ? '\2' : '\0';
  size_t ttl_at = head.size() + 2 + 4;
  auto taken = [&](size_t second_owner) {
    std::string owner = {static_cast<char>(0xc0 | second_owner >> 8), static_cast<char>(second_owner)};
    std::string message = Cat(head, "\xc0\x0c", kAddress, owner, kAddress);
    return ReadForeignAnswer(Packet(message.begin(), message.end()), question).has_value();
  };
  EXPECT_TRUE(taken(kHeaderBytes));
  EXPECT_FALSE(taken(ttl_at));
  EXPECT_TRUE(taken(ttl_at + 4 + 2));  // an address stays as it is
}

TEST(ForeignMessage, SaysTruncatedWhereItDoesNotFit) {
  Query query;
  Packet asked = MakeQuery({.name = "www.example.org"});
  CHECK(ReadQuery(asked, &query) == ReadResult::kQuery);
  ForeignAnswer answer;
  answer.message.assign(600, '\0');
  Packet out(kMaxUdpBytes);
  size_t size = WriteForeignAnswer(answer, query, {}, 512, out);
  EXPECT_TRUE(ReadAnswer(std::span(out).first(size)).has(flag::kTruncated));
}

// --- the cache and the queue by themselves

TEST(ForeignCache, StaysWithinItsBytes) {
  Metrics metrics;
  ForeignCache cache(metrics);
  for (int i = 0; i < 30000; i++) {
    ForeignAnswer answer;
    answer.message.assign(1000, 'x');
    answer.ttl_s = 60;
    cache.Keep(Cat("key", i), std::move(answer), kSecond);
    ASSERT_LE(cache.bytes(), ForeignCache::kMaxBytes);
    if (i % 100 == 0) {
      EXPECT_NE(cache.Find("key0", kSecond), nullptr) << "what is asked for stays";
    }
  }
  EXPECT_EQ(cache.Find("key1", kSecond), nullptr);
  EXPECT_NE(cache.Find("key29999", kSecond), nullptr);
  for (int i = 0; i < 30000; i++) cache.KeepFailure(Cat("failed", i), kSecond);
  EXPECT_LE(cache.bytes(), ForeignCache::kMaxBytes);
}

TEST(FairQueue, TakesTurnsWithinItsBounds) {
  FairQueue<int> queue(3, 5);
  IpAddress a = Ip("10.0.0.1"), b = Ip("10.0.0.2"), c = Ip("10.0.0.3");
  for (int i = 1; i <= 3; i++) EXPECT_TRUE(queue.Push(a, i));
  EXPECT_FALSE(queue.Push(a, 4));
  EXPECT_TRUE(queue.Push(b, 11));
  EXPECT_TRUE(queue.Push(b, 12));
  EXPECT_FALSE(queue.Push(c, 21)) << "it is full as a whole";
  std::vector<int> order;
  while (auto item = queue.Pop()) order.push_back(*item);
  EXPECT_THAT(order, ElementsAre(1, 11, 2, 12, 3));
  EXPECT_TRUE(queue.Push(c, 21));
}

// --- aliases of ours

class ChaseTest : public ForwarderTest {
 protected:
  // alias.fl.internal is an alias of `target`; what the asker of it gets, and what was left to others.
  Answered DigAlias(std::string_view target, Ask ask = {}, size_t limit = kMaxUdpBytes) {
    CHECK(zone_->SetRecords({{*ParseName("alias.fl.internal"), kCname, 60, *ParseName(target), "test:1"}}).ok());
    Answerer answerer(*zone_, metrics_);
    ask.name = "Alias.fl.internal";
    Packet query = MakeQuery(ask, 7), own(kMaxUdpBytes);
    foreign_ = {};
    own.resize(answerer.Answer(query, Ip("10.9.9.9"), Transport::kUdp, own, &foreign_));
    if (foreign_.alias_target.empty()) return ReadAnswer(own);
    Asked& asked = asked_.emplace_back();
    askers_.Spawn(Chase(&loop_, forwarder_.get(), query, {own.begin(), own.end()}, foreign_.alias_target, limit, &asked));
    EXPECT_TRUE(world_.RunUntil([&] { return asked.done; }, 20 * kSecond));
    return asked.answer;
  }
  static io::Task<void> Chase(io::Proactor* loop, Forwarder* forwarder, Packet query, std::string own, std::string target, size_t limit,
                              Asked* asked) {
    if (!(co_await io::Sleep(*loop, 1)).ok()) co_return;
    std::string got = co_await forwarder->Chase({query.begin(), query.end()}, own, target, Ip("10.9.9.9"), limit);
    if (got.empty()) co_return;
    asked->answer = ReadAnswer({reinterpret_cast<const uint8_t*>(got.data()), got.size()});
    asked->done = true;
  }

  Foreign foreign_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, ChaseTest, ::testing::Range<uint64_t>(0, 3));

TEST_P(ChaseTest, FindsWhatAnAliasOfOursIsOfAnothers) {
  Answered a = DigAlias("www.example.org", {.edns_bytes = 1232});
  EXPECT_EQ(a.id, 7);
  EXPECT_EQ(a.rcode, 0);
  EXPECT_TRUE(a.has(flag::kAuthoritative) && a.has(flag::kRecursionAvailable) && a.has_edns);
  ASSERT_THAT(a.answer, SizeIs(2));
  EXPECT_EQ(a.answer[0].owner, "Alias.fl.internal.");
  EXPECT_EQ(a.answer[0].data, "www.example.org.");
  EXPECT_EQ(a.answer[1].owner, "www.example.org.");
  EXPECT_EQ(a.answer[1].data, "192.0.2.7");
}

TEST_P(ChaseTest, SaysThatTheTargetIsNotThere) {
  Answered a = DigAlias("no.example.org");
  EXPECT_EQ(a.rcode, 3);
  EXPECT_THAT(a.answer, SizeIs(1));
  ASSERT_THAT(a.authority, SizeIs(1));
  EXPECT_EQ(a.authority[0].type, kSoa);
  EXPECT_FALSE(a.has_edns);
}

TEST_P(ChaseTest, FailsAsTheOthersDo) {
  upstream_.kind = second_.kind = Upstream::kFails;
  Answered a = DigAlias("www.example.org");
  EXPECT_EQ(a.rcode, 2);
  EXPECT_THAT(a.answer, SizeIs(1));
}

TEST_P(ChaseTest, SetsTcWhereTheAnswerDoesNotFit) {
  Answered a = DigAlias("www.example.org", {}, 70);
  EXPECT_TRUE(a.has(flag::kTruncated));
  EXPECT_LE(a.bytes, 70u);
}

TEST_P(ChaseTest, LeavesAloneWhoWantsTheAliasItselfOrNobodyToFindIt) {
  EXPECT_THAT(DigAlias("www.example.org", {.type = kCname}).answer, SizeIs(1));
  EXPECT_FALSE(foreign_.any());
  EXPECT_THAT(DigAlias("www.example.org", {.flags = 0}).answer, SizeIs(1));
  EXPECT_FALSE(foreign_.any());
  EXPECT_THAT(DigAlias("localhost").answer, SizeIs(1)) << "one label is nobody's";
  EXPECT_FALSE(foreign_.any());
}

}  // namespace
}  // namespace fairlead::dns
