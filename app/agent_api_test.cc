#include "app/agent_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using testing::HasSubstr;

class Api : public testing::Test {
 protected:
  Api() { agent.Fill(); }
  std::string Why(const std::string& target) { return agent.Get("/v1/why?target=" + target).dump(); }
  TestAgent agent;
};

TEST_F(Api, UnknownPagesListWhatThereIs) {
  http::Reply reply = agent.Ask("GET", "/v1/servces");
  EXPECT_EQ(reply.status, 404);
  EXPECT_THAT(reply.body, HasSubstr("\"code\": \"NOT_FOUND\""));
  EXPECT_THAT(reply.body, HasSubstr("/v1/services, /v1/services/NAME"));
}

TEST_F(Api, PagesThatAreReadRefuseChanges) {
  http::Reply reply = agent.Ask("POST", "/v1/services");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.headers.back().value, "GET, HEAD");
}

TEST_F(Api, AServiceIsFoundWithoutItsProjectWhereThatIsClear) {
  EXPECT_EQ(agent.Get("/v1/services/web")["name"], "web.demo");
  EXPECT_EQ(agent.Get("/v1/services/legacy")["name"], "legacy.default");
  discovery::EndpointRow other = Container("other", "10.40.0.30");
  other.services[0].project = "shop";
  agent.catalog.Upsert(other);
  EXPECT_THAT(agent.Get("/v1/services/web").dump(), HasSubstr("say which: web.demo, web.shop"));
}

TEST_F(Api, EndpointsMayBeAskedOfOneService) {
  EXPECT_EQ(agent.Get("/v1/endpoints").size(), 4u);
  EXPECT_EQ(agent.Get("/v1/endpoints?service=web").size(), 3u);
  EXPECT_EQ(agent.Get("/v1/endpoints?service=nope")["error"]["fix"], "fairlead service ls");
}

TEST_F(Api, AnEndpointThatBalancersCheckIsWhatThisHostsSaysOfIt) {
  lb::Config config = BalancerConfig();
  config.services[0].health_check.kind = discovery::CheckKind::kTcp;
  auto reason = [&](const BalancerWord& word) {
    const AgentView view(agent.catalog, *agent.host.ipam, config, word);
    return view.Endpoints("legacy.default")[0].info.why_not;
  };
  EXPECT_EQ(reason({}), "balancers check it themselves, and none answers on this host");
  EXPECT_EQ(reason({.answered = true}), "balancers check it themselves, and this host's has a file without it: reload it");
  EXPECT_EQ(reason(ParseChecks({{{"service", "legacy.default"}, {"uid", "file/10.0.0.5:8080"}, {"checked_by", "balancer"}, {"reason", "no"}}})), "no");
}

TEST_F(Api, ChangesAreForRootTheAgentsOwnUserAndTheGroupOverTheSocket) {
  struct Case {
    std::optional<io::PeerCredentials> peer;
    int status;
  };
  const uint32_t other = kServiceUser + 1;
  for (const Case& c : std::vector<Case>{{{}, 403},  // TCP: nobody knows who asks
                                         {io::PeerCredentials{.pid = 1, .uid = other, .gid = 1}, 403},
                                         {io::PeerCredentials{.pid = 1, .uid = other, .gid = kOperatorGroup}, 200},
                                         {io::PeerCredentials{.pid = 1, .uid = other, .gid = 1, .groups = {7, kOperatorGroup}}, 200},
                                         {io::PeerCredentials{.pid = 1, .uid = kServiceUser, .gid = kOperatorGroup}, 403},
                                         {io::PeerCredentials{.pid = 1, .uid = geteuid(), .gid = 1}, 200},
                                         {io::PeerCredentials{.pid = 1, .uid = 0, .gid = 0}, 200}}) {
    ASSERT_TRUE(agent.host.Acquire("old", ipam::Ip("10.40.0.20")).ok());
    ASSERT_TRUE(agent.host.Detach(ipam::Ip("10.40.0.20")).ok());
    EXPECT_EQ(agent.Ask("DELETE", "/v1/leases?name=old", c.peer).status, c.status);
    EXPECT_EQ(agent.Ask("GET", "/v1/leases?name=old").status, c.status == 200 ? 404 : 200);
  }
}

