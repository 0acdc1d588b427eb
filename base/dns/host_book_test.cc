#include "base/dns/host_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/dns/scripted_resolver.h"
#include "base/sim/sim_proactor.h"
#include "base/sim/sim_world.h"

namespace fairlead::dns {
namespace {

using Outcome = HostAnswer::Outcome;
using testing::IsEmpty;

class Changes final : public HostBook::Listener {
 public:
  void HostChanged(const std::string& host) override { ++count[host]; }
  std::map<std::string, int> count;
};

class HostBookTest : public testing::Test {
 protected:
  HostBookTest() {
    book_.AddListener(changes_);
    tasks_.Spawn(book_.Run());
  }
  void TearDown() override { tasks_.Drain(proactor_); }
  void Pass(Nanos time) { world_.Run(time); }
  const HostBook::Host& Of(std::string_view host) { return *book_.Find(host); }

  sim::SimWorld world_{1};
  sim::SimProactor proactor_{world_, *IpAddress::Parse("10.0.0.1")};
  Metrics metrics_;
  ScriptedResolver resolver_{proactor_};
  HostBook book_{proactor_, resolver_, metrics_};
  Changes changes_;
  io::TaskGroup tasks_;
};

TEST_F(HostBookTest, GivesTheAddressesOfBothFamiliesAndAsksAgainWhenTheShortestTtlEnds) {
  resolver_.v4["db"] = Found({"10.0.0.8", "10.0.0.7"}, 20 * kSecond);
  resolver_.v6["db"] = Found({"fd00::7"}, 10 * kSecond);
  ASSERT_TRUE(book_.Want("db"));
  EXPECT_TRUE(book_.first_look());
  Pass(kSecond);
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.7", "10.0.0.8", "fd00::7"}));
  EXPECT_EQ(Of("db").problem, "");
  EXPECT_FALSE(book_.first_look());
  EXPECT_EQ(resolver_.asked["db"], 2);
  Pass(8 * kSecond);
  EXPECT_EQ(resolver_.asked["db"], 2);
  resolver_.v4["db"] = Found({"10.0.0.9"}, 20 * kSecond);
  Pass(2 * kSecond);
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.9", "fd00::7"}));
  EXPECT_EQ(changes_.count["db"], 2);
}

TEST_F(HostBookTest, TellsNobodyOfAnAnswerThatIsTheSame) {
  resolver_.v4["db"] = Found({"10.0.0.8", "10.0.0.7"}, kSecond);
  book_.Want("db");
  Pass(kSecond);
  resolver_.v4["db"] = Found({"10.0.0.7", "10.0.0.8"}, kSecond);
  Pass(10 * kSecond);
  EXPECT_GT(resolver_.asked["db"], 10);
  EXPECT_EQ(changes_.count["db"], 1);
}

TEST_F(HostBookTest, KeepsATtlWithinItsLimits) {
  resolver_.v4["none"] = Found({"10.0.0.7"}, 0);
  resolver_.v4["week"] = Found({"10.0.0.8"}, 7 * 24 * kHour);
  book_.Want("none");
  book_.Want("week");
  Pass(HostBook::kMaxRefresh + kSecond);
  EXPECT_EQ(resolver_.asked["week"], 4);
  EXPECT_LE(resolver_.asked["none"], 2 * (HostBook::kMaxRefresh / HostBook::kMinRefresh + 2));
  EXPECT_GE(resolver_.asked["none"], HostBook::kMaxRefresh / HostBook::kMinRefresh);
}

TEST_F(HostBookTest, AFailingResolverTakesNothingAway) {
  resolver_.v4["db"] = Found({"10.0.0.7"}, kSecond);
  book_.Want("db");
  Pass(kSecond);
  resolver_.Both("db", Says(Outcome::kFailed, "no name server answered in time"));
  Pass(kHour);
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.7"}));
  EXPECT_EQ(Of("db").problem, "no name server answered in time");
  EXPECT_EQ(changes_.count["db"], 2);  // it came, and it is old
  EXPECT_GT(metrics_.counter("fairlead_hostnames_answers_total", "", {{"result", "failed"}}).value(), 100u);
  EXPECT_EQ(metrics_.gauge("fairlead_hostnames", "", {{"state", "kept"}}).value(), 1);
  resolver_.Both("db", Found({"10.0.0.8"}, kMinute));
  Pass(HostBook::kRetry + kSecond);
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.8"}));
  EXPECT_EQ(Of("db").problem, "");
}

TEST_F(HostBookTest, ASilentFamilyThatHadAddressesKeepsThemAndOneThatHadNoneIsNotMissed) {
  resolver_.v4["db"] = Found({"10.0.0.7"}, kSecond);
  resolver_.v6["db"] = Says(Outcome::kFailed, "no name server answered in time");
  book_.Want("db");
  Pass(kSecond);
  EXPECT_EQ(Of("db").problem, "");
  resolver_.v6["db"] = Found({"fd00::7"}, kSecond);
  Pass(3 * kSecond);
  resolver_.v6["db"] = Says(Outcome::kFailed, "no name server answered in time");
  resolver_.v4["db"] = Found({"10.0.0.8"}, kSecond);
  Pass(3 * kSecond);
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.8", "fd00::7"}));
  EXPECT_EQ(Of("db").problem, "no name server answered in time");
}

TEST_F(HostBookTest, ANameThatIsGoneKeepsItsAddressesForAWhile) {
  resolver_.v4["db"] = Found({"10.0.0.7"}, kSecond);
  book_.Want("db");
  Pass(kSecond);
  resolver_.Both("db", Says(Outcome::kGone, "there is no such name (NXDOMAIN)"));
  Pass(HostBook::kKeepGone - kSecond);
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.7"}));
  EXPECT_EQ(Of("db").problem, "there is no such name (NXDOMAIN)");
  Pass(5 * kSecond);
  EXPECT_THAT(Of("db").addresses, IsEmpty());
  EXPECT_EQ(metrics_.gauge("fairlead_hostnames", "", {{"state", "unresolved"}}).value(), 1);
}

TEST_F(HostBookTest, AFailureBetweenTwoAnswersOfNoSuchNameBeginsTheWhileAnew) {
  resolver_.v4["db"] = Found({"10.0.0.7"}, kSecond);
  book_.Want("db");
  Pass(kSecond);
  for (int i = 0; i < 10; i++) {
    resolver_.Both("db", Says(i % 2 == 0 ? Outcome::kGone : Outcome::kFailed, "x"));
    Pass(HostBook::kKeepGone / 2);
  }
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.7"}));
}

TEST_F(HostBookTest, ANameWithTooManyAddressesSaysSo) {
  HostAnswer many = Found({}, kMinute);
  for (int i = 0; i < 100; i++) many.addresses.push_back(*IpAddress::Parse("10.1.0." + std::to_string(i)));
  resolver_.v4["db"] = many;
  book_.Want("db");
  Pass(kSecond);
  EXPECT_EQ(Of("db").addresses.size(), HostBook::kMaxAddresses);
  EXPECT_EQ(Of("db").problem, "the name has 100 addresses, the first 64 are used");
}

TEST_F(HostBookTest, AsksForAFewAtATime) {
  resolver_.held = true;
  for (int i = 0; i < 100; i++) {
    book_.Want("host" + std::to_string(i));
    resolver_.v4["host" + std::to_string(i)] = Found({"10.0.0.7"}, kHour);
  }
  Pass(kSecond);
  EXPECT_EQ(resolver_.most_at_once, 2 * HostBook::kMaxAsking);
  resolver_.held = false;
  Pass(kSecond);
  EXPECT_FALSE(book_.first_look());
  EXPECT_EQ(resolver_.most_at_once, 2 * HostBook::kMaxAsking);
}

TEST_F(HostBookTest, ANameIsAskedForAsLongAsSomebodyWantsIt) {
  resolver_.v4["db"] = Found({"10.0.0.7"}, kSecond);
  book_.Want("db");
  book_.Want("db");
  Pass(kSecond);
  book_.Release("db");
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.7"}));
  book_.Release("db");
  EXPECT_EQ(book_.Find("db"), nullptr);
  const int asked = resolver_.asked["db"];
  Pass(kMinute);
  EXPECT_EQ(resolver_.asked["db"], asked);
}

TEST_F(HostBookTest, AnAnswerForAFormerStayIsNotTaken) {
  resolver_.held = true;
  resolver_.v4["db"] = Found({"10.0.0.7"}, kHour);
  book_.Want("db");
  Pass(kSecond);
  book_.Release("db");
  book_.Want("db");
  EXPECT_THAT(Of("db").addresses, IsEmpty());
  resolver_.held = false;
  Pass(kSecond);
  EXPECT_EQ(Of("db").addresses, Ips({"10.0.0.7"}));
  EXPECT_EQ(changes_.count["db"], 1);
}

TEST_F(HostBookTest, RefusesMoreNamesThanItCanKeep) {
  resolver_.held = true;
  for (size_t i = 0; i < HostBook::kMaxHosts; i++) EXPECT_TRUE(book_.Want("host" + std::to_string(i)));
  EXPECT_FALSE(book_.Want("one-more"));
  EXPECT_TRUE(book_.Want("host7"));
  EXPECT_EQ(metrics_.counter("fairlead_hostnames_refused_total", "", {}).value(), 1u);
  resolver_.held = false;
}

}  // namespace
}  // namespace fairlead::dns
