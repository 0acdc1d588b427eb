// Opening sockets of the kernel: options, stale paths, adopted listeners, and errors with a way out.
#include "base/io/descriptors.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/io/listener.h"

namespace fairlead::io {
namespace {

using testing::HasSubstr;

SocketAddress Loopback(uint16_t port = 0) { return SocketAddress(IpAddress::V4(0x7f000001), port); }

class Descriptors : public testing::Test {
 protected:
  Descriptors() { CHECK(mkdtemp(folder_) != nullptr); }
  ~Descriptors() override {
    for (int fd : open_) close(fd);
    std::filesystem::remove_all(folder_);
  }
  SocketAddress Path() { return *SocketAddress::Unix(Cat(folder_, "/x.sock")); }
  std::string PathText() { return std::string(Path().path()); }
  int Keep(StatusOr<int> fd) {
    CHECK(fd.ok());
    open_.push_back(*fd);
    return *fd;
  }
  int Option(int fd, int level, int option) {
    int value = -1;
    socklen_t size = sizeof value;
    CHECK(getsockopt(fd, level, option, &value, &size) == 0);
    return value;
  }

 private:
  char folder_[32] = "/tmp/fairlead_fd_XXXXXX";
  std::vector<int> open_;
};

TEST_F(Descriptors, StaleUnixPathIsReplacedWhenAsked) {
  close(*OpenListener(Path(), {}, 0));  // leaves its path behind
  StatusOr<int> refused = OpenListener(Path(), {}, 0);
  EXPECT_EQ(refused.status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(Message(refused.status())), HasSubstr("the path exists: stop the program"));
  EXPECT_GE(Keep(OpenListener(Path(), {.replace_stale = true}, 0)), 0);
}

TEST_F(Descriptors, UnixPathOfALivingListenerIsNotReplaced) {
  Keep(OpenListener(Path(), {}, 0));
  StatusOr<int> second = OpenListener(Path(), {.replace_stale = true}, 0);
  EXPECT_EQ(second.status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(Message(second.status())), HasSubstr("another program listens there"));
  Keep(OpenStreamDescriptor(AF_UNIX, 0));
}

TEST_F(Descriptors, FileThatIsNoSocketIsNotReplaced) {
  std::ofstream(PathText()) << "precious";
  StatusOr<int> listener = OpenListener(Path(), {.replace_stale = true}, 0);
  EXPECT_THAT(std::string(Message(listener.status())), HasSubstr("no socket"));
  EXPECT_TRUE(std::filesystem::exists(PathText()));
}

TEST_F(Descriptors, UnixPathHasItsModeWhateverTheUmask) {
  mode_t before = umask(0077);
  Keep(OpenListener(Path(), {.mode = 0660}, 0));
  umask(before);
  struct stat file;
  ASSERT_EQ(stat(PathText().c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0660u);
}

TEST_F(Descriptors, MissingFolderIsNamed) {
  StatusOr<int> listener = OpenListener(*SocketAddress::Unix("/nonexistent/x.sock"), {}, 0);
  EXPECT_EQ(listener.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(Message(listener.status())), HasSubstr("unix:/nonexistent/x.sock"));
  EXPECT_THAT(std::string(Message(listener.status())), HasSubstr("make its folder first"));
}

TEST_F(Descriptors, PortInUseNamesTheWayOut) {
  SocketAddress taken = LocalAddressOf(Keep(OpenListener(Loopback(), {}, 0)));
  StatusOr<int> second = OpenListener(taken, {}, 0);
  EXPECT_EQ(Message(second.status()), Cat("listen ", taken.ToString(),
                                          ": Address already in use; stop the program that holds it (ss -lnptu shows "
                                          "it) or choose another port"));
}

// Accepts on `address` with io_uring until it is killed; says when by closing its end of the pipe.
[[noreturn]] void AcceptUntilKilled(const SocketAddress& address, int ready) {
  SystemClock clock;
  auto proactor = MakeProactor(IoBackend::kAuto, clock, nullptr);
  auto listener = Listener::Open(**proactor, address, {.replace_stale = true});
  TaskGroup group;
  group.Spawn(AcceptLoop(*listener, group, [](int fd) -> Task<void> {
    close(fd);
    co_return;
  }));
  (*proactor)->Turn(0);
  close(ready);
  for (;;) (*proactor)->Turn(kSecond);
}

TEST_F(Descriptors, AddressesOfAProgramThatWasJustKilledAreFree) {
  int port_holder = *OpenListener(Loopback(), {}, 0);
  SocketAddress port = LocalAddressOf(port_holder);
  close(port_holder);
  for (const SocketAddress& address : {port, Path()}) {
    for (int round = 0; round < 5; round++) {
      int ends[2];
      ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
      pid_t child = fork();
      if (child == 0) {
        close(ends[0]);
        AcceptUntilKilled(address, ends[1]);
      }
      close(ends[1]);
      char byte;
      ASSERT_EQ(read(ends[0], &byte, 1), 0);
      close(ends[0]);
      kill(child, SIGKILL);
      ASSERT_EQ(waitpid(child, nullptr, 0), child);
      StatusOr<int> again = OpenListener(address, {.replace_stale = true}, 0);
      ASSERT_TRUE(again.ok()) << Message(again.status());
      close(*again);
    }
  }
}

TEST_F(Descriptors, AddressOfNobodyNamesTheWayOut) {
  StatusOr<int> listener = OpenListener(*SocketAddress::Parse("192.0.2.1:80"), {}, 0);
  EXPECT_THAT(std::string(Message(listener.status())), HasSubstr("no interface of this host has the address"));
}

TEST_F(Descriptors, ReusePortLetsTwoListenersShareAPort) {
  SocketAddress shared = LocalAddressOf(Keep(OpenListener(Loopback(), {.reuse_port = true}, 0)));
  EXPECT_GE(Keep(OpenListener(shared, {.reuse_port = true}, 0)), 0);
}

TEST_F(Descriptors, CheckOfAnAddressTakesNoConnectionFromWhoListensThere) {
  int listener = Keep(OpenListener(Loopback(), {.reuse_port = true}, 0));
  SocketAddress address = LocalAddressOf(listener);
  std::atomic<bool> over = false;
  std::thread checks([&] {
    while (!over) CHECK(CheckListenable(address).ok());
  });
  bool arrived = true;
  for (int i = 0; i < 300 && arrived; i++) {
    int client = *OpenStreamDescriptor(AF_INET, 0);
    pollfd waiting{listener, POLLIN, 0};
    arrived = connect(client, address.raw(), address.size()) == 0 && poll(&waiting, 1, 5'000) == 1;
    if (arrived) close(accept(listener, nullptr, nullptr));
    close(client);
  }
  over = true;
  checks.join();
  EXPECT_TRUE(arrived);
}

TEST_F(Descriptors, Ipv4AndIpv6WildcardsShareAPort) {
  int six = Keep(OpenListener(*SocketAddress::Parse("[::]:0"), {}, 0));
  SocketAddress four(IpAddress::V4(0), LocalAddressOf(six).port());
  EXPECT_GE(Keep(OpenListener(four, {}, 0)), 0);
}

TEST_F(Descriptors, ListenerHasItsTcpOptions) {
  int fd = Keep(OpenListener(Loopback(), {.defer_accept = true}, SOCK_NONBLOCK));
  EXPECT_NE(Option(fd, IPPROTO_TCP, TCP_NODELAY), 0);
  EXPECT_GT(Option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT), 0);
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(Descriptors, AcceptedConnectionsInheritTheUserTimeout) {
  int listener = Keep(OpenListener(Loopback(), {.user_timeout = 30 * kSecond}, 0));
  SocketAddress address = LocalAddressOf(listener);
  int client = Keep(OpenStreamDescriptor(AF_INET, 0));
  ASSERT_EQ(connect(client, address.raw(), address.size()), 0);
  int accepted = accept(listener, nullptr, nullptr);
  ASSERT_GE(accepted, 0);
  EXPECT_EQ(Option(accepted, IPPROTO_TCP, TCP_USER_TIMEOUT), 30'000);
  close(accepted);
}

TEST_F(Descriptors, AdoptedListenerBlocksAsItsProactorNeeds) {
  int fd = Keep(OpenListener(Loopback(), {}, 0));
  ASSERT_EQ(fcntl(fd, F_SETFD, 0), 0);
  ASSERT_TRUE(AdoptListenerDescriptor(fd, SOCK_NONBLOCK).ok());
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_TRUE(AdoptListenerDescriptor(fd, 0).ok());
  EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(Descriptors, OnlyListenersAreAdopted) {
  int stream = Keep(OpenStreamDescriptor(AF_INET, 0));
  int udp = Keep(OpenUdpDescriptor(Loopback(), {}, 0));
  EXPECT_EQ(AdoptListenerDescriptor(stream, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(AdoptListenerDescriptor(udp, 0).status().code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(AdoptListenerDescriptor(1 << 20, 0).ok());
}

TEST_F(Descriptors, UdpMayBindAnAddressThatIsNotHereYet) {
  SocketAddress elsewhere = *SocketAddress::Parse("192.0.2.1:0");
  EXPECT_FALSE(OpenUdpDescriptor(elsewhere, {}, 0).ok());
  EXPECT_EQ(LocalAddressOf(Keep(OpenUdpDescriptor(elsewhere, {.free_bind = true}, 0))).ip(), elsewhere.ip());
}

TEST_F(Descriptors, UnixPeerIsKnownByItsCredentials) {
  int listener = Keep(OpenListener(Path(), {}, 0));
  int client = Keep(OpenStreamDescriptor(AF_UNIX, 0));
  ASSERT_EQ(connect(client, Path().raw(), Path().size()), 0);
  int server = Keep(accept(listener, nullptr, nullptr));
  StatusOr<PeerCredentials> peer = CredentialsOf(server);
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->pid, getpid());
  EXPECT_EQ(peer->uid, getuid());
  std::vector<uint32_t> groups(64);
  int count = getgroups(static_cast<int>(groups.size()), groups.data());
  ASSERT_GE(count, 0);
  groups.resize(static_cast<size_t>(count));
  EXPECT_EQ(peer->groups, groups);
  EXPECT_EQ(CredentialsOf(Keep(OpenListener(Loopback(), {}, 0))).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(Descriptors, AddressOfAnUnconnectedPeerIsUnset) {
  EXPECT_FALSE(PeerAddressOf(Keep(OpenStreamDescriptor(AF_INET, 0))).is_set());
}

}  // namespace
}  // namespace fairlead::io