TEST_F(Api, AChangeAndARefusalAreInTheAuditLog) {
  agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 5, .uid = kServiceUser, .gid = 7});
  agent.Ask("DELETE", "/v1/leases?name=nobody", io::PeerCredentials{.pid = 6, .uid = 0, .gid = 0});
  agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 6, .uid = 0, .gid = 0});
  auto read = [&](const char* target) {
    return nlohmann::json::parse(agent.Ask("GET", target, io::PeerCredentials{.pid = 6, .uid = 0}).body);
  };
  auto entries = read("/v1/audit");
  ASSERT_EQ(entries.size(), 3u);  // latest first
  EXPECT_EQ(entries[0]["action"], "ip release");
  EXPECT_EQ(entries[0]["object"], "old");
  EXPECT_EQ(entries[0]["outcome"], "done");
  EXPECT_EQ(entries[0]["uid"], 0);
  EXPECT_EQ(entries[0]["user"], "root");
  EXPECT_EQ(entries[0]["pid"], 6);
  EXPECT_THAT(entries[1]["outcome"].get<std::string>(), HasSubstr("NOT_FOUND: there is no lease of nobody"));
  EXPECT_THAT(entries[2]["outcome"].get<std::string>(), HasSubstr("PERMISSION_DENIED"));
  EXPECT_EQ(entries[2]["gid"], 7);
  EXPECT_TRUE(entries[2]["user"].is_null());
  EXPECT_EQ(read("/v1/audit?limit=1").size(), 1u);
}

TEST_F(Api, TheAuditLogIsForOperatorsOnly) {
  EXPECT_EQ(agent.Ask("GET", "/v1/audit", io::PeerCredentials{.pid = 1, .uid = geteuid() + 9, .gid = kOperatorGroup}).status, 200);
  http::Reply over_tcp = agent.Ask("GET", "/v1/audit");
  EXPECT_EQ(over_tcp.status, 403);
  EXPECT_THAT(over_tcp.body, HasSubstr("the audit log is for operators: it is read over the unix socket only"));
  http::Reply other = agent.Ask("HEAD", "/v1/audit?limit=1", io::PeerCredentials{.pid = 1, .uid = geteuid() + 9, .gid = 1});
  EXPECT_EQ(other.status, 403);
  EXPECT_THAT(other.body, HasSubstr("may not read the audit log: root may, and members of group fairlead"));
  EXPECT_EQ(agent.Ask("GET", "/v1/audit", io::PeerCredentials{.pid = 1, .uid = kServiceUser, .gid = kOperatorGroup}).status, 403);
}

TEST_F(Api, AFullDiskRefusesAChangeBeforeItIsMade) {
  agent.files.SetFull(true);
  http::Reply reply = agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1});
  EXPECT_EQ(reply.status, 429);
  EXPECT_THAT(reply.body, HasSubstr("ip release old: nothing was changed, because the audit log cannot be written"));
  EXPECT_EQ(agent.Ask("GET", "/v1/leases?name=old").status, 200);
}

TEST_F(Api, AChangeNeedsAJsonObject) {
  EXPECT_EQ(agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1}, "[1]").status, 400);
  EXPECT_EQ(agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1}, "{").status, 400);
}

TEST_F(Api, ASmallProgramsCallIsForThoseWhoMayChangeThings) {
  agent.api->AddShim("echo", [](nlohmann::json request) -> io::Task<StatusOr<nlohmann::json>> { co_return request; });
  const io::PeerCredentials root{1, 0, 0};
  EXPECT_EQ(agent.Ask("POST", "/v1/shim/echo", {}, "{}").status, 403);
  EXPECT_EQ(agent.Ask("POST", "/v1/shim/nope", root, "{}").status, 404);
  EXPECT_EQ(agent.Ask("POST", "/v1/shim/echo", root, "[]").status, 400);
  EXPECT_THAT(agent.Ask("POST", "/v1/shim/echo", root, R"({"a":1})").body, HasSubstr("\"a\": 1"));
}

