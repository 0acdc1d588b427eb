#include "base/io/kernel_proactor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/io/datagrams.h"
#include "base/io/descriptors.h"

namespace fairlead::io {

KernelProactor::~KernelProactor() {
  if (wake_fd_ >= 0) close(wake_fd_);
}

Status KernelProactor::MapBuffers(const BufferSizes& sizes) {
  for (size_t g = 0; g < kBufferGroups; g++) {
    RETURN_IF_ERROR(groups_[g].memory.Map(sizes.of[g]));
    SizeReceived(static_cast<BufferGroup>(g), sizes.of[g].count);
  }
  return OkStatus();
}

Status KernelProactor::OpenWake() {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) return ErrnoStatus(errno, "open an eventfd");
  WaitReadable(wake_fd_, wake_);
  return OkStatus();
}

void KernelProactor::PostFromAnyThread(Posted& p) {
  bool first;
  {
    std::lock_guard lock(remote_mutex_);
    first = remote_.empty();
    remote_.Push(p);
  }
  // Who finds the list filled knows that its first has woken the loop, which takes all at once. The count of an
  // eventfd can only overflow after 2^64 - 2 unread writes, so the write succeeds.
  uint64_t one = 1;
  if (first) CHECK(write(wake_fd_, &one, sizeof one) == sizeof one);
}

void KernelProactor::Wake::Complete(const Completion& completion) {
  if (completion.result < 0) return;  // the proactor is being destroyed
  uint64_t count;
  [[maybe_unused]] ssize_t unread = read(proactor_.wake_fd_, &count, sizeof count);
  PostedList posted;
  {
    std::lock_guard lock(proactor_.remote_mutex_);
    posted.Append(proactor_.remote_);
  }
  proactor_.PostAll(posted);
  proactor_.WaitReadable(proactor_.wake_fd_, *this);
}

StatusOr<int> KernelProactor::Listen(const SocketAddress& address, const ListenOptions& options) {
  return OpenListener(address, options, socket_flags_);
}
Status KernelProactor::CheckListenable(const SocketAddress& address) { return io::CheckListenable(address); }
StatusOr<int> KernelProactor::OpenStream(int family) { return OpenStreamDescriptor(family, socket_flags_); }
StatusOr<int> KernelProactor::OpenUdp(const SocketAddress& address, const UdpOptions& options) {
  return OpenUdpDescriptor(address, options, socket_flags_);
}
StatusOr<int> KernelProactor::AdoptListener(int fd) { return AdoptListenerDescriptor(fd, socket_flags_); }
SocketAddress KernelProactor::LocalAddress(int fd) { return LocalAddressOf(fd); }
SocketAddress KernelProactor::PeerAddress(int fd) { return PeerAddressOf(fd); }
StatusOr<PeerCredentials> KernelProactor::Credentials(int fd) { return CredentialsOf(fd); }

int KernelProactor::TrySend(int fd, const void* data, size_t bytes) {
  ++stats.inline_sends;
  ssize_t sent = send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent < 0 ? -errno : static_cast<int>(sent);
}

void KernelProactor::ShutdownWrite(int fd) { shutdown(fd, SHUT_WR); }

// splice(2) knows no MSG_NOSIGNAL: where SIGPIPE is not ignored, a sink that went away would end the process.
bool KernelProactor::PrepareSplice(int fd) {
  static const bool ignores_sigpipe = [] {
    struct sigaction action {};
    return sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
  }();
  if (!ignores_sigpipe) return false;
  // SPLICE_F_NONBLOCK speaks of the pipe only: a socket that shall not block says so itself. The ring's receives and
  // sends wait all the same.
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && ((flags & O_NONBLOCK) != 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

Pipe KernelProactor::TakePipe() {
  Pipe pipe = pipes_.Take();
  if (!pipe) ++stats.pipes_refused;
  return pipe;
}

int KernelProactor::SpliceIn(int fd, Pipe& pipe) {
  CHECK(pipe.held == 0);  // a full pipe would look like an empty socket
  ssize_t moved = splice(fd, nullptr, pipe.write_end, nullptr, PipePool::kBytes, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (moved < 0 && errno == EAGAIN) {
    // It also stops before an urgent byte (RFC 6093), whatever is behind it, and a wait would not end there.
    char next;
    return recv(fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0 ? 0 : -EAGAIN;
  }
  if (moved < 0) return -errno;
  pipe.held = static_cast<uint32_t>(moved);
  return static_cast<int>(moved);
}

int KernelProactor::SpliceOut(Pipe& pipe, int fd) {
  ssize_t moved = splice(pipe.read_end, nullptr, fd, nullptr, pipe.held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (moved < 0) return -errno;
  pipe.held -= static_cast<uint32_t>(moved);
  stats.spliced_bytes += static_cast<uint64_t>(moved);
  return static_cast<int>(moved);
}

void KernelProactor::SetReset(int fd) {
  linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

int KernelProactor::ReceiveDatagrams(int fd, std::span<Datagram> batch) { return ReceiveDatagramBatch(fd, batch); }
int KernelProactor::SendDatagrams(int fd, std::span<const Datagram> batch) {
  return SendDatagramBatch(fd, batch, stats.datagrams_dropped);
}

}  // namespace fairlead::io
