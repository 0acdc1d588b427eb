// Socket: a connected stream whose receive uses buffers of the proactor, so that it may outlive its owner. Cancelling a
// wait on it touches no kernel and loses no byte. Release() closes; the object goes back to its pool with the last
// completion. Modules use Stream (base/io/stream.h); connection pools use Socket for its idle events.
//
// With a record layer (Secure) everything here speaks of plaintext: a receive is ready with decrypted bytes, and an idle
// socket whose peer sent what carries none (a session ticket) goes on being idle.
#pragma once

#include <coroutine>
#include <memory>
#include <utility>

#include "base/io/await.h"

namespace fairlead::io {

// A received piece, given back when dropped: bytes in a buffer of the proactor, or decrypted ones in a PlainPiece.
class Chunk {
 public:
  Chunk() = default;
  Chunk(Proactor& proactor, BufferGroup group, uint16_t id, uint32_t bytes)
      : proactor_(&proactor), data_(proactor.Buffer(group, id)), bytes_(bytes), id_(id), group_(group) {}
  // Takes the piece over.
  Chunk(uint8_t* plain_piece, uint32_t bytes) : data_(plain_piece), bytes_(bytes), id_(0), plain_(true) {}
  Chunk(Chunk&& other) noexcept { *this = std::move(other); }
  Chunk& operator=(Chunk&& other) noexcept {
    if (this == &other) return *this;
    Reset();
    proactor_ = std::exchange(other.proactor_, nullptr);
    data_ = other.data_;
    bytes_ = std::exchange(other.bytes_, 0);
    id_ = other.id_;
    group_ = other.group_;
    plain_ = std::exchange(other.plain_, false);
    return *this;
  }
  ~Chunk() { Reset(); }

  void Reset() {
    bytes_ = 0;
    if (proactor_ != nullptr) std::exchange(proactor_, nullptr)->ReturnBuffer(group_, id_);
    if (plain_) [[unlikely]] {
      plain_ = false;
      PlainPiece::Free(data_ - id_);
    }
  }
  bool empty() const { return bytes_ == 0; }
  size_t size() const { return bytes_; }
  // Fewer than half of the group's buffers are free: who may hold one for long should copy and give it back.
  bool scarce() const {
    return proactor_ != nullptr && 2 * proactor_->buffers_out(group_) > proactor_->BufferCount(group_);
  }
  const char* data() const { return reinterpret_cast<const char*>(data_); }
  char* data() { return reinterpret_cast<char*>(data_); }
  std::string_view view() const { return {data(), bytes_}; }
  void Skip(size_t bytes) {  // drops bytes at the front
    CHECK(bytes <= bytes_);
    data_ += bytes;
    bytes_ -= static_cast<uint32_t>(bytes);
    if (plain_) id_ = static_cast<uint16_t>(id_ + bytes);
    if (bytes_ == 0) Reset();
  }

 private:
  friend class Socket;

  Proactor* proactor_ = nullptr;
  uint8_t* data_ = nullptr;
  uint32_t bytes_ = 0;
  uint16_t id_ = 0;     // of the buffer; of a plain piece: how many bytes were dropped at its front
  BufferGroup group_ = BufferGroup::kSmall;
  bool plain_ = false;  // in a PlainPiece
};

class Socket final : public Operation, private Timer, private Posted {
 public:
  // Takes the descriptor over.
  static Socket* New(Proactor& proactor, int fd, BufferGroup group);
  void Release();       // closes with FIN; nobody may be waiting
  void ReleaseReset();  // closes with RST: what the peer got was not whole

  int fd() const { return fd_; }
  Proactor& proactor() { return proactor_; }
  // Data or an end that nobody has taken yet: on an idle pooled connection a reason to drop it.
  bool has_input() { return records_ == nullptr ? head_ != kNone || end_ != kOpen : Decrypt(); }
  // Reset, or failed otherwise: not merely ended.
  bool broken() const { return end_ < 0; }

  // From now on bytes pass through `layer`, whose handshake is over. `rest` was received and fed, but not read yet.
  void Secure(std::unique_ptr<RecordLayer> layer, Chunk rest);
  RecordLayer* record_layer() const { return records_ == nullptr ? nullptr : records_->layer.get(); }
  // Announces the end where there is a record layer (as far as the kernel takes it at once), then FIN.
  void ShutdownWrite();

