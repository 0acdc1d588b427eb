#include "base/io/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

namespace fairlead::io {
namespace {

// Blocks what it waits for in this thread; the mask is put back for the tests that follow.
class Signals : public testing::TestWithParam<IoBackend> {
 protected:
  Signals() : proactor_(*MakeProactor(GetParam(), clock_, nullptr)) {
    pthread_sigmask(SIG_SETMASK, nullptr, &before_);
  }
  ~Signals() override { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  static Task<void> Collect(SignalWaiter& waiter, size_t count, std::vector<int>* all) {
    while (all->size() < count) {
      IoResult signal = co_await waiter.Next();
      all->push_back(signal.value());
      if (!signal.ok()) co_return;
    }
  }

  SystemClock clock_;
  std::unique_ptr<Proactor> proactor_;
  TaskGroup group_;

 private:
  sigset_t before_;
};

INSTANTIATE_TEST_SUITE_P(Kernel, Signals, testing::Values(IoBackend::kUring, IoBackend::kEpoll),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "uring" : "epoll"; });

TEST_P(Signals, SignalBeforeTheWaitIsKept) {
  SignalWaiter waiter = *SignalWaiter::Open(*proactor_, {SIGTERM, SIGHUP});
  pthread_kill(pthread_self(), SIGHUP);
  std::vector<int> got;
  group_.Spawn(Collect(waiter, 1, &got));
  EXPECT_EQ(got, std::vector{SIGHUP});
}

TEST_P(Signals, SignalsDuringTheWaitArriveOneByOne) {
  SignalWaiter waiter = *SignalWaiter::Open(*proactor_, {SIGTERM, SIGHUP, SIGCHLD});
  std::vector<int> got;
  group_.Spawn(Collect(waiter, 2, &got));
  proactor_->Turn(0);
  EXPECT_TRUE(got.empty());
  pthread_kill(pthread_self(), SIGTERM);
  while (got.size() < 1) proactor_->Turn(kSecond);
  pthread_kill(pthread_self(), SIGCHLD);
  while (group_.live() > 0) proactor_->Turn(kSecond);
  EXPECT_EQ(got, (std::vector{SIGTERM, SIGCHLD}));
}

TEST_P(Signals, WaitIsCancelled) {
  SignalWaiter waiter = *SignalWaiter::Open(*proactor_, {SIGTERM});
  std::vector<int> got;
  group_.Spawn(Collect(waiter, 1, &got));
  proactor_->Turn(0);
  group_.Drain(*proactor_);
  EXPECT_EQ(got, std::vector{-ECANCELED});
}

}  // namespace
}  // namespace fairlead::io
