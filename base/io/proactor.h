// Proactor: the seam between our logic and sockets, datagrams and timers. One thread owns a proactor and everything on
// it; only PostFromAnyThread() may be called by others. Three implementations pass one contract test
// (base/io/proactor_contract.h): UringProactor, EpollProactor, and SimProactor with virtual time and faults.
//
// Modules use the types on top (Stream, Listener, UdpSocket, Sleep, WithDeadline…), not this interface.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/io/result.h"
#include "base/io/timer.h"
#include "base/net/socket_address.h"
#include "base/status.h"

namespace fairlead::io {

// What the kernel (or the simulator) says of an operation.
struct Completion {
  int32_t result = 0;        // >= 0, or -errno
  bool more = false;         // further completions of this operation follow
  bool has_buffer = false;   // Receive: `buffer` holds `result` bytes and must be given back
  uint16_t buffer = 0;
};

// An operation in flight. Its memory stays until the completion without `more`.
class Operation {
 public:
  virtual void Complete(const Completion& completion) = 0;

 protected:
  ~Operation() = default;
};

// Something to run from the loop.
class Posted {
 public:
  virtual void Run() = 0;

 protected:
  ~Posted() = default;

 private:
  friend class Proactor;
  friend class PostedList;
  Posted* next_posted_ = nullptr;
};

// Intrusive FIFO of Posted.
class PostedList {
 public:
  PostedList() = default;
  PostedList(const PostedList&) = delete;
  PostedList& operator=(const PostedList&) = delete;
  void Push(Posted& p) {
    p.next_posted_ = nullptr;
    *tail_ = &p;
    tail_ = &p.next_posted_;
  }
  Posted* Pop() {
    Posted* p = head_;
    if (p != nullptr && (head_ = p->next_posted_) == nullptr) tail_ = &head_;
    return p;
  }
  bool empty() const { return head_ == nullptr; }
  // Appends everything of `other`, which is empty afterwards.
  void Append(PostedList& other) {
    if (other.empty()) return;
    *tail_ = other.head_;
    tail_ = other.tail_;
    other.head_ = nullptr;
    other.tail_ = &other.head_;
  }

 private:
  Posted* head_ = nullptr;
  Posted** tail_ = &head_;
};

// Receive buffers belong to the proactor, in two sizes: idle and small connections should not hold large ones.
enum class BufferGroup : uint8_t { kSmall = 0, kLarge = 1 };  // 4 KiB; 32 KiB (facts: 64 of them stay in the L2 cache)
inline constexpr int kBufferGroups = 2;

// A received piece while it waits for its reader: pieces of a socket form a list through their buffers' numbers, so
// that an idle socket holds no queue.
struct ReceivedBuffer {
  uint32_t bytes = 0;
  uint16_t next = 0xffff;
  uint16_t skip = 0;         // in front of the bytes: taken already (Socket::PutBack)
};

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = false;         // one listener per worker; the kernel spreads the connections
  bool defer_accept = false;       // TCP_DEFER_ACCEPT: where the client speaks first
  Nanos user_timeout = 0;          // TCP_USER_TIMEOUT of accepted connections: ends one whose peer takes nothing; 0: none
  bool replace_stale = false;      // unix: unlink the path when nobody listens there
  unsigned mode = 0600;            // unix: permissions of the path
};

struct UdpOptions {
  bool reuse_port = false;
  bool free_bind = false;          // bind an address that is not (yet) on this host
};

// One UDP message. Receive fills all fields; for Send `local` chooses the source address when set.
struct Datagram {
  SocketAddress peer;
  IpAddress local;                 // where it was sent to: the reply must leave from there
  std::span<uint8_t> bytes;        // Receive: room in, message out
  bool truncated = false;          // Receive: the message was longer than the room
};

// Of the process at the other end of a unix socket, when it connected.
struct PeerCredentials {
  int32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups = {};  // supplementary ones
};

// A pipe for bytes that go from one stream to another without leaving the kernel; on loan from its proactor.
struct Pipe {
  int read_end = -1, write_end = -1;
  uint32_t held = 0;               // bytes in it
  explicit operator bool() const { return read_end >= 0; }
};

