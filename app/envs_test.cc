#include <gmock/gmock.h>

#include "app/agent_fixture.h"

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

}  // namespace
}  // namespace fairlead::app
