// EpollProactor: the same contract where io_uring is missing or forbidden. Stream descriptors are registered once, edge
// triggered; a turn tries what is ready and waits for an edge where the kernel has no more.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <deque>
#include <memory>
#include <vector>

#include "base/io/kernel_proactor.h"

namespace fairlead::io {

struct EpollOptions {
  KernelProactor::BufferSizes buffers;
};

class EpollProactor final : public KernelProactor {
 public:
  static StatusOr<std::unique_ptr<EpollProactor>> Create(const Clock& clock, const EpollOptions& options = {});
  ~EpollProactor() override;
  const char* name() const override { return "epoll"; }

  void Accept(int listener, Operation& op) override;
  void Connect(int fd, const SocketAddress& address, Operation& op) override;
  void Receive(int fd, BufferGroup group, bool multishot, Operation& op) override;
  void Send(int fd, const void* data, size_t bytes, Operation& op) override;
  void SendSome(int fd, const void* data, size_t bytes, Operation& op) override;
  void WaitReadable(int fd, Operation& op) override;
  int SpliceIn(int fd, Pipe& pipe) override;
  int SpliceOut(Pipe& pipe, int fd) override;
  void WaitStream(int fd, StreamSide side, Operation& op) override;
  void Cancel(Operation& op) override;
  void Close(int fd) override;
  void CloseLater(int fd) override;
  void ResetLater(int fd) override;
  void ReturnBuffer(BufferGroup group, uint16_t id) override;
  void Turn(Nanos max_wait) override;

 private:
  enum class Kind : uint8_t { kAccept, kReceive, kReady, kConnect, kSend };
  using Direction = StreamSide;

  // One direction of a descriptor: at most one operation, and whether the kernel may have something for it.
  struct Side {
    Operation* op = nullptr;
    Kind kind{};
    BufferGroup group{};
    bool multishot = false;
    bool ready = true;         // until the kernel says EAGAIN
    bool queued = false;       // in to_try_
    uint32_t serial = 0;       // changes with every operation: a handler may have replaced it
    const char* data = nullptr;
    size_t bytes = 0, sent = 0;
    const SocketAddress* address = nullptr;
  };
  struct Descriptor {
    Side in, out;
    bool registered = false;   // edge triggered, for both directions
    bool hangup = false;       // the end or an error waits behind the data: it makes no further edge
    Side& side(Direction d) { return d == Direction::kIn ? in : out; }
  };
  struct Place {
    int fd;
    Direction direction;
  };
  struct Finished {
    Operation* op;
    Completion completion;
  };

  explicit EpollProactor(const Clock& clock) : KernelProactor(clock, SOCK_NONBLOCK) {}
  Status SetUp(const EpollOptions& options);
  Descriptor& At(int fd);
  Side& Begin(int fd, Direction direction, Kind kind, Operation& op);
  bool Register(int fd);
  bool Control(int command, int fd, uint32_t events);
  void TryLater(int fd, Direction direction);
  Operation* End(Side& side);
  void FinishLater(Side& side, int32_t result);
  void Finish(Side& side, const Completion& completion);

  void WaitForEvents(Nanos wait);
  void DeliverFinished();
  void TryReady();
  void TryAccept(int fd, Side& side);
  void TryReceive(int fd, Descriptor& descriptor);
  void TryConnect(int fd, Side& side);
  void TrySendRest(int fd, Side& side);

  int epoll_fd_ = -1;
  std::deque<Descriptor> table_;                            // by descriptor; references stay valid as it grows
  absl::flat_hash_map<Operation*, Place> in_flight_;        // for Cancel
  std::vector<Place> to_try_, trying_;
  std::vector<Finished> finished_, delivering_;             // results known before the turn that reports them
  std::vector<uint16_t> free_buffers_[kBufferGroups];       // last in, first out: warm in the cache
};

}  // namespace fairlead::io
