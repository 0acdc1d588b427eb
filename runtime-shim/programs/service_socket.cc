#include "runtime-shim/programs/service_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include "base/strings.h"

namespace fairlead::programs {
namespace {

constexpr int kFirstListenFd = 3;  // SD_LISTEN_FDS_START
constexpr int kBacklog = 4096;     // the kernel's default limit; dockerd waits here while the program starts again

StatusOr<sockaddr_un> AddressOf(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return InvalidArgument("the path of a socket has 1 to 107 bytes, not ", path.size());
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

// Nobody accepts there.
bool IsStale(const sockaddr_un& address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool refused = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

}  // namespace

int TakeListenFd() {
  const char* pid = getenv("LISTEN_PID");
  const char* count = getenv("LISTEN_FDS");
  bool ours = pid != nullptr && count != nullptr && ParseNumber<pid_t>(pid) == getpid() && ParseNumber<int>(count).value_or(0) > 0;
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  if (!ours || fcntl(kFirstListenFd, F_SETFD, FD_CLOEXEC) != 0) return -1;
  return kFirstListenFd;
}

StatusOr<int> ListenAtPath(const std::string& path) {
  ASSIGN_OR_RETURN(sockaddr_un address, AddressOf(path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "make a socket");
  mode_t before = umask(0177);
  auto try_bind = [&] { return bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0; };
  bool bound = try_bind();
  if (!bound && errno == EADDRINUSE && IsStale(address)) bound = unlink(path.c_str()) == 0 && try_bind();
  int error = errno;
  umask(before);
  if (bound && listen(fd, kBacklog) == 0) return fd;
  close(fd);
  return ErrnoStatus(bound ? errno : error, Cat("listen at ", path));
}

void NotifyService(std::string_view state) {
  const char* path = getenv("NOTIFY_SOCKET");
  StatusOr<sockaddr_un> address = AddressOf(path != nullptr ? path : "");
  if (!address.ok()) return;
  size_t length = std::string_view(path).size();
  if (address->sun_path[0] == '@') address->sun_path[0] = '\0';  // an abstract one
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&*address),
         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
  close(fd);
}

}  // namespace fairlead::programs
