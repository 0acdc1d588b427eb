#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

discovery::EndpointRow OfBranch(const std::string& name, const std::string& ip, const std::string& branch, const std::string& service) {
  discovery::EndpointRow row = Container(name, ip);
  row.branch = branch;
  row.services[0].service = service;
  row.services[0].routes.clear();
  return row;
}

TEST(Envs, AreListedWithTheHostThatLeadsThere) {
  TestAgent agent;
  agent.catalog.Upsert(Container("main-1", "10.40.0.10"));
  agent.catalog.Upsert(OfBranch("x-web", "10.40.0.11", "feat-x", "web"));
  agent.catalog.Upsert(OfBranch("x-api", "10.40.0.12", "feat-x", "api"));
  discovery::EndpointRow stopped = OfBranch("y-api", "10.40.0.13", "y", "api");
  stopped.state = discovery::RunState::kExited;
  stopped.services[0].ip = {};
  agent.catalog.Upsert(stopped);
  nlohmann::json envs = nlohmann::json::parse(agent.Command({"env", "ls", "-o", "json"}).out);
  ASSERT_EQ(envs.size(), 2u);
  EXPECT_EQ(envs[0]["branch"], "feat-x");
  EXPECT_EQ(envs[0]["host"], "feat-x.demo.ns.example.com");
  EXPECT_EQ(envs[0]["ready"], 2);
  EXPECT_EQ(envs[0]["services"], nlohmann::json({"api", "web"}));
  EXPECT_EQ(envs[1]["host"], nullptr);
  EXPECT_EQ(envs[1]["ready"], 0);
  EXPECT_THAT(agent.Command({"env", "ls"}).out, testing::HasSubstr("feat-x.demo.ns.example.com  2/2"));
}

class RemovingAnEnv : public testing::Test {
 protected:
  RemovingAnEnv() {
    for (const char* name : {"x-web", "x-api", "y-web"}) {
      agent.catalog.Upsert(OfBranch(name, Cat("10.40.0.", ++last_), name[0] == 'x' ? "feat-x" : "y", name + 2));
      agent.engine.container(Cat(name, "-id")).id = Cat(name, "-id");
    }
  }
  std::vector<std::string> Left() {
    std::vector<std::string> ids;
    for (const auto& [id, container] : agent.engine.containers()) ids.push_back(id);
    return ids;
  }
  TestAgent agent;
  int last_ = 10;
};

TEST_F(RemovingAnEnv, NamesItsContainersAsksAndRemovesThoseAlone) {
  TestAgent::Ran unasked = agent.Command({"env", "rm", "demo", "feat/X"});
  EXPECT_EQ(unasked.code, 2);
  EXPECT_THAT(unasked.err, testing::HasSubstr("-y does it without asking"));
  EXPECT_NE(agent.Command({"env", "rm", "demo", "feat/X"}, false).code, 0);
  agent.StopServing();
  EXPECT_EQ(Left().size(), 3u);
  TestAgent::Ran ran = agent.Command({"env", "rm", "demo", "feat/X", "-y"});
  EXPECT_EQ(ran.out, "removed containers x-api, x-web of demo/feat/X\n") << ran.err;
  agent.StopServing();
  EXPECT_THAT(Left(), testing::ElementsAre("y-web-id"));
}

TEST_F(RemovingAnEnv, TakesWhatIsRegisteredForItAlong) {
  const io::PeerCredentials root{.pid = 6, .uid = 0, .gid = 0};
  ASSERT_EQ(agent.Ask("PUT", "/v1/endpoints", root, R"({"service": "db.demo", "address": "10.0.0.9:3306", "branch": "feat/X"})").status, 200);
  TestAgent::Ran ran = agent.Command({"env", "rm", "demo", "feat-x", "-y"});
  EXPECT_THAT(ran.out, testing::HasSubstr("and registered endpoints db 10.0.0.9:3306")) << ran.err;
  agent.StopServing();
  EXPECT_EQ(agent.book->size(), 0u);
}

TEST_F(RemovingAnEnv, SaysWhatRemainsElsewhereOrCannotBeRemoved) {
  discovery::EndpointRow far = OfBranch("z-web", "10.40.1.10", "z", "web");
  far.node = "host2";
  agent.catalog.Upsert(far);
  TestAgent::Ran ran = agent.Command({"env", "rm", "demo", "z", "-y"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_THAT(ran.err, testing::HasSubstr("nothing of demo/z is on this host; the branch goes on at host2: run it there too"));
  EXPECT_EQ(agent.Command({"env", "rm", "demo", "none", "-y"}).code, 3);
  agent.StopServing();
  agent.engine.SetDown(true);
  ran = agent.Command({"env", "rm", "demo", "y", "-y"});
  EXPECT_THAT(ran.err, testing::HasSubstr("of demo/y remain: container y-web: the engine is down"));
}

}  // namespace
}  // namespace fairlead::app
