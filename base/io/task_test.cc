// Tasks by themselves, and what a request costs in memory.
#include "base/io/task.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/io/stream.h"

namespace fairlead::io {
namespace {

Task<int> One() { co_return 1; }
Task<int> Sum(int count) {
  int sum = 0;
  for (int i = 0; i < count; i++) sum += co_await One();
  co_return sum;
}

TEST(Task, AwaitsAThatEndAtOnceDoNotGrowTheStack) {
  TaskGroup group;
  int sum = 0;
  group.Spawn([](int* out) -> Task<void> { *out = co_await Sum(1'000'000); }(&sum));
  EXPECT_EQ(sum, 1'000'000);
  EXPECT_EQ(FramePool::live(), 0);
}

TEST(Task, NeverStartedTaskIsDropped) {
  {
    Task<int> task = Sum(3);
    EXPECT_FALSE(task.started());
  }
  EXPECT_EQ(FramePool::live(), 0);
}

TEST(TaskDeathTest, FrameThatIsSuspendedMayNotBeDestroyed) {
  SystemClock clock;
  auto proactor = *MakeProactor(IoBackend::kEpoll, clock, nullptr);
  auto drop = [&] {
    TaskGroup group;
    group.Spawn([](Proactor& p) -> Task<void> { (void)co_await Sleep(p, kHour); }(*proactor));
  };
  EXPECT_DEATH(drop(), "CHECK failed: live_ == 0");
}

class KeepAlive : public testing::TestWithParam<IoBackend> {};

INSTANTIATE_TEST_SUITE_P(Kernel, KeepAlive, testing::Values(IoBackend::kUring, IoBackend::kEpoll),
                         [](const auto& info) { return info.param == IoBackend::kUring ? "uring" : "epoll"; });

// A request and its answer: nested tasks, a deadline, a piece each way.
Task<IoResult> Answer(Stream& stream) {
  IoResult got = co_await stream.Receive();
  if (!got.ok() || got.is_end()) co_return got;
  Chunk request = stream.Take();
  co_return co_await stream.Send(request.view());
}
Task<void> Serve(Proactor& proactor, Stream stream, int requests) {
  for (int i = 0; i < requests; i++) {
    stream.SetDeadline(proactor.Now() + kMinute);
    IoResult done = co_await WithDeadline<IoResult>(proactor, proactor.Now() + kMinute, Answer(stream));
    EXPECT_TRUE(done.ok());
  }
}
Task<void> Ask(Stream stream, int requests, int warm, uint64_t* mallocs) {
  for (int i = 0; i < requests; i++) {
    if (i == warm) *mallocs = FramePool::misses();
    EXPECT_TRUE((co_await stream.Send("request")).ok());
    IoResult got = co_await stream.Receive();
    EXPECT_EQ(got.value(), 7);
    if (!got.ok()) co_return;
    stream.Take();
  }
}

TEST_P(KeepAlive, RequestsAllocateNothing) {
  SystemClock clock;
  auto proactor = *MakeProactor(GetParam(), clock, nullptr);
  int fd[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
  constexpr int kRequests = 1000, kWarm = 10;
  uint64_t mallocs = 0;
  TaskGroup group;
  group.Spawn(Serve(*proactor, Stream(*proactor, fd[0]), kRequests));
  group.Spawn(Ask(Stream(*proactor, fd[1]), kRequests, kWarm, &mallocs));
  while (group.live() > 0) proactor->Turn(kSecond);
  EXPECT_GT(mallocs, 0u);
  if (!__has_feature(address_sanitizer)) EXPECT_EQ(FramePool::misses(), mallocs);  // there every frame is a malloc
}

}  // namespace
}  // namespace fairlead::io
