// Addresses as an operator reserves, releases, reclaims and looks them up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Addresses : public testing::Test {
 protected:
  Addresses() {
    agent.engine.network("n1") = {.id = "n1", .name = "shopnet", .driver = "fairlead", .subnets = {*Prefix::Parse("10.40.0.0/24")},
                                  .ipam_driver = "fairlead", .ipam_options = {{"pool", "shop"}}};
  }
  TestAgent::Ran Run(std::vector<std::string> words) { return agent.Command(std::move(words)); }
  std::string Out(std::vector<std::string> words) {
    TestAgent::Ran ran = Run(std::move(words));
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out;
  }
  void Expect(std::vector<std::string> words, int code, const std::string& message) {
    TestAgent::Ran ran = Run(std::move(words));
    EXPECT_EQ(ran.code, code) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(message));
  }
  TestAgent agent;
};

TEST_F(Addresses, AReservationPrintsTheAddressThatTheContainerWillHave) {
  std::string address = Out({"ip", "reserve", "web-1"});
  EXPECT_THAT(address, testing::MatchesRegex("10\\.40\\.0\\.[0-9]+\n"));
  EXPECT_EQ(Out({"ip", "reserve", "web-1"}), address);  // idempotent
  EXPECT_THAT(Out({"ip", "ls"}), HasSubstr(" shopnet  shop  reserved "));
  agent.StopServing();
  EXPECT_EQ(agent.host.AddressOf("web-1").ToString() + "\n", address);
}

TEST_F(Addresses, AReservationTakesTheAddressThatWasWanted) {
  EXPECT_EQ(Out({"ip", "reserve", "web-1", "--ip", "10.40.0.77"}), "10.40.0.77\n");
  Expect({"ip", "reserve", "web-2", "--ip", "10.40.0.77"}, 4, "web-1");
  Expect({"ip", "reserve", "web-2", "--ip", "10.40.0.1"}, 2, "is the gateway");
  Expect({"ip", "reserve", "web-2", "--ip", "10.99.0.1"}, 3, "10.99.0.1 is in none of the pools");
  Expect({"ip", "reserve", "web-2", "--ip", "10.40"}, 2, "10.40");
}

TEST_F(Addresses, ANameOfAPoolWithBothFamiliesGetsAnAddressOfEach) {
  Out({"pool", "create", "dual", "--cidr", "10.50.0.0/24", "--cidr", "fd00:50::/64"});
  std::string both = Out({"ip", "reserve", "web-1", "--pool", "dual", "--network", "dualnet"});
  EXPECT_THAT(both, testing::MatchesRegex("10\\.50\\.0\\.[0-9]+\nfd00:50::[0-9a-f:]+\n"));
}

TEST_F(Addresses, AReservationThatCannotBeSaysWhatIsMissing) {
  Expect({"ip", "reserve", "web-1", "--pool", "shp"}, 3, "there is no pool shp; did you mean shop?");
  Out({"pool", "create", "pay", "--cidr", "10.50.0.0/30"});
  Expect({"ip", "reserve", "web-1"}, 2, "from which pool? there are pay, shop; say --pool");
  Expect({"ip", "reserve", "web-1", "--pool", "pay"}, 3, "no network takes its addresses from pool pay yet");
  EXPECT_EQ(Out({"ip", "reserve", "a", "--pool", "pay", "--network", "paynet"}), "10.50.0.2\n");
  Expect({"ip", "reserve", "b", "--pool", "pay", "--network", "paynet"}, 4, "pool pay is full");
  agent.engine.network("n2") = agent.engine.network("n1");
  agent.engine.network("n2").id = "n2";
  agent.engine.network("n2").name = "backnet";
  Expect({"ip", "reserve", "web-1", "--pool", "shop"}, 2, "on which network? pool shop serves shopnet, backnet; say --network");
  agent.engine.SetDown(true);
  Expect({"ip", "reserve", "web-1", "--pool", "shop"}, 5, "say --network");
}

TEST_F(Addresses, AReservedAddressIsKeptByReclaimAndEndsByRelease) {
  Out({"ip", "reserve", "kept"});
  agent.StopServing();
  agent.host.RunOnce("gone");
  agent.host.clock.Advance(8 * 24 * kHour);
  EXPECT_EQ(Out({"ip", "reclaim", "--idle", "7d", "-y"}).substr(0, 10), "reclaimed ");
  EXPECT_EQ(json::parse(Out({"ip", "ls", "-o", "json"})).size(), 1u);
  Out({"ip", "release", "kept", "-y"});
  EXPECT_EQ(json::parse(Out({"ip", "ls", "-o", "json"})).size(), 0u);
}

