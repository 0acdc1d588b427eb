#include "runtime-shim/programs/authz_server.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "runtime-shim/programs/agent_call.h"
#include "runtime-shim/programs/scripted_agent.h"

namespace fairlead::programs {
namespace {

constexpr char kSecret[] = "0123456789abcdef0123456789abcdef";

std::string Start(std::string_view name, std::string_view mark = "") {
  std::string body = Cat(R"({"RequestMethod":"POST","RequestUri":"/containers/)", name, R"(/start","RequestHeaders":{"X-Fairlead":")",
                         mark, R"("}})");
  return Cat("POST /AuthZPlugin.AuthZReq HTTP/1.1\r\nHost: \r\nContent-Length: ", body.size(), "\r\n\r\n", body);
}

class AuthzServerTest : public testing::Test {
 protected:
  AuthzServerTest() { WriteSecret(kSecret); }
  ~AuthzServerTest() override { Hang(); }

  void WriteSecret(std::string_view secret) { std::ofstream(folder_.Path("authz.secret")) << secret << "\n"; }

  void Serve() {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer_ = ends[0];
    server_ = std::thread([this, fd = ends[1]] { ServeAuthz(fd, rules_); });
  }
  void Hang() {
    if (peer_ >= 0) close(peer_);
    if (server_.joinable()) server_.join();
    peer_ = -1;
  }
  std::string Exchange(std::string_view call) {
    EXPECT_EQ(send(peer_, call.data(), call.size(), MSG_NOSIGNAL), static_cast<ssize_t>(call.size()));
    return Receive();
  }
  std::string Receive() {
    char piece[4096];
    ssize_t bytes = recv(peer_, piece, sizeof piece, 0);
    return {piece, bytes > 0 ? static_cast<size_t>(bytes) : 0};
  }

  TestFolder folder_;
  AuthzSecret secret_{folder_.Path("authz.secret")};
  std::mutex lock_;
  std::vector<std::pair<std::string, Nanos>> asked_;  // container, deadline
  AuthzRules rules_{secret_, [this](const PinQuestion& question, Nanos deadline) {
    std::scoped_lock held(lock_);
    asked_.emplace_back(question.container, deadline);
  }};
  int peer_ = -1;
  std::thread server_;
};

TEST_F(AuthzServerTest, AsksBeforeItAnswersAndServesOn) {
  Serve();
  Nanos before = MonotonicNow();
  EXPECT_TRUE(Exchange(Start("web-1")).ends_with("{\"Allow\":true}"));
  EXPECT_TRUE(Exchange(Start("web-2")).ends_with("{\"Allow\":true}"));
  std::scoped_lock held(lock_);
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_EQ(asked_[0].first, "web-1");
  EXPECT_EQ(asked_[1].first, "web-2");
  EXPECT_GE(asked_[0].second, before + AuthzRules::kPatience);
}

TEST_F(AuthzServerTest, CountsTheTimeOfACallFromItsFirstByte) {
  Serve();
  std::string call = Start("web-1");
  send(peer_, call.data(), 1, MSG_NOSIGNAL);
  pollfd wait{peer_, POLLIN, 0};
  poll(&wait, 1, 60);  // longer than the patience; nothing comes
  Nanos rest = MonotonicNow();
  EXPECT_TRUE(Exchange(call.substr(1)).ends_with("{\"Allow\":true}"));
  std::scoped_lock held(lock_);
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_LT(asked_[0].second, rest) << "its time was over before the call was whole";
}

TEST_F(AuthzServerTest, AllowsItsOwnCallsAtOnce) {
  Serve();
  EXPECT_TRUE(Exchange(Start("web-1", kSecret)).ends_with("{\"Allow\":true}"));
  std::scoped_lock held(lock_);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(AuthzServerTest, ReadsANewSecretWhenTheOldOneDoesNotMatch) {
  Serve();
  std::string fresh(32, 'f');
  Exchange(Start("forged", fresh));
  WriteSecret(fresh);
  EXPECT_TRUE(Exchange(Start("own", fresh)).ends_with("{\"Allow\":true}"));
  std::scoped_lock held(lock_);
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_EQ(asked_[0].first, "forged");
}

TEST_F(AuthzServerTest, AnEmptySecretMatchesNothing) {
  for (const char* text : {"", "short"}) {
    WriteSecret(text);
    AuthzSecret secret(folder_.Path("authz.secret"));
    EXPECT_FALSE(secret.Matches(""));
    EXPECT_FALSE(secret.Matches(text));
  }
  EXPECT_FALSE(AuthzSecret(folder_.Path("none")).Matches(""));
}

TEST_F(AuthzServerTest, ClosesAfterGarbage) {
  Serve();
  EXPECT_TRUE(Exchange("\x16\x03\x01 hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
  EXPECT_EQ(Receive(), "");
}

TEST_F(AuthzServerTest, EndsWhenThePeerGoesInTheMiddleOfACall) {
  Serve();
  std::string call = Start("web-1");
  send(peer_, call.data(), call.size() / 2, MSG_NOSIGNAL);
  Hang();  // joins
  EXPECT_TRUE(asked_.empty());
}

TEST_F(AuthzServerTest, AllowsWhenTheAgentIsNotThereOrSilent) {
  std::string path = folder_.Path("api.sock");
  rules_.ask = [path](const PinQuestion& question, Nanos deadline) { AskAgent(path, question, deadline); };
  Serve();
  EXPECT_TRUE(Exchange(Start("web-1")).ends_with("{\"Allow\":true}"));
  ScriptedAgent agent(path, [](ScriptedAgent::Peer& peer) { peer.StaySilent(); });
  EXPECT_TRUE(Exchange(Start("web-2")).ends_with("{\"Allow\":true}"));
}

TEST_F(AuthzServerTest, WaitsOnForAPinThatTheAgentSaysIsUnderWay) {
  std::string path = folder_.Path("api.sock");
  std::atomic<int> asked = 0, done = 0;
  ScriptedAgent agent(path, [&](ScriptedAgent::Peer& peer) {
    if (peer.Request().empty()) return;
    const bool first = asked++ == 0;
    if (!first && !peer.Pause(120)) return;  // longer than the patience
    done += first ? 0 : 1;
    peer.Answer(first ? R"({"under_way":true})" : "{}");
  });
  rules_.ask = [path](const PinQuestion& question, Nanos deadline) { AskAgent(path, question, deadline); };
  Serve();
  EXPECT_TRUE(Exchange(Start("web-1")).ends_with("{\"Allow\":true}"));
  EXPECT_EQ(done, 1) << "allowed when the pin was done";
}

TEST_F(AuthzServerTest, AllowsAtOnceWhenTheAgentDiesInTheMiddleOfAPin) {
  std::string path = folder_.Path("api.sock");
  std::atomic<int> asked = 0;
  ScriptedAgent agent(path, [&](ScriptedAgent::Peer& peer) {
    if (!peer.Request().empty() && asked++ == 0) peer.Answer(R"({"under_way":true})");
  });
  rules_.ask = [path](const PinQuestion& question, Nanos deadline) { AskAgent(path, question, deadline); };
  Serve();
  EXPECT_TRUE(Exchange(Start("web-1")).ends_with("{\"Allow\":true}"));
  EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace fairlead::programs
