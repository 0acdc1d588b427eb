// Pools and networks as an operator makes, changes and removes them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Pools : public testing::Test {
 protected:
  TestAgent::Ran Run(std::vector<std::string> words) { return agent.Command(std::move(words)); }
  std::string Out(std::vector<std::string> words) {
    TestAgent::Ran ran = Run(std::move(words));
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out;
  }
  json Pool(const std::string& name) { return json::parse(Out({"pool", "inspect", name, "-o", "json"})); }
  TestAgent agent;
};

TEST_F(Pools, APoolIsMadeWithEverythingThatAPoolHas) {
  EXPECT_EQ(Out({"pool", "create", "pay", "--cidr", "10.50.0.0/24", "--cidr", "fd00:50::/64", "--gateway", "10.50.0.254", "--range",
                 "10.50.0.10-10.50.0.99", "--range", "10.50.0.120", "--exclude", "10.50.0.53", "--project", "payments", "--quota", "20",
                 "--retain", "forever", "--quarantine", "5m"}),
            "created pool pay: 10.50.0.0/24,fd00:50::/64\n");
  json pool = Pool("pay");
  EXPECT_EQ(pool["source"], "command");
  EXPECT_EQ(pool["project"], "payments");
  EXPECT_EQ(pool["quota"], 20);
  EXPECT_EQ(pool["retain"], "forever");
  EXPECT_EQ(pool["quarantine"], "5m");
  EXPECT_EQ(pool["prefixes"][0]["gateway"], "10.50.0.254");
  EXPECT_EQ(pool["prefixes"][0]["ranges"], json::parse(R"(["10.50.0.10-10.50.0.99","10.50.0.120-10.50.0.120"])"));
  EXPECT_EQ(pool["prefixes"][0]["exclude"], json::parse(R"(["10.50.0.53"])"));
  EXPECT_EQ(pool["prefixes"][1]["gateway"], "fd00:50::1");
}

TEST_F(Pools, AnUpdateChangesWhatItNamesAndNothingElse) {
  Out({"pool", "create", "pay", "--cidr", "10.50.0.0/24", "--exclude", "10.50.0.53", "--quota", "20"});
  Out({"pool", "update", "pay", "--cidr", "10.51.0.0/24", "--retain", "1h"});
  json pool = Pool("pay");
  EXPECT_EQ(pool["quota"], 20);
  EXPECT_EQ(pool["retain"], "1h");
  EXPECT_EQ(pool["prefixes"][0]["exclude"][0], "10.50.0.53");
  EXPECT_EQ(pool["prefixes"][1]["cidr"], "10.51.0.0/24");
  Out({"pool", "update", "pay", "--rm-cidr", "10.50.0.0/24"});
  EXPECT_EQ(Pool("pay")["prefixes"].size(), 1u);
}

TEST_F(Pools, APoolOutlivesTheAgent) {
  Out({"pool", "create", "pay", "--cidr", "10.50.0.0/24"});
  agent.StopServing();
  agent.host.Restart();
  EXPECT_NE(agent.host.ipam->FindPool("pay"), nullptr);
}

TEST_F(Pools, RefusalsNameTheThingAndTheWayOut) {
  struct Case {
    std::vector<std::string> words;
    int code;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{
           {{"pool", "create", "x", "--cidr", "10.40.0.128/25"}, 4, "10.40.0.128/25 overlaps 10.40.0.0/24 of pool shop"},
           {{"pool", "create", "x", "--cidr", "10.50.0.0/24", "--gateway", "10.51.0.1"}, 2, "--gateway 10.51.0.1 is in none"},
           {{"pool", "create", "x"}, 2, "prefix"},
           {{"pool", "create", "x", "--cidr", "10.50.0.0/33"}, 2, "10.50.0.0/33"},
           {{"pool", "create", "x", "--cidr", "10.50.0.0/24", "--retain", "soon"}, 2, "retain"},
           {{"pool", "create", "shop", "--cidr", "10.50.0.0/24"}, 4, "pool shop is there already\n  try: fairlead pool update shop"},
           {{"pool", "update", "shp", "--quota", "3"}, 3, "there is no pool shp; did you mean shop?"},
           {{"pool", "update", "shop", "--rm-cidr", "10.41.0.0/24"}, 3, "pool shop has no prefix 10.41.0.0/24; it has 10.40.0.0/24"},
           {{"pool", "rm", "shp", "-y"}, 3, "did you mean shop?"},
           {{"pool", "rm", "shop"}, 2, "-y does it without asking"}}) {
    TestAgent::Ran ran = Run(c.words);
    EXPECT_EQ(ran.code, c.code) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(c.message));
  }
}

