#include "base/io/offload.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/io/proactor.h"

namespace fairlead::io {
namespace {

class OffloadTest : public testing::TestWithParam<IoBackend> {
 protected:
  OffloadTest() : proactor_(*MakeProactor(GetParam(), clock_, nullptr)) {}
  void TurnUntilEmpty() {
    while (group_.live() > 0) proactor_->Turn(kSecond);
  }

  SystemClock clock_;
  std::unique_ptr<Proactor> proactor_;
  TaskGroup group_;
};

INSTANTIATE_TEST_SUITE_P(Kernel, OffloadTest, testing::Values(IoBackend::kUring, IoBackend::kEpoll),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "uring" : "epoll"; });

TEST_P(OffloadTest, RunsCallsInOrderOnItsThreadAndResumesOnTheWorker) {
  auto offload = MakeThreadOffload("store");
  std::vector<int> order;  // touched by the offload's thread alone until its results are back
  std::thread::id worker = std::this_thread::get_id();
  for (int i = 0; i < 20; i++) {
    group_.Spawn([](Offload& o, Proactor& p, int number, std::vector<int>* all, std::thread::id here) -> Task<void> {
      auto thread = co_await OffloadTo(o, p, [number, all] {
        all->push_back(number);
        return std::this_thread::get_id();
      });
      EXPECT_NE(thread, here);
      EXPECT_EQ(std::this_thread::get_id(), here);
    }(*offload, *proactor_, i, &order, worker));
  }
  TurnUntilEmpty();
  std::vector<int> expected(20);
  for (int i = 0; i < 20; i++) expected[static_cast<size_t>(i)] = i;
  EXPECT_EQ(order, expected);
}

TEST_P(OffloadTest, ThreadBearsItsName) {
  auto offload = MakeThreadOffload("fairlead-store-of-leases");
  std::string name;
  group_.Spawn([](Offload& o, Proactor& p, std::string* out) -> Task<void> {
    *out = co_await OffloadTo(o, p, [] {
      char text[16];
      pthread_getname_np(pthread_self(), text, sizeof text);
      return std::string(text);
    });
  }(*offload, *proactor_, &name));
  TurnUntilEmpty();
  EXPECT_EQ(name, "fairlead-store-");
}

TEST_P(OffloadTest, FinishesWhatWasSubmittedBeforeItEnds) {
  auto offload = MakeThreadOffload("store");
  std::atomic<int> calls = 0;
  for (int i = 0; i < 10; i++)
    group_.Spawn([](Offload& o, Proactor& p, std::atomic<int>* count) -> Task<void> {
      co_await OffloadTo(o, p, [count] { return ++*count; });
    }(*offload, *proactor_, &calls));
  offload.reset();
  EXPECT_EQ(calls, 10);
  TurnUntilEmpty();
}

TEST_P(OffloadTest, CountsWhatIsQueued) {
  auto offload = MakeThreadOffload("store");
  std::atomic<bool> go = false;
  for (int i = 0; i < 3; i++)
    group_.Spawn([](Offload& o, Proactor& p, std::atomic<bool>* gate) -> Task<void> {
      co_await OffloadTo(o, p, [gate] {
        gate->wait(false);
        return 0;
      });
    }(*offload, *proactor_, &go));
  EXPECT_EQ(offload->queued(), 3u);
  go = true;
  go.notify_all();
  TurnUntilEmpty();
  offload.reset();
}

// Four threads post at once: nothing is lost, and each thread's own order stays.
TEST_P(OffloadTest, PostsOfManyThreadsAllArriveInTheirOrder) {
  struct Note final : Posted {
    void Run() override { log->push_back(number); }
    std::vector<int>* log = nullptr;
    int number = 0;
  };
  constexpr int kThreads = 4, kNotes = 500;
  std::vector<std::vector<int>> logs(kThreads);
  std::vector<std::vector<Note>> notes(kThreads);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; t++) {
    notes[t] = std::vector<Note>(kNotes);
    for (size_t i = 0; i < kNotes; i++) {
      notes[t][i].log = &logs[t];
      notes[t][i].number = static_cast<int>(i);
    }
  }
  for (size_t t = 0; t < kThreads; t++)
    threads.emplace_back([this, &mine = notes[t]] {
      for (Note& note : mine) proactor_->PostFromAnyThread(note);
    });
  size_t arrived = 0;
  while (arrived < kThreads * kNotes) {
    proactor_->Turn(kSecond);
    arrived = 0;
    for (auto& log : logs) arrived += log.size();
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& log : logs)
    for (size_t i = 0; i < kNotes; i++) ASSERT_EQ(log[i], static_cast<int>(i));
}

}  // namespace
}  // namespace fairlead::io
