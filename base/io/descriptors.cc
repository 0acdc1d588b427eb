#include "base/io/descriptors.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace fairlead::io {
namespace {

constexpr int kDeferAcceptSeconds = 3;  // then a silent client is accepted all the same, and its deadlines apply

// The sockets of a killed program may outlive it for a moment: the kernel closes in the background what its ring held. A
// program that is started again at once waits for that before it believes that an address is another one's.
constexpr int kLeftoverTries = 20;
constexpr int kLeftoverPauseMs = 50;

// Closes on the way out of a function that failed.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int SetOption(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof value) == 0 ? 0 : errno;
}

// The error of opening `what` ("listen 0.0.0.0:80"), with the way out where there is a usual one.
Status OpenError(int error, std::string_view what, const SocketAddress& address) {
  Status status = ErrnoStatus(error, what);
  std::string_view way_out;
  switch (error) {
    case EADDRINUSE:
      way_out = address.is_unix() ? "; the path exists: stop the program that listens there or remove it"
                                  : "; stop the program that holds it (ss -lnptu shows it) or choose another port";
      break;
    case EACCES:
      way_out = address.is_unix() ? "; the folder must be writable for this user"
                                  : "; a port below 1024 needs root or CAP_NET_BIND_SERVICE";
      break;
    case EADDRNOTAVAIL: way_out = "; no interface of this host has the address (ip addr shows them)"; break;
    case ENOENT: way_out = address.is_unix() ? "; make its folder first" : ""; break;
    case EMFILE: way_out = "; raise the limit of open files (ulimit -n, LimitNOFILE=)"; break;
  }
  return Error(status.code(), Message(status), way_out);
}

// Unlinks the path when a socket is there and nobody listens: connecting tells, without asking for permission bits.
Status RemoveStale(const SocketAddress& address) {
  std::string path(address.path());
  struct stat file;
  if (lstat(path.c_str(), &file) != 0) return OkStatus();
  if (!S_ISSOCK(file.st_mode))
    return AlreadyExists("listen ", address.ToString(), ": the path is no socket; remove it or choose another path");
  for (int tries = 0;; tries++) {
    Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (probe.get() < 0) return ErrnoStatus(errno, Cat("listen ", address.ToString()));
    if (connect(probe.get(), address.raw(), address.size()) != 0 && errno == ECONNREFUSED) break;
    if (tries == kLeftoverTries)
      return AlreadyExists("listen ", address.ToString(),
                           ": another program listens there; stop it or choose another path");
    poll(nullptr, 0, kLeftoverPauseMs);
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT)
    return ErrnoStatus(errno, Cat("remove the stale socket ", address.ToString()));
  return OkStatus();
}

// 0, or errno of the last try.
int BindWhenFree(int fd, const SocketAddress& address) {
  for (int tries = 0; bind(fd, address.raw(), address.size()) != 0; tries++) {
    if (errno != EADDRINUSE || address.is_unix() || tries == kLeftoverTries) return errno;
    poll(nullptr, 0, kLeftoverPauseMs);
  }
  return 0;
}

int SetTcpListenerOptions(int fd, const SocketAddress& address, const ListenOptions& options) {
  int error = SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (error == 0 && options.reuse_port) error = SetOption(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (error == 0 && address.family() == AF_INET6) error = SetOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (error == 0) error = SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);  // accepted sockets inherit it
  if (error == 0 && options.defer_accept) error = SetOption(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, kDeferAcceptSeconds);
  if (error == 0 && options.user_timeout > 0)
    error = SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(options.user_timeout / kMillisecond));
  return error;
}

}  // namespace

StatusOr<int> OpenListener(const SocketAddress& address, const ListenOptions& options, int flags) {
  std::string what = Cat("listen ", address.ToString());
  if (address.is_unix() && options.replace_stale) RETURN_IF_ERROR(RemoveStale(address));
  Descriptor fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (fd.get() < 0) return OpenError(errno, what, address);
  if (address.is_unix()) {
    // Before bind, so that the path is never open to more than it shall be; after it, what umask took is given back.
    if (fchmod(fd.get(), options.mode) != 0) return ErrnoStatus(errno, what);
  } else if (int error = SetTcpListenerOptions(fd.get(), address, options); error != 0) {
    return ErrnoStatus(error, what);
  }
  if (int error = BindWhenFree(fd.get(), address); error != 0) return OpenError(error, what, address);
  if (address.is_unix() && chmod(std::string(address.path()).c_str(), options.mode) != 0)
    return ErrnoStatus(errno, what);
  if (listen(fd.get(), options.backlog) != 0) return OpenError(errno, what, address);
  return fd.Release();
}

