// DockerEngine on the wire: what it asks an engine, and what it makes of the answers.
#include "runtime-shim/engine_client.h"

#include <gtest/gtest.h>

#include "base/http/server.h"
#include "base/io/listener.h"
#include "runtime-shim/json_fields.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

class EngineClientTest : public testing::Test {
 protected:
  EngineClientTest()
      : socket_(*SocketAddress::Unix(worker_.folder + "/docker.sock")),
        server_(*worker_.proactor, [this](const http::Request& request, const http::RequestContext&) { return Answer(request); }) {
    server_.Serve(*io::Listener::Open(*worker_.proactor, socket_, {}));
  }
  ~EngineClientTest() override {
    worker_.Run([](http::Server* server) -> io::Task<bool> {
      co_await server->Stop();
      co_return true;
    }(&server_));
  }
  io::Task<http::Reply> Answer(http::Request request) {
    requests_.push_back(request);
    http::Reply reply;
    reply.body = request.target == "/version" ? R"({"ApiVersion":"1.51","MinAPIVersion":"1.24"})" : body_;
    if (request.target != "/version") reply.status = status_;
    co_return reply;
  }
  Nanos Soon() { return worker_.proactor->Now() + 10 * kSecond; }

  Worker worker_;
  SocketAddress socket_;
  http::Server server_;
  std::vector<http::Request> requests_;
  std::string body_;
  int status_ = 200;
};

TEST_F(EngineClientTest, PutsAContainerOnANetworkMarkedAsOurOwnCall) {
  DockerEngine engine(*worker_.proactor, socket_, "0123456789abcdef");
  Status connected = worker_.Run(engine.ConnectNetwork("shop net", "c1", {.ipv4 = *IpAddress::Parse("10.50.0.7")}, Soon()));
  ASSERT_TRUE(connected.ok()) << connected;
  EXPECT_EQ(requests_.back().method, "POST");
  EXPECT_EQ(requests_.back().target, "/v1.47/networks/shop%20net/connect");
  EXPECT_EQ(requests_.back().header("X-Fairlead"), "0123456789abcdef");
  EXPECT_EQ(Text(Json::parse(requests_.back().body), "Container"), "c1");
}

TEST_F(EngineClientTest, CarriesNoMarkWithoutASecret) {
  DockerEngine engine(*worker_.proactor, socket_);
  ASSERT_TRUE(worker_.Run(engine.DisconnectNetwork("shopnet", "c1", Soon())).ok());
  EXPECT_EQ(requests_.back().header("X-Fairlead"), "");
}

TEST_F(EngineClientTest, ARefusalIsToldInTheEnginesWords) {
  status_ = 403;
  body_ = R"({"message":"container c1 is not connected to network shopnet"})";
  DockerEngine engine(*worker_.proactor, socket_);
  Status refused = worker_.Run(engine.DisconnectNetwork("shopnet", "c1", Soon()));
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused).find("c1 is not connected"), std::string_view::npos);
}

TEST_F(EngineClientTest, ANetworkThatTheDriverRefusesIsNoEngineThatIsAway) {
  status_ = 500;
  body_ = R"({"message":"remote: pool shop is not known"})";
  DockerEngine engine(*worker_.proactor, socket_);
  Status refused = worker_.Run(engine.CreateNetwork({.name = "shopnet", .driver = "fairlead"}, Soon()));
  EXPECT_EQ(refused.code(), StatusCode::kUnknown);
  EXPECT_EQ(requests_.back().target, "/v1.47/networks/create");
  status_ = 204;
  EXPECT_TRUE(worker_.Run(engine.RemoveNetwork("shopnet", Soon())).ok());
  EXPECT_EQ(requests_.back().method, "DELETE");
}

TEST_F(EngineClientTest, QuestionsShareAConnectionAndChangesHaveTheirOwn) {
  body_ = R"({"Id":"c1","Name":"/web"})";
  DockerEngine engine(*worker_.proactor, socket_);
  for (int i = 0; i < 3; i++) ASSERT_TRUE(worker_.Run(engine.InspectContainer("c1", Soon())).ok());
  EXPECT_EQ(server_.connections(), 1U);
  EXPECT_EQ(requests_.back().header("Connection"), "");
  ASSERT_TRUE(worker_.Run(engine.DisconnectNetwork("shopnet", "c1", Soon())).ok());
  EXPECT_EQ(requests_.back().header("Connection"), "close");
}

TEST_F(EngineClientTest, KnowsTheEnginesOwnVersionThoughItSpeaksAnOlderOne) {
  DockerEngine engine(*worker_.proactor, socket_);
  EXPECT_EQ(*worker_.Run(engine.Version(Soon())), (EngineVersion{1, 51}));
}

TEST_F(EngineClientTest, AContainerIsStoppedInItsOwnWayAndThenRemovedWithItsAnonymousVolumes) {
  status_ = 204;
  DockerEngine engine(*worker_.proactor, socket_);
  EXPECT_TRUE(worker_.Run(engine.RemoveContainer("c1", Soon())).ok());
  ASSERT_GE(requests_.size(), 2u);
  EXPECT_EQ(requests_[requests_.size() - 2].target, "/v1.47/containers/c1/stop");
  EXPECT_EQ(requests_.back().method, "DELETE");
  EXPECT_EQ(requests_.back().target, "/v1.47/containers/c1?v=1");
  status_ = 404;
  EXPECT_TRUE(worker_.Run(engine.RemoveContainer("c1", Soon())).ok()) << "somebody was faster";
  status_ = 409;
  body_ = R"({"message":"removal of container c1 is already in progress"})";
  EXPECT_TRUE(worker_.Run(engine.RemoveContainer("c1", Soon())).ok()) << "it was started with --rm";
  body_ = R"({"message":"device is busy"})";
  EXPECT_FALSE(worker_.Run(engine.RemoveContainer("c1", Soon())).ok());
}

}  // namespace
}  // namespace fairlead::runtime