TEST_F(Addresses, ReclaimListsThenAsks) {
  agent.host.RunOnce("gone");
  agent.host.clock.Advance(2 * kHour);
  TestAgent::Ran no = agent.Command({"ip", "reclaim", "--idle", "1h", "--pool", "shop"}, false);
  EXPECT_EQ(no.code, 1);
  EXPECT_THAT(no.out, HasSubstr("gone  10.40.0."));
  EXPECT_EQ(Run({"ip", "reclaim", "--idle", "3h"}).err, "no leases idle for 3h\n");
  Expect({"ip", "reclaim", "--idle", "soon"}, 2, "\"soon\" is no duration");
  Expect({"ip", "reclaim"}, 2, "--idle is required");
  EXPECT_THAT(agent.Command({"ip", "reclaim", "--idle", "1h"}, true).out, HasSubstr("of shopnet/host1/gone"));
}

TEST_F(Addresses, HistoryTellsWhoHadItAtATime) {
  IpAddress ip = ipam::Ip("10.40.0.9");
  ASSERT_TRUE(agent.host.Acquire("first", ip).ok());
  agent.host.clock.Advance(kHour);
  ASSERT_TRUE(agent.host.Detach(ip).ok());
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->Release(ipam::Key("first"))).ok());
  ASSERT_TRUE(agent.host.Acquire("second", ip).ok());
  auto names_at = [&](const std::string& at) {
    std::string names;
    for (const json& entry : json::parse(Out({"ip", "history", "10.40.0.9", "--at", at, "-o", "json"}))) names += entry["name"];
    return names;
  };
  EXPECT_EQ(names_at("2023-11-14T22:30:00Z"), "first");
  EXPECT_EQ(names_at("2023-11-15T22:30:00Z"), "second");
  EXPECT_EQ(names_at("2023-11-01T00:00:00Z"), "");
  Expect({"ip", "history", "10.40.0.9", "--at", "noon"}, 2, "is no time; write 14:03");
}

TEST_F(Addresses, WhoAnswersOutsideIsListedWithItsMac) {
  auto mac = *MacAddress::Parse("02:00:00:00:00:07");
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->MarkForeign("shop", ipam::Ip("10.40.0.66"), mac)).ok());
  EXPECT_THAT(Out({"ip", "ls"}), HasSubstr("10.40.0.66  -        shop  foreign: 02:00:00:00:00:07"));
  EXPECT_THAT(Out({"pool", "ls", "-o", "json"}), HasSubstr("\"foreign\": 1"));
}

TEST_F(Addresses, AStandInTellsTheAddressOfTheNextStart) {
  ASSERT_TRUE(agent.host.Acquire("web-1", ipam::Ip("10.40.0.12")).ok());
  ASSERT_TRUE(agent.host.Detach(ipam::Ip("10.40.0.12")).ok());
  auto other = agent.host.Run(agent.host.ipam->Acquire(
      {.pool = "shop", .key = ipam::Key("~1"), .wanted = ipam::Ip("10.40.0.13"), .provisional = true}));
  ASSERT_TRUE(other.ok());
  ASSERT_TRUE(agent.host.Run(agent.host.ipam->StandIn("shop", other->ip, "web-1")).ok());
  EXPECT_THAT(Out({"ip", "ls"}), HasSubstr("attached, stands in for web-1 (own address 10.40.0.12 from its next start)"));
}