// Bound alone: it is in no reuse-port group before it listens.
Status CheckListenable(const SocketAddress& address) {
  std::string what = Cat("listen ", address.ToString());
  Descriptor fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return OpenError(errno, what, address);
  if (int error = SetTcpListenerOptions(fd.get(), address, {.reuse_port = true}); error != 0) return ErrnoStatus(error, what);
  if (bind(fd.get(), address.raw(), address.size()) != 0) return OpenError(errno, what, address);
  return OkStatus();
}

StatusOr<int> AdoptListenerDescriptor(int fd, int flags) {
  int listening = 0, type = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
    return ErrnoStatus(errno, Cat("adopt descriptor ", fd, " as a listener"));
  size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM || listening == 0)
    return InvalidArgument("descriptor ", fd, " is no listening stream socket; its unit needs ListenStream=");
  int now = fcntl(fd, F_GETFL);
  int wanted = flags == 0 ? now & ~O_NONBLOCK : now | O_NONBLOCK;
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, wanted) != 0)
    return ErrnoStatus(errno, Cat("adopt descriptor ", fd));
  if (!LocalAddressOf(fd).is_unix()) SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

StatusOr<int> OpenStreamDescriptor(int family, int flags) {
  Descriptor fd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (fd.get() < 0) return OpenError(errno, "open a stream socket", {});
  if (family != AF_UNIX) SetOption(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  return fd.Release();
}

StatusOr<int> OpenUdpDescriptor(const SocketAddress& address, const UdpOptions& options, int flags) {
  std::string what = Cat("listen udp ", address.ToString());
  Descriptor fd(socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC | flags, 0));
  if (fd.get() < 0) return OpenError(errno, what, address);
  bool v6 = address.family() == AF_INET6;
  int error = v6 ? SetOption(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                 : SetOption(fd.get(), IPPROTO_IP, IP_PKTINFO, 1);
  if (error == 0 && v6) error = SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (error == 0 && options.reuse_port) error = SetOption(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (error == 0 && options.free_bind)
    error = v6 ? SetOption(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, 1) : SetOption(fd.get(), IPPROTO_IP, IP_FREEBIND, 1);
  if (error != 0) return ErrnoStatus(error, what);
  if (error = BindWhenFree(fd.get(), address); error != 0) return OpenError(error, what, address);
  return fd.Release();
}

namespace {

SocketAddress Ask(int fd, int (*call)(int, sockaddr*, socklen_t*)) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (call(fd, address, &size) != 0) return {};
  return SocketAddress::FromKernel(address, size);
}

}  // namespace

SocketAddress LocalAddressOf(int fd) {
  return Ask(fd, [](int d, sockaddr* a, socklen_t* n) { return getsockname(d, a, n); });
}

SocketAddress PeerAddressOf(int fd) {
  return Ask(fd, [](int d, sockaddr* a, socklen_t* n) { return getpeername(d, a, n); });
}

StatusOr<PeerCredentials> CredentialsOf(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!LocalAddressOf(fd).is_unix()) return FailedPrecondition("only a unix socket tells who its peer is");
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return ErrnoStatus(errno, "ask for the peer");
  PeerCredentials credentials{.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
  // ERANGE tells how many bytes they take. Without SO_PEERGROUPS (before 4.13) the peer has its gid alone.
  socklen_t bytes = 0;
  while (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, credentials.groups.data(), &bytes) != 0) {
    if (errno != ERANGE) return PeerCredentials{.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    credentials.groups.resize(bytes / sizeof(gid_t));
  }
  credentials.groups.resize(bytes / sizeof(gid_t));
  return credentials;
}

}  // namespace fairlead::io