  // Applies to every Receive() from now on; kNever lifts it. Moving it later costs one store. (Sends: WithDeadline.)
  void SetDeadline(Nanos when);
  // Starts receiving without a waiter, so that an idle connection notices its end.
  void Arm();
  // On demand, a receive is in flight only while somebody waits: a flow whose reader is stuck holds no buffers but the
  // one in its reader's hands. For bodies; between messages the standing receive is cheaper.
  void ReceiveOnDemand(bool on_demand);
  // What it will receive may be taken from its descriptor (base/io/splice.h): it is not sealed, and no byte is here or on
  // its way here, which would be overtaken. To be asked again after every Receive().
  bool Spliceable() const { return records_ == nullptr && !armed_ && !starved_ && head_ == kNone && end_ == kOpen; }
  // Called instead of waking a waiter when an idle armed socket gets input, ends or passes its deadline.
  class IdleListener {
   public:
    virtual void OnIdleEvent(Socket& socket) = 0;  // may Release() it

   protected:
    ~IdleListener() = default;
  };
  void SetIdleListener(IdleListener* listener) { idle_listener_ = listener; }

  // co_await socket->Receive(): bytes of the next piece (fetch it by Take()), 0 at the end of the stream, or an error.
  // A cancelled or timed-out wait loses no bytes. One waiter at a time.
  class ReceiveAwaiter final : public Waiter, public Posted {
   public:
    explicit ReceiveAwaiter(Socket& socket) : socket_(socket) {}
    ReceiveAwaiter(const ReceiveAwaiter&) = delete;
    ReceiveAwaiter& operator=(const ReceiveAwaiter&) = delete;
    ~ReceiveAwaiter() { CHECK(socket_.waiter_ != this); }

    bool await_ready() { return socket_.has_input(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      scope_ = handle.promise().scope;
      if (scope_->why() != 0) [[unlikely]] {
        why_ = scope_->why();
        return false;
      }
      CHECK(socket_.waiter_ == nullptr);
      handle_ = handle;
      scope_->leaf = this;
      socket_.waiter_ = this;
      socket_.Arm();
      return true;
    }
    IoResult await_resume() { return why_ != 0 ? IoResult::Error(why_) : socket_.Peek(); }
    void Cancel(int why) override;  // posts: the caller's stack resumes nobody
    void Run() override { handle_.resume(); }
    void Wake();

   private:
    Socket& socket_;
    CancelScope* scope_ = nullptr;
    std::coroutine_handle<> handle_;
    int why_ = 0;
  };
  ReceiveAwaiter Receive() { return ReceiveAwaiter(*this); }
  Chunk Take();  // the piece that Receive() announced
  // The next piece again: for who reads the front of a connection and leaves the rest to somebody else.
  void PutBack(Chunk piece);

  SendOperation Send(const void* data, size_t bytes) {
    return SendOperation(proactor_, fd_, data, bytes, record_layer());
  }

 private:
  // What a connection with a record layer has besides.
  struct Records {
    std::unique_ptr<RecordLayer> layer;
    Chunk sealed;             // fed to the layer, not yet read
    Chunk plain;              // read, not yet taken
    int32_t end = kOpen;      // as `end_`, for the plaintext
  };

  static constexpr uint16_t kNone = 0xffff;
  static constexpr int32_t kOpen = 1;    // `end_`: 1 open, 0 the peer closed, < 0 an error
  static constexpr int kMaxQueued = 4;   // pieces; then the multishot receive is paused (back-pressure)

  Socket(Proactor& proactor, int fd, BufferGroup group) : proactor_(proactor), fd_(fd), group_(group) {}
  ~Socket() = default;
  void Complete(const Completion& completion) override;
  void OnTimer() override;
  void Run() override;                   // a buffer is free again
  IoResult Peek() const;
  bool Decrypt();                        // true: plaintext, its end or an error can be had without waiting
  Chunk TakePiece();
  void SealEnd();
  void Queue(uint16_t buffer, int32_t bytes);
  void ReleaseBy(bool reset);
  void Free();

  Proactor& proactor_;
  ReceiveAwaiter* waiter_ = nullptr;
  IdleListener* idle_listener_ = nullptr;
  std::unique_ptr<Records> records_;
  Nanos deadline_ = kNever;
  int fd_;
  int32_t end_ = kOpen;
  uint16_t head_ = kNone, tail_ = kNone;
  BufferGroup group_;
  uint8_t queued_ = 0;
  bool armed_ = false;     // a receive is in flight
  bool paused_ = false;    // its cancel was asked for, to hold back the peer
  bool starved_ = false;   // waits for a free buffer
  bool orphan_ = false;    // released: lingers until the last completion
  bool first_ = true;      // the first receive is one-shot: a connection of one request needs no cancel
  bool on_demand_ = false; // see ReceiveOnDemand
  bool bulk_ = false;      // outran its reader: one-shot receives hold the peer back until a piece is not full
};

}  // namespace fairlead::io