TEST_F(Addresses, TheListSaysWhatALeaseIsAndHowItWillSettle) {
  using ipam::Ip, ipam::Key;
  auto run = [&](auto task) { ASSERT_TRUE(agent.host.Run(std::move(task)).ok()); };
  run(agent.host.ipam->Acquire({.pool = "shop", .key = Key("~1"), .wanted = Ip("10.40.0.11"), .provisional = true}));
  run(agent.host.ipam->Acquire({.pool = "shop", .key = Key("web-1"), .wanted = Ip("10.40.0.12")}));
  run(agent.host.ipam->Detach("shop", Ip("10.40.0.12")));
  run(agent.host.ipam->Acquire({.pool = "shop", .key = Key("~2"), .wanted = Ip("10.40.0.13"), .provisional = true}));
  run(agent.host.ipam->StandIn("shop", Ip("10.40.0.13"), "web-1"));
  run(agent.host.ipam->Reserve({.pool = "shop", .key = Key("old"), .wanted = Ip("10.40.0.14"), .observed = true}));
  run(agent.host.ipam->Reserve({.pool = "shop", .key = Key("kept"), .wanted = Ip("10.40.0.15")}));
  run(agent.host.ipam->MarkForeign("shop", Ip("10.40.0.66"), *MacAddress::Parse("02:00:00:00:00:07")));
  struct Case {
    const char *address, *word, *settles;
  };
  const Case cases[] = {
      {"10.40.0.11", "attached, provisional (gets its container's name once the engine tells it, at the latest when it stops)",
       "gets its container's name once the engine tells it, at the latest when it stops"},
      {"10.40.0.12", "detached", nullptr},
      {"10.40.0.13", "attached, stands in for web-1 (own address 10.40.0.12 from its next start)",
       "web-1 has its own address 10.40.0.12 from its next start"},
      {"10.40.0.14", "observed (managed once its container starts on network shopnet)",
       "managed once its container starts on network shopnet"},
      {"10.40.0.15", "reserved", nullptr},
      {"10.40.0.66", "foreign: 02:00:00:00:00:07", nullptr}};
  const std::string table = Out({"ip", "ls"});
  const json rows = json::parse(Out({"ip", "ls", "-o", "json"}));
  for (const Case& c : cases) {
    const std::string line = table.substr(table.find(c.address), table.find('\n', table.find(c.address)) - table.find(c.address));
    EXPECT_THAT(line, HasSubstr(Cat("shop  ", c.word, " ")));
    auto row = std::ranges::find_if(rows, [&](const json& one) { return one["address"] == c.address; });
    ASSERT_NE(row, rows.end());
    EXPECT_EQ(row->value("settles", json()), c.settles == nullptr ? json() : json(c.settles)) << c.address;
  }
  auto field = [&](const char* address, const char* key) {
    return std::ranges::find_if(rows, [&](const json& one) { return one["address"] == address; })->at(key);
  };
  EXPECT_EQ(field("10.40.0.11", "provisional"), true);
  EXPECT_EQ(field("10.40.0.13", "stand_in_for"), "web-1");
  EXPECT_EQ(field("10.40.0.14", "observed"), true);
  EXPECT_EQ(field("10.40.0.15", "reserved"), true);
  EXPECT_EQ(field("10.40.0.66", "state"), "foreign");
}

TEST_F(Addresses, PrefixesShowTheirUseVlanAndSite) {
  Out({"pool", "create", "pay", "--cidr", "10.50.0.0/24", "--vlan", "12", "--site", "sh", "--node", "host1", "--max-endpoints", "5"});
  Out({"ip", "reserve", "a", "--pool", "pay", "--network", "paynet"});
  EXPECT_THAT(Out({"pool", "inspect", "pay"}), HasSubstr("10.50.0.0/24  10.50.0.1  1 of 5  0         12    sh    host1"));
  EXPECT_THAT(Out({"pool", "inspect", "pay"}), testing::ContainsRegex("quota +none\n"));
  Out({"pool", "update", "pay", "--max-endpoints", "1"});
  Expect({"ip", "reserve", "b", "--pool", "pay", "--network", "paynet"}, 4, "pay");
  json pool = json::parse(Out({"pool", "inspect", "pay", "-o", "json"}));
  EXPECT_EQ(pool["prefixes"][0]["vlan"], 12);
  EXPECT_EQ(pool["prefixes"][0]["max_endpoints"], 1);
}

TEST_F(Addresses, OnlyPrefixesOfThisHostAreMadeIntoANetwork) {
  Out({"pool", "create", "pay", "--cidr", "10.50.0.0/24", "--node", "host2"});
  Expect({"network", "create", "paynet", "--pool", "pay"}, 4, "pool pay has no prefix for node host1 of site sh");
  Out({"pool", "update", "pay", "--cidr", "10.51.0.0/24", "--node", "host1"});
  EXPECT_EQ(Out({"network", "create", "paynet", "--pool", "pay"}), "created network paynet on pool pay: 10.51.0.0/24\n");
}

TEST_F(Addresses, AFullDiskRefusesWithTheReason) {
  agent.store.FailCommit(1, ipam::MemoryLeaseStore::Fault::kFull);
  Expect({"ip", "reserve", "web-1"}, 4, "full");
  agent.files.SetFull(true);
  Expect({"ip", "reserve", "web-1"}, 4, "nothing was changed, because the audit log cannot be written");
  agent.files.SetFull(false);
  Out({"ip", "reserve", "web-1"});
}

}  // namespace
}  // namespace fairlead::app
