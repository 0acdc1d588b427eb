#include "runtime-shim/programs/unix_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/clock.h"

namespace fairlead::programs {
namespace {

Nanos Left(Nanos deadline) { return deadline - SystemClock().Now(); }

Status TooLate() { return DeadlineExceeded("no answer in time"); }

}  // namespace

StatusOr<UnixStream> UnixStream::Connect(const std::string& path, Nanos deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return InvalidArgument("the path of the socket is longer than 107 bytes");
  memcpy(address.sun_path, path.data(), path.size());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return ErrnoStatus(errno, "make a socket");
  UnixStream stream(fd);
  // A full backlog makes a non-blocking connect fail at once, with nothing to poll for; a blocking one waits as long as
  // the send timeout says (unix(7), socket(7)).
  Nanos left = std::max<Nanos>(Left(deadline), kMillisecond);
  timeval timeout{left / kSecond, left % kSecond / kMicrosecond};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return stream;
  if (errno == EAGAIN || errno == EINTR) return TooLate();
  if (errno == ENOENT || errno == ECONNREFUSED) return Unavailable("nobody listens there; is the agent running?");
  return ErrnoStatus(errno, "connect");
}

UnixStream::~UnixStream() {
  if (fd_ >= 0) close(fd_);
}

Status UnixStream::WaitFor(short events, Nanos deadline) const {
  for (;;) {
    Nanos left = Left(deadline);
    if (left <= 0) return TooLate();
    pollfd wait{fd_, events, 0};
    timespec timeout{left / kSecond, left % kSecond};
    int ready = ppoll(&wait, 1, &timeout, nullptr);
    if (ready > 0) return OkStatus();
    if (ready < 0 && errno != EINTR) return ErrnoStatus(errno, "poll");
  }
}

Status UnixStream::SendAll(std::string_view bytes, Nanos deadline) {
  while (!bytes.empty()) {
    RETURN_IF_ERROR(WaitFor(POLLOUT, deadline));
    ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return ErrnoStatus(errno, "send");
    }
  }
  return OkStatus();
}

StatusOr<size_t> UnixStream::Receive(char* into, size_t size, Nanos deadline) {
  for (;;) {
    RETURN_IF_ERROR(WaitFor(POLLIN, deadline));
    ssize_t received = recv(fd_, into, size, MSG_DONTWAIT);
    if (received >= 0) return static_cast<size_t>(received);
    if (errno != EAGAIN && errno != EINTR) return ErrnoStatus(errno, "receive");
  }
}

}  // namespace fairlead::programs
