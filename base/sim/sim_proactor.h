// SimProactor: the Proactor of one process on a simulated host. As with io_uring, calls only queue: the next turn hands
// them to the network in order, results come back as completions of a later turn, and whether a cancel or the success
// comes first is the seed's choice. Numbers of descriptors are never used twice, so that a use after Close() is a
// CHECK and not a stranger's connection.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/sim/sim_network.h"
#include "base/sim/sim_stream.h"

namespace fairlead::sim {

struct SimProactorOptions {
  struct BufferSizes {
    uint16_t count;
    uint32_t bytes;
  } buffers[io::kBufferGroups] = {{256, 4096}, {64, 32768}};
  io::PeerCredentials credentials{.pid = 1, .uid = 0, .gid = 0};  // of the process
  size_t max_datagrams = 512;                                     // waiting in a socket; more are dropped and counted
};

enum class Crash : uint8_t {
  kProcess,  // its host closes what it had: peers get FIN or RST
  kHost,     // power lost: peers hear nothing until the host is up again
};

class Descriptor;

class SimProactor final : public io::Proactor {
 public:
  // A process on the host of that address, which is up from now on.
  SimProactor(SimWorld& world, const IpAddress& host, const SimProactorOptions& options = {});
  ~SimProactor() override;
  const char* name() const override { return "sim"; }
  SimWorld& world() { return world_; }

  // The process is dead: nothing it does from now on reaches anybody, and all its operations fail. What remains is to
  // end its tasks (TaskGroup::Drain) and to destroy it; its successor is a new SimProactor.
  void CrashNow(Crash crash);
  bool crashed() const { return crashed_; }

  StatusOr<int> Listen(const SocketAddress& address, const io::ListenOptions& options) override;
  Status CheckListenable(const SocketAddress& address) override;
  StatusOr<int> OpenStream(int family) override;
  StatusOr<int> OpenUdp(const SocketAddress& address, const io::UdpOptions& options) override;
  StatusOr<int> AdoptListener(int fd) override;
  SocketAddress LocalAddress(int fd) override;
  SocketAddress PeerAddress(int fd) override;
  StatusOr<io::PeerCredentials> Credentials(int fd) override;

  void Accept(int listener, io::Operation& op) override;
  void Connect(int fd, const SocketAddress& address, io::Operation& op) override;
  void Receive(int fd, io::BufferGroup group, bool multishot, io::Operation& op) override;
  void Send(int fd, const void* data, size_t bytes, io::Operation& op) override;
  void SendSome(int fd, const void* data, size_t bytes, io::Operation& op) override;
  int TrySend(int fd, const void* data, size_t bytes) override;
  void ShutdownWrite(int fd) override;
  void WaitReadable(int fd, io::Operation& op) override;
  bool PrepareSplice(int) override { return true; }
  io::Pipe TakePipe() override;
  void ReturnPipe(io::Pipe pipe) override;
  int SpliceIn(int fd, io::Pipe& pipe) override;
  int SpliceOut(io::Pipe& pipe, int fd) override;
  void WaitStream(int fd, io::StreamSide side, io::Operation& op) override;
  void Cancel(io::Operation& op) override;
  void Close(int fd) override;
  void CloseLater(int fd) override;
  void ResetLater(int fd) override;

  uint8_t* Buffer(io::BufferGroup group, uint16_t id) override;
  void ReturnBuffer(io::BufferGroup group, uint16_t id) override;
  uint32_t BufferBytes(io::BufferGroup group) const override { return options_.buffers[Index(group)].bytes; }
  uint16_t BufferCount(io::BufferGroup group) const override { return options_.buffers[Index(group)].count; }
  int buffers_out(io::BufferGroup group) const override {
    return BufferCount(group) - static_cast<int>(groups_[Index(group)].free.size());
  }

  int ReceiveDatagrams(int fd, std::span<io::Datagram> batch) override;
  int SendDatagrams(int fd, std::span<const io::Datagram> batch) override;

  void Turn(Nanos max_wait) override { world_.TurnOne(*this, max_wait); }
  void PostFromAnyThread(io::Posted& p) override { Post(p); }

 private:
  friend class SimWorld;
  friend class Descriptor;
  using File = std::shared_ptr<Descriptor>;
  using OperationId = uint64_t;                 // never used twice, as addresses of operations are

  enum class Kind : uint8_t { kAccept, kConnect, kReceive, kSend, kReadable, kWritable };
  struct Pending {
    OperationId id;
    Kind kind;
    io::Operation* op;
    File file;                                  // null: of a closed descriptor, after a crash
    io::BufferGroup group{};
    bool multishot = false, some = false, cancel_asked = false;
    const char* data = nullptr;
    size_t bytes = 0, sent = 0;
    const SocketAddress* address = nullptr;
    int attempts = 0;
  };
  struct Submission {
    enum class What : uint8_t { kBegin, kCancel, kClose, kReset } what;
    OperationId id;
    File file;
  };
  struct Finished {
    io::Operation* op;
    io::Completion completion;
  };
  struct Group {
    std::vector<uint8_t> memory;
    std::vector<uint16_t> free;
  };
  static size_t Index(io::BufferGroup group) { return static_cast<size_t>(group); }

  // Of the loop, called by the world.
  Nanos WakeTime() const;
  void Enter();
  void RunTurn();

  File At(int fd) const;
  File TakeFile(int fd);
  int Install(const File& file);
  File NewFile(int family);
  Pending& Submit(int fd, Kind kind, io::Operation& op);
  Pending* FindPending(OperationId id);
  void Begin(Pending& pending);
  void CancelPending(OperationId id);
  void Finish(Pending& pending, int32_t result) { Finish(pending, io::Completion{.result = result}); }
  void Finish(Pending& pending, const io::Completion& last);
  void Complete(io::Operation* op, const io::Completion& completion);
  void CloseNow(const File& file, bool reset);

  void Progress(const File& file);
  void ProgressAccept(Pending& pending);
  void ProgressReceive(Pending& pending);
  void ProgressSend(Pending& pending);
  void ProgressReadable(Pending& pending);
  void ProgressWritable(Pending& pending);

  void SendSyn(const File& file, OperationId id, Nanos after);
  void SynArrives(const File& file, OperationId id, SimHost* target);
  void RepeatSyn(const File& file, Pending& pending);
  void ConnectEnds(const File& file, OperationId id, int32_t result, std::shared_ptr<Connection> connection,
                   Nanos delay);
  void SendDatagram(const File& file, const io::Datagram& datagram);

  SimWorld& world_;
  SimHost& host_;
  const SimProactorOptions options_;
  bool crashed_ = false;
  Nanos busy_until_ = 0;
  int next_fd_;
  OperationId next_operation_ = 0;
  std::map<int, File> files_;
  std::map<OperationId, Pending> pending_;
  std::unordered_map<io::Operation*, OperationId> by_operation_;  // looked up only: its order is not the seed's
  std::deque<Submission> submitted_;
  std::deque<Finished> finished_;
  Nanos finished_due_ = 0;                      // when the loop sees them
  Group groups_[io::kBufferGroups];
  std::map<int, std::string> pipes_;            // on loan: number -> bytes
};

}  // namespace fairlead::sim
