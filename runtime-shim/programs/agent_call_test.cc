#include "runtime-shim/programs/agent_call.h"

#include <gtest/gtest.h>

#include "runtime-shim/programs/scripted_agent.h"

namespace fairlead::programs {
namespace {

using nlohmann::json;
using Peer = ScriptedAgent::Peer;

constexpr Nanos kLong = 20 * kSecond;        // for an answer that comes
constexpr Nanos kShort = 30 * kMillisecond;  // for one that does not

class AgentCallTest : public testing::Test {
 protected:
  StatusOr<json> Call(const json& request, Nanos patience = kLong) {
    return CallAgent(path_, "pin", request, MonotonicNow() + patience);
  }
  // The call ends with `code`, at its deadline and not much later.
  void ExpectEndsAtItsDeadline() {
    Nanos start = MonotonicNow();
    StatusOr<json> answer = Call(json::object(), kShort);
    Nanos took = MonotonicNow() - start;
    EXPECT_EQ(answer.status().code(), StatusCode::kDeadlineExceeded) << answer.status();
    EXPECT_GE(took, kShort);
    EXPECT_LT(took, 10 * kSecond);  // far below what the scripts would go on for
  }

  TestFolder folder_;
  std::string path_ = folder_.Path("api.sock");
};

TEST_F(AgentCallTest, GivesTheAgentsObject) {
  std::string seen;
  std::mutex lock;
  ScriptedAgent agent(path_, [&](Peer& peer) {
    std::string request = peer.Request();
    std::scoped_lock held(lock);
    seen = request;
    peer.Answer(R"({"result":[1]})");
  });
  StatusOr<json> answer = Call({{"when", "start"}, {"container", "web-1"}});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->dump(), R"({"result":[1]})");
  std::scoped_lock held(lock);
  EXPECT_TRUE(seen.starts_with("POST /v1/shim/pin HTTP/1.1\r\nHost: agent\r\n")) << seen;
  EXPECT_TRUE(seen.ends_with("\r\n\r\n{\"container\":\"web-1\",\"when\":\"start\"}")) << seen;
}

TEST_F(AgentCallTest, GivesTheAgentsError) {
  ScriptedAgent agent(path_, ScriptedAgent::Answers(
      R"({"error":{"code":"RESOURCE_EXHAUSTED","message":"pool shop is full"}})", 429));
  Status error = Call(json::object()).status();
  EXPECT_EQ(error.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Message(error), "pool shop is full");
}

TEST_F(AgentCallTest, AnErrorThatIsNotTheApisHasItsStatus) {
  ScriptedAgent agent(path_, ScriptedAgent::Answers("no such page", 404));
  EXPECT_EQ(Message(Call(json::object()).status()), "the agent answers with status 404");
}

TEST_F(AgentCallTest, SaysThatNoAgentIsThere) {
  Status error = Call(json::object()).status();
  EXPECT_EQ(error.code(), StatusCode::kUnavailable);
  EXPECT_EQ(Message(error), Cat("agent at ", path_, ": nobody listens there; is the agent running?"));
}

TEST_F(AgentCallTest, SaysThatTheAgentOfThisSocketIsGone) {
  close(ListenAt(path_));
  EXPECT_EQ(Call(json::object()).status().code(), StatusCode::kUnavailable);
}

TEST_F(AgentCallTest, EndsAtItsDeadlineWhileTheAgentIsSilent) {
  ScriptedAgent agent(path_, [](Peer& peer) { peer.StaySilent(); });
  ExpectEndsAtItsDeadline();
}

TEST_F(AgentCallTest, EndsAtItsDeadlineWhileTheAgentSaysALittleNowAndThen) {
  ScriptedAgent agent(path_, [](Peer& peer) {
    peer.Request();
    peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{");
    while (peer.Pause(2) && peer.Send(" ")) {}
  });
  ExpectEndsAtItsDeadline();
}

TEST_F(AgentCallTest, EndsAtItsDeadlineWhenTheBacklogIsFull) {
  int listener = ListenAt(path_, 0);  // takes one connection and no more; a stopped agent looks so after a while
  StatusOr<json> first = Call(json::object(), kShort);
  EXPECT_EQ(first.status().code(), StatusCode::kDeadlineExceeded);
  ExpectEndsAtItsDeadline();
  close(listener);
}

TEST_F(AgentCallTest, EndsAtItsDeadlineWhileTheAgentDoesNotReadALongRequest) {
  int listener = ListenAt(path_);
  Nanos start = MonotonicNow();
  StatusOr<json> answer = Call({{"config", std::string(8 << 20, 'x')}}, kShort);
  EXPECT_EQ(answer.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_LT(MonotonicNow() - start, 10 * kSecond);
  close(listener);
}

TEST_F(AgentCallTest, TakesADeadlineThatIsOverForOneThatIsOver) {
  ScriptedAgent agent(path_, [](Peer& peer) { peer.StaySilent(); });
  EXPECT_EQ(Call(json::object(), -kSecond).status().code(), StatusCode::kDeadlineExceeded);
}

TEST_F(AgentCallTest, RefusesWhatIsNoAnswer) {
  for (const char* garbage : {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 abc\r\n\r\n", "\r\n\r\n\r\n",
                              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"}) {
    ScriptedAgent agent(path_, [garbage](Peer& peer) {
      peer.Request();
      peer.Send(garbage);
      peer.StaySilent();
    });
    EXPECT_EQ(Call(json::object()).status().code(), StatusCode::kInternal) << garbage;
  }
}

TEST_F(AgentCallTest, RefusesAnAnswerThatIsNoObject) {
  for (const char* body : {"", "[1]", "{\"a\":", "\"text\"", "{}{}"}) {
    ScriptedAgent agent(path_, ScriptedAgent::Answers(body));
    EXPECT_EQ(Call(json::object()).status().code(), StatusCode::kInternal) << body;
  }
}

TEST_F(AgentCallTest, NoticesAnAgentThatDiesInTheMiddleOfItsAnswer) {
  for (const char* part : {"", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}"}) {
    ScriptedAgent agent(path_, [part](Peer& peer) {
      peer.Request();
      peer.Send(part);
    });
    Status error = Call(json::object()).status();
    EXPECT_EQ(error.code(), StatusCode::kUnavailable) << error;
  }
}

TEST_F(AgentCallTest, TakesABigAnswerAndRefusesOneBeyondTheLimit) {
  json big = {{"text", std::string(kMaxAgentAnswer - 4096, 'x')}};
  {
    ScriptedAgent agent(path_, ScriptedAgent::Answers(big.dump()));
    StatusOr<json> answer = Call(json::object());
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_TRUE(*answer == big);
  }
  ScriptedAgent agent(path_, ScriptedAgent::Answers(json{{"text", std::string(kMaxAgentAnswer, 'x')}}.dump()));
  EXPECT_EQ(Call(json::object()).status().code(), StatusCode::kResourceExhausted);
}

TEST_F(AgentCallTest, TakesAnAnswerInChunksAndOneThatEndsWithTheConnection) {
  for (const char* text : {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
                           "HTTP/1.1 200 OK\r\n\r\n{}"}) {
    ScriptedAgent agent(path_, [text](Peer& peer) {
      peer.Request();
      for (const char* at = text; *at != '\0'; at++) peer.Send({at, 1});
    });
    StatusOr<json> answer = Call(json::object());
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->dump(), "{}");
  }
}

TEST_F(AgentCallTest, RefusesAPathThatNoSocketHas) {
  path_ = std::string(200, 'x');
  EXPECT_EQ(Call(json::object()).status().code(), StatusCode::kInvalidArgument);
}

// What SocketPath makes of a command line: the path, and what it leaves.
std::pair<std::string, std::vector<std::string>> PathOf(std::vector<std::string> line) {
  std::vector<char*> pointers;
  for (std::string& word : line) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  int argc = static_cast<int>(line.size());
  char** argv = pointers.data();
  std::string path = SocketPath(argc, argv);
  EXPECT_EQ(argv[argc], nullptr);
  return {path, {argv, argv + argc}};
}

using Line = std::vector<std::string>;

TEST(SocketPath, IsTheLeadingArgumentThenTheEnvironmentThenTheDefault) {
  unsetenv("FAIRLEAD_API_SOCKET");
  EXPECT_EQ(PathOf({"cni"}), std::pair(std::string("/run/fairlead/api.sock"), Line{"cni"}));
  setenv("FAIRLEAD_API_SOCKET", "/env", 1);
  EXPECT_EQ(PathOf({"cni", "setup"}), std::pair(std::string("/env"), (Line{"cni", "setup"})));
  EXPECT_EQ(PathOf({"cni", "--fairlead-socket", "/arg", "setup"}), std::pair(std::string("/arg"), (Line{"cni", "setup"})));
  EXPECT_EQ(PathOf({"cni", "--fairlead-socket=/arg", "setup"}), std::pair(std::string("/arg"), (Line{"cni", "setup"})));
  unsetenv("FAIRLEAD_API_SOCKET");
}

TEST(SocketPath, IsNoArgumentOfTheRealProgram) {
  unsetenv("FAIRLEAD_API_SOCKET");
  Line line = {"runtime", "create", "--fairlead-socket", "/x"};
  EXPECT_EQ(PathOf(line), std::pair(std::string("/run/fairlead/api.sock"), line));
  EXPECT_EQ(PathOf({"runtime", "--fairlead-socket"}).second, (Line{"runtime", "--fairlead-socket"}));
}

}  // namespace
}  // namespace fairlead::programs
