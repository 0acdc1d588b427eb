#include "app/syscall_filter.h"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <future>
#include <thread>

namespace fairlead::app {
namespace {

// In a child: a filter stays for good.
template <class Act>
[[noreturn]] void Confined(Act act) {
  if (Status status = ConfineSystemCalls(); !status.ok()) {
    fprintf(stderr, "%s\n", std::string(Message(status)).c_str());
    _exit(1);
  }
  _exit(act() ? 0 : 2);
}

class ConfineSystemCallsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kFiltersSystemCalls) GTEST_SKIP() << "no filter beside a sanitizer";
  }
};

TEST_F(ConfineSystemCallsTest, EndsTheProcessThatStartsAProgramAndSaysSo) {
  EXPECT_EXIT(Confined([] { return execl("/bin/true", "true", nullptr) == 0; }), ::testing::ExitedWithCode(kForbiddenCallExit),
              "system call 59 is not allowed");
}

TEST_F(ConfineSystemCallsTest, EndsTheProcessThatMakesAnother) {
  EXPECT_EXIT(Confined([] { return fork() >= 0; }), ::testing::ExitedWithCode(kForbiddenCallExit), "is not allowed");
}

TEST_F(ConfineSystemCallsTest, RefusesWhatIsNotNeededWithAnError) {
  EXPECT_EXIT(Confined([] { return socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM; }), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(Confined([] { return prctl(PR_SET_DUMPABLE, 1) == -1 && errno == EPERM; }), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(Confined([] { return kill(getppid(), 0) == -1 && errno == EPERM; }), ::testing::ExitedWithCode(0), "");
}

TEST_F(ConfineSystemCallsTest, LetsNothingBecomeCode) {
  EXPECT_EXIT(Confined([] { return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED; }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(ConfineSystemCallsTest, LetsThreadsAndSocketsBe) {
  EXPECT_EXIT(Confined([] {
                int from_thread = -1;
                std::thread([&] { from_thread = socket(AF_INET, SOCK_DGRAM, 0); }).join();
                return from_thread >= 0 && socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
              }),
              ::testing::ExitedWithCode(0), "");
}

TEST_F(ConfineSystemCallsTest, HoldsForThreadsToo) {
  EXPECT_EXIT(Confined([] {
                std::thread([] { (void)execl("/bin/true", "true", nullptr); }).join();
                return false;
              }),
              ::testing::ExitedWithCode(kForbiddenCallExit), "is not allowed");
}

// Workers make their rings before the filter is loaded.
TEST_F(ConfineSystemCallsTest, HoldsForThreadsThatRanBefore) {
  auto act = [] {
    std::promise<void> confined;
    std::thread before([&] {
      confined.get_future().wait();
      (void)execl("/bin/true", "true", nullptr);
    });
    Status status = ConfineSystemCalls();
    confined.set_value();
    before.join();
    _exit(status.ok() ? 2 : 1);
  };
  EXPECT_EXIT(act(), ::testing::ExitedWithCode(kForbiddenCallExit), "is not allowed");
}

}  // namespace
}  // namespace fairlead::app
