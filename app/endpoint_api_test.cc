// Endpoints that are no containers, over the API and by commands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const io::PeerCredentials kRoot{.pid = 6, .uid = 0, .gid = 0};

class Endpoints : public testing::Test {
 protected:
  Endpoints() { agent.Fill(); }
  http::Reply Put(const std::string& body, std::optional<io::PeerCredentials> peer = kRoot) {
    return agent.Ask("PUT", "/v1/endpoints", peer, body);
  }
  TestAgent agent;
};

TEST_F(Endpoints, ARegisteredOneIsListedFoundAndRemoved) {
  const json made = json::parse(Put(R"({"service": "db.shop", "address": "10.0.0.9:3306", "protocol": "tcp", "ttl": "1h"})").body);
  EXPECT_EQ(made["service"], "db.shop");
  EXPECT_EQ(made["renewed"], false);
  EXPECT_TRUE(made["expires"].is_string());
  const json found = agent.Get("/v1/endpoints?service=db.shop&address=10.0.0.9%3A3306");
  ASSERT_EQ(found.size(), 1u) << found;
  EXPECT_EQ(found[0]["source"], "api");
  EXPECT_EQ(found[0]["name"], "10.0.0.9:3306");
  EXPECT_EQ(found[0]["expires"], made["expires"]);
  EXPECT_EQ(agent.Ask("DELETE", "/v1/endpoints?service=db.shop&address=10.0.0.9%3A3306", kRoot).status, 200);
  EXPECT_EQ(agent.Ask("GET", "/v1/endpoints?address=10.0.0.9%3A3306").status, 404);
}

TEST_F(Endpoints, ChangesAreInTheAuditLogAndRenewalsAreNot) {
  const std::string body = R"({"service": "db.shop", "address": "10.0.0.9:3306", "ttl": "1h"})";
  Put(body);
  for (int i = 0; i < 5; i++) EXPECT_EQ(json::parse(Put(body).body)["renewed"], true);
  EXPECT_EQ(Put(body, {}).status, 403) << "nobody knows who asks over TCP, also for a renewal";
  const json entries = json::parse(agent.Ask("GET", "/v1/audit", kRoot).body);
  ASSERT_EQ(entries.size(), 1u) << entries;
  EXPECT_EQ(entries[0]["action"], "endpoint add");
}

TEST_F(Endpoints, WhatIsWrongIsSaidWithItsCode) {
  http::Reply bad = Put(R"({"service": "db", "address": "10.0.0.9", "ttl": "1ms"})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_THAT(bad.body, HasSubstr("INVALID_ARGUMENT"));
  EXPECT_THAT(bad.body, HasSubstr("ttl: is neither forever nor a time"));
  http::Reply container = agent.Ask("DELETE", "/v1/endpoints?service=web.demo&address=10.40.0.10%3A80", kRoot);
  EXPECT_EQ(container.status, 409);
  EXPECT_THAT(container.body, HasSubstr("is container demo-web-1 of host1: it leaves when the container stops"));
  EXPECT_EQ(agent.Ask("DELETE", "/v1/endpoints?service=web.demo&address=10.9.9.9%3A80", kRoot).status, 404);
}

TEST_F(Endpoints, OneOfTheFileCanBeTakenOut) {
  EXPECT_EQ(agent.Get("/v1/endpoints?service=legacy").size(), 1u);
  EXPECT_EQ(agent.Ask("DELETE", "/v1/endpoints?service=legacy&address=10.0.0.5%3A8080", kRoot).status, 200);
  EXPECT_EQ(agent.Get("/v1/endpoints?service=legacy").size(), 0u);
}

TEST_F(Endpoints, CommandsAddRenewAndRemove) {
  TestAgent::Ran added = agent.Command({"endpoint", "add", "db", "10.0.0.9:3306", "--protocol", "tcp", "--host", "db.example.com"});
  EXPECT_EQ(added.code, 0) << added.err;
  EXPECT_EQ(added.out, "added 10.0.0.9:3306 of db.default, until it is removed\n");
  EXPECT_THAT(agent.Command({"endpoint", "add", "db", "10.0.0.9:3306", "--protocol", "tcp", "--host", "db.example.com"}).out, HasSubstr("renewed "));
  EXPECT_THAT(agent.Command({"endpoint", "ls", "-o", "wide"}).out, HasSubstr("10.0.0.9:3306"));
  EXPECT_EQ(agent.Command({"endpoint", "rm", "db", "10.0.0.9:3306", "-y"}).out, "removed 10.0.0.9:3306 of db.default\n");
  TestAgent::Ran gone = agent.Command({"endpoint", "rm", "db", "10.0.0.9:3306", "-y"});
  EXPECT_EQ(gone.code, 3);
  EXPECT_EQ(agent.Command({"endpoint", "add", "db", "nowhere"}).code, 2);
}

}  // namespace
}  // namespace fairlead::app
