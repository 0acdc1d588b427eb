#include "base/io/kernel_proactor.h"

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

void KernelProactor::SetReset(int fd) {
  linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

int KernelProactor::ReceiveDatagrams(int fd, std::span<Datagram> batch) { return ReceiveDatagramBatch(fd, batch); }
int KernelProactor::SendDatagrams(int fd, std::span<const Datagram> batch) {
  return SendDatagramBatch(fd, batch, stats.datagrams_dropped);
}

}  // namespace fairlead::io
