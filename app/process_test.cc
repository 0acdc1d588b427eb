#include "app/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/http/client.h"
#include "base/net/socket_address.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

class ProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    process_ = *Process::Make("process_test", io::IoBackend::kEpoll);
    address_ = *SocketAddress::Unix(socket_);
    ASSERT_TRUE(process_->Serve(address_, nullptr, {.replace_stale = true}).ok());
  }
  void TearDown() override { std::filesystem::remove(socket_); }

  io::Task<void> AskReadiness(http::Response* reply) {
    io::Proactor& proactor = process_->proactor();
    auto answer = co_await http::Fetch(proactor, address_, {.method = "GET", .target = "/readyz"}, proactor.Now() + 10 * kSecond);
    if (answer.ok()) *reply = *answer;
  }
  io::Task<void> AskBeforeAndAfter(http::Response* blocked, http::Response* ready) {
    co_await AskReadiness(blocked);
    process_->SetObstacle("engine", "");
    co_await AskReadiness(ready);
    process_->Stop();
  }

  const std::string socket_ = Cat(testing::TempDir(), "process_test_", getpid(), ".sock");
  std::unique_ptr<Process> process_;
  SocketAddress address_;
};

// A start turns the loop while it waits for its stores: whoever asks then must not hear that all is well.
TEST_F(ProcessTest, WhoeverAsksDuringTheStartHearsThatItIsStarting) {
  http::Response reply;
  io::TaskGroup asking;
  asking.Spawn(AskReadiness(&reply));
  while (asking.live() > 0) process_->proactor().Turn(kSecond);
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, "not ready: start: starting\n");
}

TEST_F(ProcessTest, IsReadyOnceItRunsAndNobodyHasAnythingAgainstIt) {
  process_->SetObstacle("engine", "docker has not been listed yet");
  http::Response blocked, ready;
  process_->tasks().Spawn(AskBeforeAndAfter(&blocked, &ready));
  process_->Run();
  EXPECT_EQ(blocked.status, 503);
  EXPECT_EQ(blocked.body, "not ready: engine: docker has not been listed yet\n");
  EXPECT_EQ(ready.status, 200);
}

}  // namespace
}  // namespace fairlead::app
