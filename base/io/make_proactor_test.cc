// What becomes of io_uring where it is forbidden: a seccomp filter in a child refuses io_uring_setup.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include <gtest/gtest.h>

#include "base/io/proactor.h"

namespace fairlead::io {
namespace {

bool RefuseIoUring(uint32_t error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog filter{.len = 4, .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// Runs `check` in a child without io_uring; its words come back through a pipe.
std::string InChildWithoutUring(uint32_t error, std::string (*check)()) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  pid_t child = fork();
  if (child == 0) {
    std::string words = RefuseIoUring(error) ? check() : "no seccomp";
    ssize_t written = write(ends[1], words.data(), words.size());
    _exit(written == static_cast<ssize_t>(words.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::string words;
  char piece[512];
  for (ssize_t n; (n = read(ends[0], piece, sizeof piece)) > 0;) words.append(piece, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0 ? words : "the child failed";
}

std::string NameAndNote() {
  SystemClock clock;
  std::string note;
  auto proactor = MakeProactor(IoBackend::kAuto, clock, &note);
  return proactor.ok() ? Cat((*proactor)->name(), "|", note) : std::string(Message(proactor.status()));
}

std::string UringError() {
  SystemClock clock;
  auto proactor = MakeProactor(IoBackend::kUring, clock, nullptr);
  return proactor.ok() ? "made" : std::string(Message(proactor.status()));
}

TEST(MakeProactor, TakesIoUringWhereItIsAllowed) {
  SystemClock clock;
  std::string note;
  auto proactor = MakeProactor(IoBackend::kAuto, clock, &note);
  ASSERT_TRUE(proactor.ok()) << proactor.status();
  EXPECT_STREQ((*proactor)->name(), "uring");
  EXPECT_EQ(note, "");
}

TEST(MakeProactor, TakesEpollWhenAsked) {
  SystemClock clock;
  auto proactor = MakeProactor(IoBackend::kEpoll, clock, nullptr);
  ASSERT_TRUE(proactor.ok()) << proactor.status();
  EXPECT_STREQ((*proactor)->name(), "epoll");
}

TEST(MakeProactor, FallsBackToEpollAndSaysWhy) {
  EXPECT_EQ(InChildWithoutUring(EPERM, NameAndNote),
            "epoll|io_uring: forbidden here by seccomp (containers) or kernel.io_uring_disabled "
            "(io_uring_setup: Operation not permitted); using epoll");
  EXPECT_EQ(InChildWithoutUring(ENOSYS, NameAndNote),
            "epoll|io_uring: missing in this kernel or hidden by seccomp "
            "(io_uring_setup: Function not implemented); using epoll");
  EXPECT_EQ(InChildWithoutUring(EINVAL, NameAndNote),
            "epoll|io_uring: this kernel is too old: 6.1 is needed (io_uring_setup: Invalid argument); using epoll");
}

TEST(MakeProactor, UringAskedForAndForbiddenIsAnErrorWithAWayOut) {
  EXPECT_EQ(InChildWithoutUring(EPERM, UringError),
            "io_uring: forbidden here by seccomp (containers) or kernel.io_uring_disabled "
            "(io_uring_setup: Operation not permitted); set lb.io to auto or epoll");
}

}  // namespace
}  // namespace fairlead::io
