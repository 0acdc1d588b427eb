// Stream: what sessions, servers and clients talk through. It begins plain; a handshake (base/tls/handshake.h) puts a
// record layer behind the same calls. Owns its connection; movable; destroying it closes.
#pragma once

#include <string_view>
#include <utility>

#include "base/io/socket.h"

namespace fairlead::io {

class Stream {
 public:
  Stream() = default;
  Stream(Proactor& proactor, int fd, BufferGroup group = BufferGroup::kSmall)
      : socket_(Socket::New(proactor, fd, group)) {}
  explicit Stream(Socket* socket) : socket_(socket) {}
  Stream(Stream&& other) noexcept : socket_(std::exchange(other.socket_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    if (this != &other) {
      Close();
      socket_ = std::exchange(other.socket_, nullptr);
    }
    return *this;
  }
  ~Stream() { Close(); }

  explicit operator bool() const { return socket_ != nullptr; }
  Socket* socket() const { return socket_; }
  Socket* ReleaseSocket() { return std::exchange(socket_, nullptr); }

  // Bytes of the next piece (then Take()), 0 at the end, or an error. See Socket::Receive.
  Socket::ReceiveAwaiter Receive() { return socket_->Receive(); }
  Chunk Take() { return socket_->Take(); }
  void PutBack(Chunk piece) { socket_->PutBack(std::move(piece)); }
  // Sends all of it or fails; the bytes stay valid until then.
  SendOperation Send(std::string_view bytes) { return socket_->Send(bytes.data(), bytes.size()); }
  // What the kernel has room for, with the next batch; 0 as TrySend.
  SendSomeOperation SendSome(std::string_view bytes) {
    return SendSomeOperation(socket_->proactor(), socket_->fd(), bytes.data(), secured() ? 0 : bytes.size());
  }
  // At once, what the kernel has room for: how many bytes went, 0 also where only Send() can tell what is wrong.
  // 0 too behind a record layer: sealed bytes that the kernel does not take need somebody who waits.
  size_t TrySend(std::string_view bytes) {
    if (secured()) return 0;
    int sent = socket_->proactor().TrySend(socket_->fd(), bytes.data(), bytes.size());
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  void SetDeadline(Nanos when) { socket_->SetDeadline(when); }
  void ShutdownWrite() { socket_->ShutdownWrite(); }
  // Its descriptor carries sealed records: nothing may be read or written past it.
  bool secured() const { return socket_->record_layer() != nullptr; }
  SocketAddress peer() const { return socket_->proactor().PeerAddress(socket_->fd()); }
  SocketAddress local() const { return socket_->proactor().LocalAddress(socket_->fd()); }
  StatusOr<PeerCredentials> credentials() const { return socket_->proactor().Credentials(socket_->fd()); }
  void Close() {
    if (socket_ != nullptr) std::exchange(socket_, nullptr)->Release();
  }
  void Reset() {  // RST: the peer must not take what it got for whole
    if (socket_ != nullptr) std::exchange(socket_, nullptr)->ReleaseReset();
  }

 private:
  Socket* socket_ = nullptr;
};

// A connect for WithDeadline(); the descriptor stays the caller's.
Task<IoResult> ConnectTo(Proactor& proactor, int fd, SocketAddress address);
// Connects by `deadline` (a point of Proactor::Now()). The error names the address.
Task<StatusOr<Stream>> Dial(Proactor& proactor, SocketAddress address, Nanos deadline,
                            BufferGroup group = BufferGroup::kSmall);

}  // namespace fairlead::io
