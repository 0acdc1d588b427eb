// The contract's exit codes of the commands that are about addresses, against an agent that serves: 0 done, 1 failed,
// 2 usage, 3 not found, 4 conflict or exhausted, 5 agent unreachable, 6 denied.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

struct Case {
  Words words;
  std::string message = {};
};

constexpr uint32_t kStranger = 65534;

class ExitCodes : public testing::Test {
 protected:
  ExitCodes() {
    agent.Fill();
    agent.host.clock.Advance(kHour);  // since when "old" is idle
    agent.engine.network("n1") = {.id = "n1", .name = "shopnet", .driver = "fairlead", .subnets = {*Prefix::Parse("10.40.0.0/24")},
                                  .ipam_driver = "fairlead", .ipam_options = {{"pool", "shop"}}};
    agent.engine.network("n2") = {.id = "n2", .name = "legacy", .driver = "bridge", .subnets = {*Prefix::Parse("10.40.0.0/24")}};
  }
  void ExpectAll(int code, const std::vector<Case>& cases) {
    for (const Case& c : cases) {
      TestAgent::Ran ran = agent.Command(c.words);
      EXPECT_EQ(ran.code, code) << Join(c.words, " ") << ": " << ran.err << ran.out;
      EXPECT_THAT(ran.err, HasSubstr(c.message)) << Join(c.words, " ");
    }
  }
  static std::vector<Case> Changes() {
    return {{{"ip", "reserve", "new"}},       {{"ip", "release", "old", "-y"}},
            {{"ip", "reclaim", "--idle", "1s", "-y"}},
            {{"pool", "create", "p", "--cidr", "10.50.0.0/24"}},
            {{"pool", "update", "shop", "--quota", "9"}},
            {{"pool", "rm", "shop", "-y"}},   {{"network", "create", "n", "--pool", "shop"}},
            {{"network", "rm", "shopnet", "-y"}},
            {{"verify", "--repair"}},         {{"adopt", "legacy"}}};
  }
  static std::vector<Case> Reads() {
    return {{{"ip", "ls"}}, {{"ip", "inspect", "old"}}, {{"ip", "history", "10.40.0.20"}}, {{"pool", "ls"}},
            {{"pool", "inspect", "shop"}}, {{"network", "ls"}}};
  }
  TestAgent agent;
};

TEST_F(ExitCodes, ThreeForWhatThereIsNot) {
  ExpectAll(3, {{{"ip", "inspect", "nobody"}, "there is no lease of nobody"},
                {{"ip", "release", "nobody", "-y"}, "there is no lease of nobody"},
                {{"ip", "history", "10.99.0.1"}, "10.99.0.1"},
                {{"ip", "reserve", "new", "--pool", "shp"}, "did you mean shop?"},
                {{"ip", "reclaim", "--idle", "1h", "--pool", "shp"}, "shp"},
                {{"pool", "inspect", "shp"}, "shp"},
                {{"pool", "update", "shp", "--quota", "9"}, "shp"},
                {{"pool", "rm", "shp", "-y"}, "shp"},
                {{"network", "create", "n", "--pool", "shp"}, "did you mean shop?"},
                {{"network", "rm", "nope", "-y"}, "the engine has no network nope"},
                {{"adopt", "nope"}, "nope"}});
}

TEST_F(ExitCodes, FourForAConflictOrWhereNothingIsLeft) {
  agent.Command({"pool", "create", "tiny", "--cidr", "10.51.0.0/30"});
  agent.Command({"ip", "reserve", "a", "--pool", "tiny", "--network", "tinynet"});
  ExpectAll(4, {{{"ip", "release", "demo-web-1", "-y"}, "demo-web-1"},
                {{"ip", "reserve", "new", "--pool", "shop", "--ip", "10.40.0.10"}, "demo-web-1"},
                {{"ip", "reserve", "b", "--pool", "tiny", "--network", "tinynet"}, "pool tiny is full"},
                {{"pool", "create", "shop", "--cidr", "10.52.0.0/24"}, "shop"},
                {{"pool", "create", "p", "--cidr", "10.40.0.128/25"}, "overlaps"},
                {{"pool", "rm", "shop", "-y"}, "network shopnet takes its addresses"},
                {{"network", "create", "legacy", "--pool", "shop"}, "legacy"},
                {{"network", "rm", "legacy", "-y"}, "docker network rm legacy"}});
}

TEST_F(ExitCodes, FiveWhereNoAgentAnswers) {
  std::vector<Case> all = Changes();
  for (const Case& c : Reads()) all.push_back(c);
  all.push_back({{"verify"}});
  all.push_back({{"audit", "ls"}});
  for (const Case& c : all) {
    Words words = c.words;
    words.insert(words.end(), {"--api", "unix:/nowhere/api.sock"});
    TestAgent::Ran ran = TestAgent::RunAlone(words);
    EXPECT_EQ(ran.code, 5) << Join(words, " ") << ": " << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("no agent answers at unix:/nowhere/api.sock"));
  }
}

TEST_F(ExitCodes, FiveWhereTheEngineIsAway) {
  agent.engine.SetDown(true);
  ExpectAll(5, {{{"network", "ls"}, ""}, {{"network", "create", "n", "--pool", "shop"}, ""}, {{"network", "rm", "shopnet", "-y"}, ""},
                {{"verify"}, "verify: the engine's networks are not known"}, {{"adopt", "legacy"}, ""}});
}

TEST_F(ExitCodes, SixForAUserWhoMayOnlyRead) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may be somebody else";
  for (const Case& c : Changes()) {
    TestAgent::Ran ran = agent.CommandAs(kStranger, c.words, 0666);
    EXPECT_EQ(ran.code, 6) << Join(c.words, " ") << ": " << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("user 65534 may read but not change: root may, and members of group fairlead"));
  }
  TestAgent::Ran audit = agent.CommandAs(kStranger, {"audit", "ls"}, 0666);
  EXPECT_EQ(audit.code, 6);
  EXPECT_THAT(audit.err, HasSubstr("user 65534 may not read the audit log"));
  for (const Case& c : Reads()) EXPECT_EQ(agent.CommandAs(kStranger, c.words, 0666).code, 0) << Join(c.words, " ");
  EXPECT_EQ(agent.Command({"pool", "inspect", "shop"}).code, 0) << "nothing was removed";
  agent.StopServing();
  EXPECT_EQ(agent.audit.stats().refused, Changes().size());
}

TEST_F(ExitCodes, SixForAUserWhomTheSocketIsNotFor) {
  if (geteuid() != 0) GTEST_SKIP() << "only root may be somebody else";
  TestAgent::Ran ran = agent.CommandAs(kStranger, {"ip", "ls"}, 0660);
  EXPECT_EQ(ran.code, 6);
  EXPECT_THAT(ran.err, HasSubstr("is not for this user; be root or of group fairlead"));
}

TEST_F(ExitCodes, OneWhereSomethingDiffersAndZeroWhereNothingDoes) {
  TestAgent fresh;
  EXPECT_EQ(fresh.Command({"verify"}).code, 0);
  fresh.StopServing();
  fresh.side.kernel_endpoints = {std::string(64, 'a')};
  EXPECT_EQ(fresh.Command({"verify"}).code, 1);
}

}  // namespace
}  // namespace fairlead::app
