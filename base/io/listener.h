// Listener: accepts connections one by one from a multishot accept. Where accept fails (out of descriptors) it pauses
// 100 ms instead of spinning, and it pauses while 1024 connections wait to be taken; both are counted in
// Proactor::stats.accept_pauses. One waiter at a time.
#pragma once

#include <deque>
#include <functional>

#include "base/io/await.h"

namespace fairlead::io {

// The accepting object behind a Listener: like a Socket it outlives its owner until the last completion.
class Acceptor final : public Operation, private Timer {
 public:
  static Acceptor* New(Proactor& proactor, int fd) { return new Acceptor(proactor, fd); }
  void Release();
  Proactor& proactor() { return proactor_; }
  int fd() const { return fd_; }

  class [[nodiscard]] Awaiter final : public Waiter, public Posted {
   public:
    explicit Awaiter(Acceptor& acceptor) : acceptor_(acceptor) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() { return !acceptor_.ready_.empty(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      scope_ = handle.promise().scope;
      if (scope_->why() != 0) {
        why_ = scope_->why();
        return false;
      }
      CHECK(acceptor_.waiter_ == nullptr);
      handle_ = handle;
      scope_->leaf = this;
      acceptor_.waiter_ = this;
      acceptor_.Arm();
      return true;
    }
    IoResult await_resume();
    void Cancel(int why) override;
    void Run() override { handle_.resume(); }
    void Wake();

   private:
    Acceptor& acceptor_;
    CancelScope* scope_ = nullptr;
    std::coroutine_handle<> handle_;
    int why_ = 0;
  };

 private:
  static constexpr Nanos kPause = 100 * kMillisecond;  // after EMFILE and the like
  static constexpr size_t kMaxReady = 1024;            // then accepting is paused: the rest waits in the kernel's backlog

  Acceptor(Proactor& proactor, int fd) : proactor_(proactor), fd_(fd) {}
  ~Acceptor() = default;
  void Arm();
  void Complete(const Completion& completion) override;
  void Deliver(int fd);
  void OnTimer() override { Arm(); }

  Proactor& proactor_;
  int fd_;
  Awaiter* waiter_ = nullptr;
  std::deque<int> ready_;  // accepted, not yet taken
  bool armed_ = false;
  bool paused_ = false;    // the accept's cancel was asked for: too many are ready
  bool orphan_ = false;
};

class Listener {
 public:
  static StatusOr<Listener> Open(Proactor& proactor, const SocketAddress& address, const ListenOptions& options = {});
  static StatusOr<Listener> Adopt(Proactor& proactor, int fd);  // from systemd or a parent process
  Listener(Listener&& other) noexcept : acceptor_(std::exchange(other.acceptor_, nullptr)) {}
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();

  SocketAddress address() const;  // with the port that 0 became
  // A connected descriptor (>= 0), or the reason of a cancellation. Transient errors of accept are not reported.
  Acceptor::Awaiter Accept() { return Acceptor::Awaiter(*acceptor_); }
  Proactor& proactor() const { return acceptor_->proactor(); }

 private:
  explicit Listener(Acceptor* acceptor) : acceptor_(acceptor) {}
  Acceptor* acceptor_ = nullptr;
};

// Spawns serve(fd) in `group` for every connection, until cancelled. The listener outlives the loop.
Task<void> AcceptLoop(Listener& listener, TaskGroup& group, std::function<Task<void>(int fd)> serve);

}  // namespace fairlead::io
