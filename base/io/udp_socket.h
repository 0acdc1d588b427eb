// UdpSocket: batches of datagrams behind readiness. Owns its descriptor; movable. One reader at a time.
//
//   while ((co_await socket.Readable()).ok())
//     for (int n; (n = socket.ReceiveBatch(batch)) > 0;) … socket.SendBatch(answers);
#pragma once

#include <span>
#include <utility>

#include "base/io/await.h"

namespace fairlead::io {

class UdpSocket {
 public:
  // Bound to `address`; port 0 takes a free one.
  static StatusOr<UdpSocket> Open(Proactor& proactor, const SocketAddress& address, const UdpOptions& options = {}) {
    ASSIGN_OR_RETURN(int fd, proactor.OpenUdp(address, options));
    return UdpSocket(proactor, fd);
  }
  UdpSocket(UdpSocket&& other) noexcept : proactor_(other.proactor_), fd_(std::exchange(other.fd_, -1)) {}
  UdpSocket& operator=(UdpSocket&& other) noexcept {
    std::swap(proactor_, other.proactor_);
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UdpSocket() { Close(); }

  // Ok once there is something to receive, or the reason of a cancellation.
  ReadableOperation Readable() { return ReadableOperation(*proactor_, fd_); }
  // Fills the front of `batch` and gives how many; 0: none is there. A message takes the room of its entry's `bytes`,
  // which is the message afterwards: set it to the whole room before the next call.
  int ReceiveBatch(std::span<Datagram> batch) { return proactor_->ReceiveDatagrams(fd_, batch); }
  // Gives how many the kernel took, from the front; fewer than all: its buffer is full, and dropping is fair.
  int SendBatch(std::span<const Datagram> batch) { return proactor_->SendDatagrams(fd_, batch); }
  SocketAddress address() const { return proactor_->LocalAddress(fd_); }
  int fd() const { return fd_; }
  void Close() {  // nobody may be waiting
    if (fd_ >= 0) proactor_->Close(std::exchange(fd_, -1));
  }

 private:
  UdpSocket(Proactor& proactor, int fd) : proactor_(&proactor), fd_(fd) {}

  Proactor* proactor_;
  int fd_;
};

}  // namespace fairlead::io