TEST_F(Pools, APoolWithLeasesStays) {
  agent.Fill();
  TestAgent::Ran ran = Run({"pool", "rm", "shop", "-y"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("still has leases"));
  ran = Run({"pool", "update", "shop", "--cidr", "10.41.0.0/24", "--rm-cidr", "10.40.0.0/24"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, HasSubstr("would strand"));
}

TEST_F(Pools, PoolsOfTheFileAreTheFiles) {
  ipam::PoolSpec filed{.name = "filed", .prefixes = {ipam::Cidr("10.70.0.0/24")}};
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->PutPool(filed)).ok());
  for (const std::vector<std::string>& words : {std::vector<std::string>{"pool", "update", "filed", "--quota", "3"}, {"pool", "rm", "filed", "-y"}}) {
    TestAgent::Ran ran = Run(words);
    EXPECT_EQ(ran.code, 4);
    EXPECT_THAT(ran.err, HasSubstr("pool filed is of the configuration: change it in /etc/fairlead/fairlead.yaml and restart the agent"));
  }
  EXPECT_EQ(Pool("filed")["source"], "file");
}

TEST_F(Pools, ANetworkIsMadeOnAPoolWithTheSubnetsWrittenOut) {
  EXPECT_EQ(Out({"network", "create", "shopnet", "--pool", "shop", "--bridge", "br100"}),
            "created network shopnet on pool shop: 10.40.0.0/24\n");
  EXPECT_EQ(Out({"network", "ls"}),
            "NAME     DRIVER    POOL  SUBNETS       MODE    BRIDGE  LEASES\n"
            "shopnet  fairlead  shop  10.40.0.0/24  bridge  br100   0\n");
  json network = json::parse(Out({"network", "ls", "-o", "json"}))[0];
  EXPECT_EQ(network["subnets"][0]["gateway"], "10.40.0.1");
  EXPECT_EQ(network["managed"], true);
  TestAgent::Ran used = Run({"pool", "rm", "shop", "-y"});
  EXPECT_EQ(used.code, 4);
  EXPECT_EQ(used.err, "fairlead: network shopnet takes its addresses from pool shop\n  try: fairlead network rm shopnet\n");
  EXPECT_EQ(Out({"network", "rm", "shopnet", "-y"}), "removed network shopnet\n");
  EXPECT_EQ(Out({"pool", "rm", "shop", "-y"}), "removed pool shop\n");
}

TEST_F(Pools, ANetworkThatCannotBeMadeSaysWhy) {
  agent.engine.network("n1") = {.id = "n1", .name = "legacy", .driver = "bridge"};
  struct Case {
    std::vector<std::string> words;
    int code;
    std::string message;
  };
  for (const Case& c : std::vector<Case>{{{"network", "create", "x", "--pool", "shp"}, 3, "there is no pool shp; did you mean shop?"},
                                         {{"network", "create", "x"}, 2, "--pool is required"},
                                         {{"network", "create", "x", "--pool", "shop", "--mode", "macvlan"}, 2, "not yet"},
                                         {{"network", "create", "legacy", "--pool", "shop"}, 4, "try: fairlead adopt legacy"},
                                         {{"network", "rm", "nope", "-y"}, 3, "the engine has no network nope"},
                                         {{"network", "rm", "legacy", "-y"}, 4, "try: docker network rm legacy"}}) {
    TestAgent::Ran ran = Run(c.words);
    EXPECT_EQ(ran.code, c.code) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(c.message));
  }
  agent.engine.SetDown(true);
  EXPECT_EQ(Run({"network", "ls"}).code, 5);
}

TEST_F(Pools, TheAuditLogTellsWhoMadeWhat) {
  Out({"pool", "create", "pay", "--cidr", "10.50.0.0/24"});
  std::string listed = Out({"audit", "ls"});
  EXPECT_THAT(listed, HasSubstr("root  pool create  pay     done"));
  json entry = json::parse(Out({"audit", "ls", "-o", "json"}))[0];
  EXPECT_EQ(entry["request"]["prefixes"][0]["cidr"], "10.50.0.0/24");
}

}  // namespace
}  // namespace fairlead::app
