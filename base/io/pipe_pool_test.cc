#include "base/io/pipe_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace fairlead::io {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(PipePool, TakesTheSamePipeAgain) {
  PipePool pool;
  Pipe first = pool.Take();
  ASSERT_TRUE(first);
  pool.Return(first);
  Pipe second = pool.Take();
  EXPECT_EQ(second.read_end, first.read_end);
  pool.Return(second);
}

TEST(PipePool, ClosesAPipeThatHoldsBytes) {
  PipePool pool;
  Pipe pipe = pool.Take();
  ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
  pipe.held = 1;
  pool.Return(pipe);
  EXPECT_FALSE(IsOpen(pipe.read_end) || IsOpen(pipe.write_end));
}

TEST(PipePool, LendsSoManyAndKeepsFew) {
  PipePool pool;
  std::vector<Pipe> lent;
  for (size_t i = 0; i < PipePool::kMaxLent; i++) {
    lent.push_back(pool.Take());
    ASSERT_TRUE(lent.back());
  }
  EXPECT_FALSE(pool.Take());
  for (const Pipe& pipe : lent) pool.Return(pipe);
  size_t open = 0;
  for (const Pipe& pipe : lent) open += IsOpen(pipe.read_end);
  EXPECT_EQ(open, PipePool::kMaxKept);
}

TEST(PipePool, GivesNoneWhereNoDescriptorIsLeftAndSomeAfterwards) {
  PipePool pool;
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  Pipe refused = pool.Take();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(refused);
  Pipe pipe = pool.Take();
  ASSERT_TRUE(pipe);
  pool.Return(pipe);
}

}  // namespace
}  // namespace fairlead::io
