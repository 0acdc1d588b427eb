// What is epoll's own: descriptors that others close, and a unix backlog that is full.
#include "base/io/epoll_proactor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io/stream.h"

namespace fairlead::io {
namespace {

Task<void> WaitFor(Proactor& proactor, int fd, IoResult* out) { *out = co_await ReadableOperation(proactor, fd); }

// A library closes its socket itself; the next one gets the same number and must be waited for all the same.
TEST(EpollProactor, DescriptorClosedByItsLibraryLeavesItsNumberFree) {
  SystemClock clock;
  auto proactor = *EpollProactor::Create(clock);
  TaskGroup group;
  for (int round = 0; round < 3; round++) {
    int fd[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    IoResult result = IoResult::Error(EAGAIN);
    group.Spawn(WaitFor(*proactor, fd[0], &result));
    ASSERT_EQ(write(fd[1], "x", 1), 1);
    while (group.live() > 0) proactor->Turn(kSecond);
    EXPECT_TRUE(result.ok());
    close(fd[0]);
    close(fd[1]);
  }
}

TEST(EpollProactor, StreamMayFollowALibrarysDescriptorOfItsNumber) {
  SystemClock clock;
  auto proactor = *EpollProactor::Create(clock);
  TaskGroup group;
  int fd[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
  IoResult result;
  group.Spawn(WaitFor(*proactor, fd[0], &result));
  group.Drain(*proactor);
  Stream stream(*proactor, fd[0]);
  stream.socket()->Arm();
  ASSERT_EQ(write(fd[1], "x", 1), 1);
  for (int i = 0; i < 100 && !stream.socket()->has_input(); i++) proactor->Turn(10 * kMillisecond);
  EXPECT_TRUE(stream.socket()->has_input());
  close(fd[1]);
}

// A path whose backlog is full: {backlog 0} holds one connection, which nobody takes.
struct FullUnixListener {
  explicit FullUnixListener(Proactor& p) : proactor(p) {
    CHECK(mkdtemp(folder) != nullptr);
    address = *SocketAddress::Unix(Cat(folder, "/x.sock"));
    listener = *p.Listen(address, {.backlog = 0});
    first = *p.OpenStream(AF_UNIX);
    CHECK(connect(first, address.raw(), address.size()) == 0);
  }
  ~FullUnixListener() {
    proactor.Close(first);
    proactor.Close(listener);
    unlink(std::string(address.path()).c_str());
    rmdir(folder);
  }
  Proactor& proactor;
  char folder[32] = "/tmp/fairlead_full_XXXXXX";
  SocketAddress address;
  int listener = -1, first = -1;
};

Task<void> DialOnce(Proactor& proactor, SocketAddress address, Status* out) {
  StatusOr<Stream> stream = co_await Dial(proactor, address, proactor.Now() + 50 * kMillisecond);
  *out = stream.status();
}

TEST(EpollProactor, FullUnixBacklogIsAnErrorAtOnce) {
  SystemClock clock;
  auto proactor = *EpollProactor::Create(clock);
  FullUnixListener full(*proactor);
  TaskGroup group;
  Status status;
  group.Spawn(DialOnce(*proactor, full.address, &status));
  while (group.live() > 0) proactor->Turn(kSecond);
  EXPECT_NE(Message(status).find("Resource temporarily unavailable"), std::string_view::npos) << status;
}

TEST(EpollProactor, RegularFileCannotBeWaitedFor) {
  SystemClock clock;
  auto proactor = *EpollProactor::Create(clock);
  TaskGroup group;
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  IoResult result;
  group.Spawn(WaitFor(*proactor, fd, &result));
  while (group.live() > 0) proactor->Turn(kSecond);
  EXPECT_EQ(result, IoResult::Error(EPERM));
  proactor->Close(fd);
}

}  // namespace
}  // namespace fairlead::io
