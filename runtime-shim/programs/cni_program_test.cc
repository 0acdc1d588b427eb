#include "runtime-shim/programs/cni_program.h"

#include <gmock/gmock.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "runtime-shim/programs/netavark_program.h"
#include "runtime-shim/programs/scripted_agent.h"

namespace fairlead::programs {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CniProgramTest : public testing::Test {
 protected:
  CniInput Input(const std::string& command) const {
    return {.command = command, .container_id = "c1", .netns = "/run/netns/c1", .ifname = "eth0",
            .args = "IgnoreUnknown=1;K8S_POD_NAME=web", .path = "/opt/cni/bin",
            .config = R"({"cniVersion":"1.0.0","name":"podnet","type":"fairlead"})", .socket = folder_.Path("api.sock")};
  }
  // As the IPAM of macvlan.
  CniInput IpamInput(const std::string& command) const {
    CniInput input = Input(command);
    input.config = json{{"cniVersion", "1.0.0"}, {"name", "podnet"}, {"type", "macvlan"},
                        {"ipam", {{"type", "fairlead"}, {"state_dir", folder_.Path("")}}}}.dump();
    return input;
  }
  // The agent's file as far as it is read here, in the journal mode that it has.
  void WriteLeases() {
    CHECK(mkdir(folder_.Path("agent").c_str(), 0700) == 0);
    Sql("PRAGMA journal_mode=WAL; CREATE TABLE pools(name TEXT PRIMARY KEY, spec TEXT NOT NULL);"
        "CREATE TABLE leases(network TEXT, scope TEXT, name TEXT, family INTEGER, pool TEXT, ip TEXT, provisional INTEGER);"
        "INSERT INTO pools VALUES ('shop', '{\"prefixes\":[{\"cidr\":\"10.40.0.0/24\",\"gateway\":\"\"},"
        "{\"cidr\":\"fd00:40::/64\",\"gateway\":\"fd00:40::9\"}]}');"
        "INSERT INTO leases VALUES ('podnet', 'host1', 'web', 4, 'shop', '10.40.0.7', 0), ('podnet', 'host1', 'web', 6, 'shop',"
        " 'fd00:40::7', 0), ('podnet', 'host1', '~1', 4, 'shop', '10.40.0.8', 1)");
  }
  void Sql(const std::string& text) {
    sqlite3* db = nullptr;
    CHECK(sqlite3_open(folder_.Path("agent/leases.db").c_str(), &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, text.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(db);
  }
  void TearDown() override {
    for (const char* name : {"agent/leases.db", "agent/leases.db-wal", "agent/leases.db-shm"}) unlink(folder_.Path(name).c_str());
    rmdir(folder_.Path("agent").c_str());
  }

  TestFolder folder_;
};

TEST_F(CniProgramTest, CarriesTheCallToTheAgentAndItsResultBack) {
  std::string asked;
  ScriptedAgent agent(folder_.Path("api.sock"), [&](ScriptedAgent::Peer& peer) {
    asked = peer.Request();
    peer.Answer(R"({"result":{"cniVersion":"1.0.0","ips":[]}})");
  });
  const ProgramOutput output = RunCni(Input("ADD"));
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(json::parse(output.text), json({{"cniVersion", "1.0.0"}, {"ips", json::array()}}));
  const json sent = json::parse(asked.substr(asked.find("\r\n\r\n") + 4));
  EXPECT_THAT(asked, HasSubstr("POST /v1/shim/cni"));
  EXPECT_EQ(sent["command"], "ADD");
  EXPECT_EQ(sent["args"], "IgnoreUnknown=1;K8S_POD_NAME=web");
  EXPECT_EQ(sent["config"]["name"], "podnet");
}

TEST_F(CniProgramTest, AnErrorOfTheAgentIsTheResultWithStatusOne) {
  ScriptedAgent agent(folder_.Path("api.sock"),
                      ScriptedAgent::Answers(R"({"error":{"cniVersion":"1.0.0","code":101,"msg":"taken by db","details":""}})"));
  const ProgramOutput output = RunCni(Input("ADD"));
  EXPECT_EQ(output.status, 1);
  EXPECT_EQ(json::parse(output.text)["code"], 101);
}

TEST_F(CniProgramTest, TheConfigurationsSocketCounts) {
  ScriptedAgent agent(folder_.Path("other.sock"), ScriptedAgent::Answers(R"({"result":{}})"));
  CniInput input = Input("STATUS");
  input.config = json{{"cniVersion", "1.1.0"}, {"name", "n"}, {"type", "fairlead"}, {"socket", folder_.Path("other.sock")}}.dump();
  const ProgramOutput output = RunCni(input);
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(output.text, "");
}

TEST_F(CniProgramTest, WithoutAgentANewNameIsToldToTryLaterAndAStopPasses) {
  const ProgramOutput add = RunCni(Input("ADD"));
  EXPECT_EQ(add.status, 1);
  EXPECT_EQ(json::parse(add.text)["code"], 11);
  EXPECT_EQ(RunCni(Input("DEL")).status, 0);
  EXPECT_EQ(json::parse(RunCni(Input("CHECK")).text)["code"], 11);
  EXPECT_EQ(json::parse(RunCni(Input("STATUS")).text)["code"], 50);
  EXPECT_EQ(json::parse(RunCni(Input("VERSION")).text)["supportedVersions"].size(), 4u);
}

TEST_F(CniProgramTest, WithoutAgentAKnownNameIsServedFromTheLeaseFile) {
  WriteLeases();
  const ProgramOutput output = RunCni(IpamInput("ADD"));
  ASSERT_EQ(output.status, 0) << output.text;
  EXPECT_EQ(json::parse(output.text)["ips"], json({{{"address", "10.40.0.7/24"}, {"gateway", "10.40.0.1"}},
                                                   {{"address", "fd00:40::7/64"}, {"gateway", "fd00:40::9"}}}));
  CniInput asked = IpamInput("ADD");
  asked.args += ";IP=10.40.0.9";
  EXPECT_EQ(json::parse(RunCni(asked).text)["code"], 11) << "another address only the agent can give";
  asked.args = "K8S_POD_NAME=db";
  EXPECT_EQ(json::parse(RunCni(asked).text)["code"], 11);
  asked.args = "K8S_POD_NAME=~1";
  EXPECT_EQ(json::parse(RunCni(asked).text)["code"], 11) << "a placeholder is nobody's";
}

TEST_F(CniProgramTest, WithoutAgentAndFileAKnownNameWaits) {
  const ProgramOutput output = RunCni(IpamInput("ADD"));
  EXPECT_EQ(json::parse(output.text)["code"], 11);
  EXPECT_THAT(output.text, HasSubstr("leases.db"));
}

TEST_F(CniProgramTest, WhatIsNoConfigurationIsRefusedButDoesNotHoldUpAStop) {
  CniInput input = Input("ADD");
  input.config = "{";
  EXPECT_EQ(json::parse(RunCni(input).text)["code"], 6);
  input.command = "DEL";
  EXPECT_EQ(RunCni(input).status, 0);
  input.command = "";
  EXPECT_EQ(json::parse(RunCni(input).text)["code"], 4);
}

class NetavarkProgramTest : public CniProgramTest {};

TEST_F(NetavarkProgramTest, InfoNeedsNoAgent) {
  const ProgramOutput output = RunNetavark({"info"}, "", folder_.Path("api.sock"));
  EXPECT_EQ(output.status, 0);
  EXPECT_EQ(json::parse(output.text)["api_version"], "1.0.0");
}

TEST_F(NetavarkProgramTest, CarriesSetupToTheAgentAndTheStatusBlockBack) {
  std::string asked;
  ScriptedAgent agent(folder_.Path("api.sock"), [&](ScriptedAgent::Peer& peer) {
    asked = peer.Request();
    peer.Answer(R"({"result":{"interfaces":{"eth0":{}}}})");
  });
  const ProgramOutput output = RunNetavark({"setup", "/run/netns/a"}, R"({"container_id":"a"})", folder_.Path("api.sock"));
  EXPECT_EQ(output.status, 0);
  EXPECT_TRUE(json::parse(output.text).contains("interfaces"));
  EXPECT_THAT(asked, HasSubstr(R"("netns":"/run/netns/a")"));
}

TEST_F(NetavarkProgramTest, WithoutAgentASetupFailsClearlyAndATeardownPasses) {
  const ProgramOutput setup = RunNetavark({"setup", "/run/netns/a"}, "{}", folder_.Path("api.sock"));
  EXPECT_EQ(setup.status, 1);
  EXPECT_THAT(json::parse(setup.text)["error"].get<std::string>(), HasSubstr("api.sock"));
  EXPECT_EQ(RunNetavark({"teardown", "/run/netns/a"}, "{}", folder_.Path("api.sock")).status, 0);
  EXPECT_EQ(RunNetavark({"setup"}, "{}", folder_.Path("api.sock")).status, 1);
  EXPECT_EQ(RunNetavark({"paint"}, "{}", folder_.Path("api.sock")).status, 1);
}

}  // namespace
}  // namespace fairlead::programs
