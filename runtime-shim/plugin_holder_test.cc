#include "runtime-shim/plugin_holder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/http/client.h"
#include "runtime-shim/shim_harness.h"

namespace fairlead::runtime {
namespace {

class PluginHolderTest : public testing::Test {
 protected:
  PluginHolderTest()
      : plugin_(*SocketAddress::Unix(worker_.folder + "/plugin.sock")), control_(worker_.folder + "/control.sock"),
        holder_(*worker_.proactor, *worker_.proactor->Listen(plugin_, {}),
                *worker_.proactor->Listen(*SocketAddress::Unix(control_), {})) {
    tasks_.Spawn(holder_.Run());
    worker_.Settle();
  }
  ~PluginHolderTest() override { tasks_.Drain(*worker_.proactor); }

  StatusOr<http::Response> Call(const std::string& call) {
    http::Request request{.method = "POST", .target = "/" + call, .headers = {}, .body = ""};
    return worker_.Run(http::Fetch(*worker_.proactor, plugin_, request, worker_.proactor->Now() + 10 * kSecond));
  }
  // The holder answers from the worker that waits here, so the descriptor is asked for once it is on its way.
  HeldListener Take() {
    HeldListener held;
    std::thread agent([&] {
      auto taken = TakeListener(control_);
      if (taken.ok()) held = *taken;
      done_ = true;
    });
    while (!done_) worker_.proactor->Turn(kMillisecond);
    agent.join();
    done_ = false;
    EXPECT_GE(held.listener, 0);
    return held;
  }

  static io::Task<bool> Stop(http::Server& server) {
    co_await server.Stop();
    co_return true;
  }

  Worker worker_;
  SocketAddress plugin_;
  std::string control_;
  PluginHolder holder_;
  io::TaskGroup tasks_;
  std::atomic<bool> done_ = false;
};

TEST_F(PluginHolderTest, AnswersWhatNeverChangesWhileThereIsNoAgent) {
  auto response = Call("Plugin.Activate");
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->body, R"({"Implements":["NetworkDriver","IpamDriver"]})");
}

TEST_F(PluginHolderTest, RefusesTheRestAfterTwoSecondsInTheFormOfEachDriver) {
  Nanos began = worker_.clock.Now();
  auto ipam = Call("IpamDriver.RequestAddress");
  ASSERT_TRUE(ipam.ok()) << ipam.status();
  EXPECT_GE(worker_.clock.Now() - began, kHoldTime);
  EXPECT_TRUE(ipam->body.starts_with(R"({"Error":"fairlead: the agent is not running)")) << ipam->body;
  auto network = Call("NetworkDriver.Join");
  EXPECT_TRUE(network->body.starts_with(R"({"Err":)"));
}

TEST_F(PluginHolderTest, OnlyTheFirstCallsOfAnAbsenceWait) {
  ASSERT_TRUE(Call("IpamDriver.RequestAddress").ok());
  Nanos began = worker_.proactor->Now();
  ASSERT_TRUE(Call("NetworkDriver.Leave").ok());
  EXPECT_LT(worker_.proactor->Now() - began, kHoldTime);
  close(Take().control);  // an agent came and went: a new absence
  worker_.Settle();
  began = worker_.proactor->Now();
  ASSERT_TRUE(Call("NetworkDriver.Leave").ok());
  EXPECT_GE(worker_.proactor->Now() - began, kHoldTime - 100 * kMillisecond);
}

TEST_F(PluginHolderTest, AnAgentServesOnTheSocketUntilItIsGone) {
  HeldListener held = Take();
  EXPECT_EQ(holder_.stats().agents, 1u);
  {
    auto listener = io::Listener::Adopt(*worker_.proactor, held.listener);
    ASSERT_TRUE(listener.ok());
    http::Server agent(*worker_.proactor, [](const http::Request&, const http::RequestContext&) -> io::Task<http::Reply> {
      http::Reply reply;
      reply.body = "the agent";
      co_return reply;
    });
    agent.Serve(*std::move(listener));
    EXPECT_EQ(Call("Plugin.Activate")->body, "the agent");
    worker_.Run(Stop(agent));
  }
  close(held.control);
  worker_.Settle();
  EXPECT_TRUE(Call("Plugin.Activate")->body.starts_with(R"({"Implements")"));
}

}  // namespace
}  // namespace fairlead::runtime