enum class StreamSide : uint8_t { kIn, kOut };

class Proactor {
 public:
  virtual ~Proactor() = default;
  virtual const char* name() const = 0;  // "uring", "epoll", "sim"

  // --- descriptors. Errors name the address and the way out.
  virtual StatusOr<int> Listen(const SocketAddress& address, const ListenOptions& options) = 0;
  // Why Listen() with reuse_port would fail at this TCP address now. Waits for nobody, and no connection comes to it.
  virtual Status CheckListenable(const SocketAddress& address) = 0;
  virtual StatusOr<int> OpenStream(int family) = 0;                                     // for Connect; TCP_NODELAY set
  virtual StatusOr<int> OpenUdp(const SocketAddress& address, const UdpOptions& options) = 0;
  virtual StatusOr<int> AdoptListener(int fd) = 0;                                      // inherited from systemd or a parent
  virtual SocketAddress LocalAddress(int fd) = 0;                                       // the port that 0 became
  virtual SocketAddress PeerAddress(int fd) = 0;                                        // unset when gone
  virtual StatusOr<PeerCredentials> Credentials(int fd) = 0;

  // --- streams. `op` completes from Turn(), never from within these calls.
  virtual void Accept(int listener, Operation& op) = 0;                                 // multishot: result is a descriptor
  virtual void Connect(int fd, const SocketAddress& address, Operation& op) = 0;        // `address` stays until complete
  // Into buffers of the group. Multishot goes on until an error, end of stream (result 0), Cancel or -ENOBUFS.
  virtual void Receive(int fd, BufferGroup group, bool multishot, Operation& op) = 0;
  virtual void Send(int fd, const void* data, size_t bytes, Operation& op) = 0;         // `data` stays until complete
  virtual void SendSome(int fd, const void* data, size_t bytes, Operation& op) = 0;     // what there is room for, or -EAGAIN
  virtual int TrySend(int fd, const void* data, size_t bytes) = 0;                      // at once; bytes or -errno
  virtual void ShutdownWrite(int fd) = 0;                                               // FIN after what was sent
  virtual void WaitReadable(int fd, Operation& op) = 0;                                 // one-shot; result >= 0: readable
  virtual void Cancel(Operation& op) = 0;                                               // its final completion still comes
  virtual void Close(int fd) = 0;                                                       // no operation of ours names it
  virtual void CloseLater(int fd) = 0;                                                  // behind everything submitted so far
  virtual void ResetLater(int fd) = 0;                                                  // the same with RST instead of FIN

  // --- bytes from stream to stream inside the kernel. With no receive in flight and none of its pieces waiting, or
  // bytes would overtake each other. BorrowedPipe and StreamReady (base/io/splice.h) are how to use this.
  virtual bool PrepareSplice(int fd) = 0;                                               // once before; false: copy instead
  virtual Pipe TakePipe() = 0;                                                          // empty; none when refused: copy
  virtual void ReturnPipe(Pipe pipe) = 0;                                               // closed if it still holds bytes
  // At once: bytes or -errno; -EAGAIN: WaitStream. In: as much as an empty pipe takes; 0 where only a receive goes on, as
  // at the end of the stream.
  virtual int SpliceIn(int fd, Pipe& pipe) = 0;
  virtual int SpliceOut(Pipe& pipe, int fd) = 0;
  virtual void WaitStream(int fd, StreamSide side, Operation& op) = 0;                  // one-shot; result >= 0: try again

  // --- receive buffers
  virtual uint8_t* Buffer(BufferGroup group, uint16_t id) = 0;
  virtual void ReturnBuffer(BufferGroup group, uint16_t id) = 0;
  virtual uint32_t BufferBytes(BufferGroup group) const = 0;
  virtual uint16_t BufferCount(BufferGroup group) const = 0;
  virtual int buffers_out(BufferGroup group) const = 0;                                 // not yet returned
  ReceivedBuffer& received(BufferGroup group, uint16_t id) { return received_[static_cast<int>(group)][id]; }

