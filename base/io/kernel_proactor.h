// KernelProactor: what the two proactors on the kernel's sockets share: opening, datagrams, the memory of the receive
// buffers, and being woken by other threads.
#pragma once

#include <mutex>

#include "base/io/buffer_memory.h"
#include "base/io/pipe_pool.h"
#include "base/io/proactor.h"

namespace fairlead::io {

class KernelProactor : public Proactor {
 public:
  struct BufferSizes {
    BufferGroupSize of[kBufferGroups] = {{256, 4096}, {64, 32768}};
  };

  ~KernelProactor() override;

  StatusOr<int> Listen(const SocketAddress& address, const ListenOptions& options) final;
  Status CheckListenable(const SocketAddress& address) final;
  StatusOr<int> OpenStream(int family) final;
  StatusOr<int> OpenUdp(const SocketAddress& address, const UdpOptions& options) final;
  StatusOr<int> AdoptListener(int fd) final;
  SocketAddress LocalAddress(int fd) final;
  SocketAddress PeerAddress(int fd) final;
  StatusOr<PeerCredentials> Credentials(int fd) final;

  int TrySend(int fd, const void* data, size_t bytes) final;
  void ShutdownWrite(int fd) final;
  bool PrepareSplice(int fd) final;
  Pipe TakePipe() final;
  void ReturnPipe(Pipe pipe) final { pipes_.Return(pipe); }
  int SpliceIn(int fd, Pipe& pipe) override;
  int SpliceOut(Pipe& pipe, int fd) override;
  int ReceiveDatagrams(int fd, std::span<Datagram> batch) final;
  int SendDatagrams(int fd, std::span<const Datagram> batch) final;
  void PostFromAnyThread(Posted& p) final;

  uint8_t* Buffer(BufferGroup group, uint16_t id) final { return groups_[Index(group)].memory[id]; }
  uint32_t BufferBytes(BufferGroup group) const final { return groups_[Index(group)].memory.bytes(); }
  uint16_t BufferCount(BufferGroup group) const final { return groups_[Index(group)].memory.count(); }
  int buffers_out(BufferGroup group) const final { return groups_[Index(group)].out; }

 protected:
  // `socket_flags`: 0, or SOCK_NONBLOCK.
  KernelProactor(const Clock& clock, int socket_flags) : Proactor(clock), socket_flags_(socket_flags) {}
  Status MapBuffers(const BufferSizes& sizes);
  Status OpenWake();   // once WaitReadable works
  static size_t Index(BufferGroup group) { return static_cast<size_t>(group); }
  static void SetReset(int fd);  // closing it sends RST

  struct Group {
    BufferMemory memory;
    int out = 0;
  };
  Group groups_[kBufferGroups];

 private:
  // Waits on the eventfd that PostFromAnyThread writes to.
  class Wake final : public Operation {
   public:
    explicit Wake(KernelProactor& proactor) : proactor_(proactor) {}
    void Complete(const Completion& completion) override;

   private:
    KernelProactor& proactor_;
  };

  const int socket_flags_;
  PipePool pipes_;
  int wake_fd_ = -1;
  Wake wake_{*this};
  std::mutex remote_mutex_;
  PostedList remote_;  // posted by other threads; guarded by remote_mutex_
};

}  // namespace fairlead::io