TEST_F(Api, ReleaseOfANameOnSeveralNetworksAsksWhich) {
  ipam::LeaseKey elsewhere{"othernet", "host1", "old"};
  auto lease = agent.host.Run(agent.host.ipam->Acquire({.pool = "shop", .key = elsewhere}));
  ASSERT_TRUE(agent.host.Detach(lease->ip).ok());
  http::Reply reply = agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1});
  EXPECT_EQ(reply.status, 409);
  EXPECT_THAT(reply.body, HasSubstr("fairlead ip release old --network shopnet"));
  EXPECT_EQ(agent.Ask("DELETE", "/v1/leases?name=old&network=othernet", io::PeerCredentials{.pid = 1}).status, 200);
}

TEST_F(Api, HistoryFindsThePoolOfTheAddress) {
  auto history = agent.Get("/v1/leases/history?ip=10.40.0.20");
  EXPECT_EQ(history[0]["name"], "old");
  EXPECT_TRUE(history[0]["to"].is_null());
  EXPECT_EQ(agent.Ask("GET", "/v1/leases/history?ip=x").status, 400);
}

TEST_F(Api, WhyTellsWhatTheNameServerAnswers) {
  EXPECT_THAT(Why("web.demo.svc.fl.internal"), HasSubstr("web.demo.svc.fl.internal is 10.40.0.10\""));
  EXPECT_THAT(Why("web.demo.lb.fl.internal"), HasSubstr("is the balancer: 192.0.2.1"));
  EXPECT_THAT(Why("demo-web-2.host1.ct.fl.internal"), HasSubstr("is 10.40.0.11\""));
  EXPECT_THAT(Why("nope.fl.internal"), HasSubstr("NXDOMAIN"));
}

TEST_F(Api, WhyTellsTheServiceWithoutAnswerFromTheOneThatIsNotThere) {
  for (const char* name : {"demo-web-1", "demo-web-2", "demo-web-3"}) {
    discovery::EndpointRow row = Container(name, "10.40.0.10");
    row.state = discovery::RunState::kExited;
    agent.catalog.Upsert(row);
  }
  auto why = agent.Get("/v1/why?target=web");
  EXPECT_EQ(why["ok"], false);
  EXPECT_THAT(why.dump(), HasSubstr("web.demo.svc.fl.internal is known, but has no record now"));
  EXPECT_THAT(why.dump(), HasSubstr("none of 3 endpoints may take traffic: the balancer answers 503"));
}

TEST_F(Api, WhyTellsWhoTakesAHostThatTwoClaim) {
  EXPECT_THAT(Why("http://LEGACY.example.com/x?y"), HasSubstr("legacy.example.com/ leads to legacy.default"));
  EXPECT_THAT(Why("http://legacy.example.com/x"), HasSubstr("web.demo claims it too, and came later"));
  EXPECT_THAT(Why("http://legacy.example.com:99/"), HasSubstr("none at port 99; there is web at 0.0.0.0:80"));
}

TEST_F(Api, WhyFollowsAnAddressToItsContainerAndService) {
  EXPECT_THAT(Why("10.40.0.10"), HasSubstr("10.40.0.10 belongs to shopnet/host1/demo-web-1 in pool shop, attached"));
  EXPECT_THAT(Why("10.40.0.10"), HasSubstr("in web.demo: may take traffic"));
  EXPECT_THAT(Why("10.40.0.1"), HasSubstr("nobody has 10.40.0.1 of pool shop: it is the gateway"));
  EXPECT_THAT(Why("10.0.0.5:8080"), HasSubstr("is an endpoint of legacy.default"));
  EXPECT_EQ(agent.Ask("GET", "/v1/why?target=8.8.8.8").status, 404);
  EXPECT_EQ(agent.Ask("GET", "/v1/why").status, 400);
}

TEST_F(Api, WhyTellsWhoseAFreeAddressWas) {
  ASSERT_EQ(agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1}).status, 200);
  EXPECT_THAT(Why("10.40.0.20"), HasSubstr("it was shopnet/host1/old's until 2023-11-14T22:13:21Z"));
}

}  // namespace
}  // namespace fairlead::app