  // --- datagrams: non-blocking batches behind WaitReadable
  virtual int ReceiveDatagrams(int fd, std::span<Datagram> batch) = 0;                  // how many were filled; 0: none
  virtual int SendDatagrams(int fd, std::span<const Datagram> batch) = 0;               // how many were taken

  // --- the loop
  // Waits at most `max_wait` for something to do and does it: completions, then timers, then posted work.
  virtual void Turn(Nanos max_wait) = 0;
  virtual void PostFromAnyThread(Posted& p) = 0;                                        // wakes the loop; keeps order

  void Post(Posted& p) { posted_.Push(p); }
  Nanos Now() const { return now_; }                     // monotonic, as of the last turn
  const Clock& clock() const { return clock_; }
  TimerWheel& timers() { return timers_; }

  // Arms `waiting` again once the group has a free buffer; for operations that completed with -ENOBUFS.
  void AwaitBuffer(BufferGroup group, Posted& waiting) {
    ++stats.buffer_shortages;
    OnShortage(group);
    starved_[static_cast<int>(group)].Push(waiting);
  }

  struct Stats {
    uint64_t enters = 0, completions = 0, submissions = 0, cancels = 0, inline_sends = 0, ring_sends = 0;
    uint64_t buffer_shortages = 0, accept_pauses = 0, datagrams_dropped = 0;
    uint64_t spliced_bytes = 0, pipes_refused = 0;
    int64_t orphans = 0;                                 // released sockets whose last completion is still to come
  } stats;

 protected:
  explicit Proactor(const Clock& clock) : clock_(clock), now_(clock.Now()), timers_(now_) {}
  // By the constructor of an implementation, once it knows its groups.
  void SizeReceived(BufferGroup group, uint16_t buffers) { received_[static_cast<int>(group)].resize(buffers); }
  virtual void OnShortage(BufferGroup) {}
  bool has_posted() const { return !posted_.empty(); }
  void PostAll(PostedList& list) { posted_.Append(list); }
  void UpdateNow() { now_ = clock_.Now(); }
  // How long a turn may wait: not at all with work at hand, else until the next timer.
  Nanos WaitTime(Nanos max_wait) const {
    if (!posted_.empty()) return 0;
    for (int g = 0; g < kBufferGroups; g++)
      if (!starved_[g].empty() && FreeBuffers(static_cast<BufferGroup>(g)) > 0) return 0;
    return std::min(max_wait, timers_.WaitFor(now_));
  }
  // After the completions: a caller that tests a condition after Turn() never sleeps on work that is done.
  void FinishTurn() {
    timers_.Advance(now_);
    RunPosted();
    RunStarved();
  }
  int FreeBuffers(BufferGroup group) const { return BufferCount(group) - buffers_out(group); }
  // What is posted meanwhile waits for the next turn, so that nobody keeps the loop from the kernel.
  void RunPosted() {
    PostedList batch;
    batch.Append(posted_);
    while (Posted* p = batch.Pop()) p->Run();
  }
  // As many as there are free buffers: arming more would only complete with -ENOBUFS again.
  void RunStarved() {
    for (int g = 0; g < kBufferGroups; g++) {
      auto group = static_cast<BufferGroup>(g);
      int room = FreeBuffers(group);
      PostedList waiting;  // what runs may starve again: that waits for the next turn
      waiting.Append(starved_[g]);
      while (room-- > 0) {
        Posted* p = waiting.Pop();
        if (p == nullptr) break;
        p->Run();
      }
      waiting.Append(starved_[g]);
      starved_[g].Append(waiting);
    }
  }

 private:
  const Clock& clock_;
  Nanos now_;
  TimerWheel timers_;
  PostedList posted_;
  PostedList starved_[kBufferGroups];
  std::vector<ReceivedBuffer> received_[kBufferGroups];
};

// What `lb.io` asks for. kAuto takes io_uring where the kernel allows it, else epoll, and says why in `*note`.
enum class IoBackend { kAuto, kUring, kEpoll };
StatusOr<std::unique_ptr<Proactor>> MakeProactor(IoBackend backend, const Clock& clock, std::string* note);

}  // namespace fairlead::io
