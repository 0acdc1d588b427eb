// Podman 4.3's words, as its service says them.
#include "runtime-shim/podman_engine.h"

#include <gtest/gtest.h>

#include "base/http/server.h"
#include "base/io/listener.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

class PodmanEngineTest : public testing::Test {
 protected:
  PodmanEngineTest()
      : socket_(*SocketAddress::Unix(worker_.folder + "/podman.sock")),
        server_(*worker_.proactor, [this](const http::Request& request, const http::RequestContext&) { return Answer(request); }) {
    server_.Serve(*io::Listener::Open(*worker_.proactor, socket_, {}));
  }
  void TearDown() override {
    worker_.Run([](http::Server* server) -> io::Task<bool> {
      co_await server->Stop();
      co_return true;
    }(&server_));
  }
  io::Task<http::Reply> Answer(http::Request request) {
    http::Reply reply;
    reply.status = 404;
    for (const auto& [start, body] : answers_)
      if (request.target.starts_with(start)) reply.status = 200, reply.body = body;
    asked_.push_back(std::move(request.target));
    co_return reply;
  }
  Nanos Soon() { return worker_.proactor->Now() + 10 * kSecond; }
  std::vector<EngineEvent> ReadEvents(size_t count) {
    return worker_.Run([](PodmanEngine* engine, size_t wanted, Nanos deadline) -> io::Task<std::vector<EngineEvent>> {
      std::vector<EngineEvent> events;
      auto stream = co_await engine->Events(0, deadline);
      while (stream.ok() && events.size() < wanted) {
        auto event = co_await (*stream)->Next();
        if (!event.ok()) break;
        events.push_back(*std::move(event));
      }
      co_return events;
    }(&engine_, count, Soon()));
  }

  Worker worker_;
  SocketAddress socket_;
  http::Server server_;
  PodmanEngine engine_{*worker_.proactor, socket_};
  std::vector<std::string> asked_;
  std::map<std::string, std::string> answers_{{"/version", R"({"ApiVersion":"1.41","MinAPIVersion":"1.24"})"}};
};

TEST_F(PodmanEngineTest, TellsEventsInDockersWords) {
  answers_["/v1.41/events"] =
      R"({"status":"remove","id":"c1","Type":"container","Action":"remove","Actor":{"ID":"c1","Attributes":{"name":"web"}},"timeNano":5})"
      "\n"
      R"({"status":"health_status","id":"c1","Type":"container","Action":"health_status","Actor":{"ID":"c1","Attributes":{}},"timeNano":6})"
      "\n"
      R"({"status":"connect","id":"","Type":"network","Action":"connect","Actor":{"ID":"c2","Attributes":{}},"timeNano":7})"
      "\n";
  std::vector<EngineEvent> events = ReadEvents(3);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].action, "destroy");
  EXPECT_FALSE(events[0].early);
  EXPECT_TRUE(events[1].early);  // the health that it tells of cannot be read yet
  EXPECT_EQ(events[2].attributes.at("container"), "c2");
}

TEST_F(PodmanEngineTest, AsksForBothWordsOfARemoval) {
  answers_["/v1.41/events"] = "";
  ReadEvents(1);
  EXPECT_NE(asked_.back().find("%22remove%22%2C%22destroy%22"), std::string::npos) << asked_.back();
}

TEST_F(PodmanEngineTest, APodsInfraContainerIsNobodysEndpoint) {
  answers_["/v1.41/containers/i1/json"] = R"({"Id":"i1","Name":"/10d4ae0d328b-infra","State":{"Status":"running"}})";
  answers_["/v4.0.0/libpod/containers/i1/json"] = R"({"Id":"i1","IsInfra":true})";
  EXPECT_EQ(worker_.Run(engine_.InspectContainer("i1", Soon())).status().code(), StatusCode::kNotFound);
}

TEST_F(PodmanEngineTest, AContainerThatIsOnlyCalledSoIsOne) {
  answers_["/v1.41/containers/c1/json"] = R"({"Id":"c1","Name":"/shop-infra","State":{"Status":"running"}})";
  answers_["/v4.0.0/libpod/containers/c1/json"] = R"({"Id":"c1","IsInfra":false})";
  auto container = worker_.Run(engine_.InspectContainer("c1", Soon()));
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(container->name, "shop-infra");
}

TEST_F(PodmanEngineTest, ItsStateIsInItsDatabase) {
  answers_["/v4.0.0/libpod/info"] = R"({"host":{"arch":"amd64"},"store":{"graphRoot":"/var/lib/containers/storage"}})";
  EXPECT_EQ(*worker_.Run(engine_.StateFile(Soon())), "/var/lib/containers/storage/libpod/bolt_state.db");
  answers_["/v4.0.0/libpod/info"] = R"({"host":{"databaseBackend":"sqlite"},"store":{"graphRoot":"/s"}})";
  EXPECT_EQ(*worker_.Run(engine_.StateFile(Soon())), "/s/db.sql-wal");
}

}  // namespace
}  // namespace fairlead::runtime
