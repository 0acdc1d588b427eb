// UringProactor: io_uring with DEFER_TASKRUN, multishot receive and accept, and rings of provided buffers. Needs
// Linux 6.1. Belongs to the thread that first turns it.
#pragma once

#include <liburing.h>

#include <memory>

#include "base/io/kernel_proactor.h"

namespace fairlead::io {

struct UringOptions {
  unsigned entries = 1024;     // submission queue; a full one is flushed
  unsigned cq_entries = 8192;  // completion queue; beyond it the kernel keeps a list, and multishot operations end
  KernelProactor::BufferSizes buffers;
};

class UringProactor final : public KernelProactor {
 public:
  static StatusOr<std::unique_ptr<UringProactor>> Create(const Clock& clock, const UringOptions& options = {});
  ~UringProactor() override;
  const char* name() const override { return "uring"; }

  void Accept(int listener, Operation& op) override;
  void Connect(int fd, const SocketAddress& address, Operation& op) override;
  void Receive(int fd, BufferGroup group, bool multishot, Operation& op) override;
  void Send(int fd, const void* data, size_t bytes, Operation& op) override;
  void SendSome(int fd, const void* data, size_t bytes, Operation& op) override;
  void WaitReadable(int fd, Operation& op) override;
  void WaitStream(int fd, StreamSide side, Operation& op) override;
  void Cancel(Operation& op) override;
  void Close(int fd) override;
  void CloseLater(int fd) override;
  void ResetLater(int fd) override;
  void ReturnBuffer(BufferGroup group, uint16_t id) override;
  void Turn(Nanos max_wait) override;

 private:
  explicit UringProactor(const Clock& clock) : KernelProactor(clock, /*socket_flags=*/0) {}
  Status SetUp(const UringOptions& options);
  Status RegisterBuffers(BufferGroup group);
  void Attach();
  io_uring_sqe* NextEntry();
  unsigned Unsubmitted() const;
  bool HasCompletions() const;
  int Enter(unsigned wait_for, Nanos timeout);
  void DeliverCompletions();
  Completion Translate(const io_uring_cqe& entry);

  // Buffer ids of the second group follow those of the first, so that a completion tells its group.
  void LendMore(BufferGroup group);
  void OnShortage(BufferGroup group) override { LendMore(group); }
  uint16_t FirstId(BufferGroup group) const { return group == BufferGroup::kSmall ? 0 : BufferCount(BufferGroup::kSmall); }

  io_uring ring_{};
  bool open_ = false;
  bool attached_ = false;      // to its thread
  bool registered_ = false;    // the ring's descriptor, which saves a look-up per enter
  // The kernel uses the buffers that it was lent in turn. So it gets few at first, which stay in the cache, and more only
  // when they run short: what was never needed costs no memory.
  struct BufferRing {
    io_uring_buf_ring* ring = nullptr;
    uint16_t lent = 0;
  };
  BufferRing buffer_rings_[kBufferGroups];
};

}  // namespace fairlead::io
