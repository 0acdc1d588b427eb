// Awaitables without a socket of their own: frame operations (their memory is the caller's frame), Sleep, Yield, and
// the combinators WithDeadline, Race and TaskGroup, which need no frame of their own either.
#pragma once

#include <coroutine>
#include <optional>
#include <string_view>
#include <utility>

#include "base/io/cancel.h"
#include "base/io/frame_pool.h"
#include "base/io/proactor.h"
#include "base/io/record_layer.h"
#include "base/io/task.h"

namespace fairlead::io {

// An operation that lives in its awaiter's frame: send, connect, wait for readiness. Cancel asks the kernel; the frame
// goes on only when the completion has come. D provides `void Submit()` and `bool Take(int32_t result)`; Take gives
// false when it has submitted the rest.
template <class D>
class FrameOperation : public Operation, public Waiter {
 public:
  FrameOperation(const FrameOperation&) = delete;
  FrameOperation& operator=(const FrameOperation&) = delete;

  bool await_ready() { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    scope_ = handle.promise().scope;
    if (scope_->why() != 0) [[unlikely]] {
      result_ = -scope_->why();
      return false;
    }
    handle_ = handle;
    scope_->leaf = this;
    in_flight_ = true;
    static_cast<D*>(this)->Submit();
    return true;
  }
  IoResult await_resume() { return IoResult::FromKernel(result_); }

  void Complete(const Completion& completion) override {
    if (!static_cast<D*>(this)->Take(completion.result)) return;
    in_flight_ = false;
    scope_->leaf = nullptr;
    // EINTR: the cancel found it blocked in a kernel thread (connect to a unix socket with a full backlog).
    if (why_ != 0 && (result_ == -ECANCELED || result_ == -EINTR)) result_ = -why_;
    handle_.resume();  // may end the frame that holds *this
  }
  void Cancel(int why) override {
    if (why_ != 0) return;
    why_ = why;
    proactor_.Cancel(*this);
  }

 protected:
  explicit FrameOperation(Proactor& proactor) : proactor_(proactor) {}
  ~FrameOperation() { CHECK(!in_flight_); }

  Proactor& proactor_;
  int32_t result_ = 0;
  int why_ = 0;

 private:
  std::coroutine_handle<> handle_;
  CancelScope* scope_ = nullptr;
  bool in_flight_ = false;
};

// Connects a descriptor of OpenStream(). Gives 0 or an error.
class ConnectOperation final : public FrameOperation<ConnectOperation> {
 public:
  ConnectOperation(Proactor& proactor, int fd, const SocketAddress& address)
      : FrameOperation(proactor), fd_(fd), address_(address) {}
  void Submit() { proactor_.Connect(fd_, address_, *this); }
  bool Take(int32_t result) {
    result_ = result;
    return true;
  }

 private:
  int fd_;
  SocketAddress address_;
};

// Sends all bytes or fails; `data` stays valid until it completes. Gives 0, or the error after which the connection is
// of no use any more. With a record layer the bytes are sealed piece by piece just before they go; the sealed piece is
// the operation's own, for the layer may have more to say while the kernel reads it.
class SendOperation final : public FrameOperation<SendOperation> {
 public:
  SendOperation(Proactor& proactor, int fd, const void* data, size_t bytes, RecordLayer* layer = nullptr)
      : FrameOperation(proactor), fd_(fd), data_(static_cast<const char*>(data)), bytes_(bytes) {
    if (layer != nullptr && bytes != 0) [[unlikely]]
      sealing_ = new (FramePool::Allocate(sizeof(Sealing))) Sealing{*layer, {data_, bytes}, {}};
  }
  ~SendOperation() {
    if (sealing_ == nullptr) return;
    sealing_->~Sealing();
    FramePool::Free(sealing_, sizeof(Sealing));
  }
  bool await_ready() { return bytes_ == 0; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    if (sealing_ != nullptr && handle.promise().scope->why() == 0 && !SealNext()) {
      result_ = -EPIPE;
      return false;
    }
    return FrameOperation::await_suspend(handle);
  }
  void Submit() { proactor_.Send(fd_, data_, bytes_, *this); }
  bool Take(int32_t result) {
    if (result <= 0) {
      result_ = result != 0 ? result : -EPIPE;
      return true;
    }
    data_ += result;
    bytes_ -= static_cast<size_t>(result);
    bool sealed_all = bytes_ != 0 || sealing_ == nullptr || why_ != 0 || sealing_->plain.empty() || SealNext();
    if (!sealed_all) {
      result_ = -EPIPE;
      return true;
    }
    if (bytes_ != 0 && why_ == 0) {
      Submit();
      return false;
    }
    bool whole = bytes_ == 0 && (sealing_ == nullptr || sealing_->plain.empty());
    result_ = whole ? 0 : -ECANCELED;
    return true;
  }

 private:
  struct Sealing {
    RecordLayer& layer;
    std::string_view plain;  // not yet sealed
    SealedBytes sealed;
  };
  bool SealNext() {
    std::string_view next = sealing_->plain.substr(0, RecordLayer::kSealAtOnce);
    sealing_->plain.remove_prefix(next.size());
    if (!sealing_->layer.Seal(next)) return false;
    sealing_->sealed = sealing_->layer.TakeSealed();
    data_ = sealing_->sealed.view().data();
    bytes_ = sealing_->sealed.view().size();
    return true;
  }

  int fd_;
  const char* data_;
  size_t bytes_;
  Sealing* sealing_ = nullptr;
};

// Sends what the kernel has room for, with the next batch: gives how many bytes went, 0 also where only Send() can tell
// what is wrong. Never waits for the peer, so it cannot be cancelled.
class SendSomeOperation final : public FrameOperation<SendSomeOperation> {
 public:
  SendSomeOperation(Proactor& proactor, int fd, const void* data, size_t bytes)
      : FrameOperation(proactor), fd_(fd), data_(data), bytes_(bytes) {}
  bool await_ready() { return bytes_ == 0; }
  void Submit() { proactor_.SendSome(fd_, data_, bytes_, *this); }
  bool Take(int32_t result) {
    result_ = result;
    return true;
  }
  size_t await_resume() { return result_ > 0 ? static_cast<size_t>(result_) : 0; }
  int error() const { return result_ < 0 ? -result_ : 0; }  // which the next send need not meet any more

 private:
  int fd_;
  const void* data_;
  size_t bytes_;
};

// Waits until a descriptor can be read: datagrams, signalfd, netlink, libraries with sockets of their own.
class ReadableOperation final : public FrameOperation<ReadableOperation> {
 public:
  ReadableOperation(Proactor& proactor, int fd) : FrameOperation(proactor), fd_(fd) {}
  void Submit() { proactor_.WaitReadable(fd_, *this); }
  bool Take(int32_t result) {
    result_ = result < 0 ? result : 0;
    return true;
  }

 private:
  int fd_;
};

// co_await Yield(proactor): what else is due in this turn comes first. Too short to be cancelled.
class Yield final : public Posted {
 public:
  explicit Yield(Proactor& proactor) : proactor_(proactor) {}
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    proactor_.Post(*this);
  }
  void await_resume() {}
  void Run() override { handle_.resume(); }

 private:
  Proactor& proactor_;
  std::coroutine_handle<> handle_;
};

// co_await Sleep(proactor, 10 * kMillisecond): gives 0, or the reason of a cancellation.
class Sleep final : public Waiter, public Posted, private Timer {
 public:
  Sleep(Proactor& proactor, Nanos duration) : proactor_(proactor), until_(proactor.Now() + duration) {}
  Sleep(const Sleep&) = delete;
  Sleep& operator=(const Sleep&) = delete;

  bool await_ready() { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    scope_ = handle.promise().scope;
    if (scope_->why() != 0) {
      result_ = -scope_->why();
      return false;
    }
    handle_ = handle;
    scope_->leaf = this;
    proactor_.timers().Add(*this, until_);
    return true;
  }
  IoResult await_resume() { return IoResult::FromKernel(result_); }
  void Cancel(int why) override {
    if (!linked()) return;  // fired already: success beats cancel
    proactor_.timers().Remove(*this);
    result_ = -why;
    proactor_.Post(*this);
  }
  void Run() override {
    scope_->leaf = nullptr;
    handle_.resume();
  }

 private:
  void OnTimer() override { proactor_.Post(*this); }

  Proactor& proactor_;
  Nanos until_;
  std::coroutine_handle<> handle_;
  CancelScope* scope_ = nullptr;
  int32_t result_ = 0;
};

// Runs the task; at `deadline` (a point of Proactor::Now()) its scope is cancelled with ETIMEDOUT. Always waits for the
// task, whose own value counts: one that finished in spite of the deadline keeps its result.
template <class T>
class [[nodiscard]] WithDeadline final : private Timer {
 public:
  WithDeadline(Proactor& proactor, Nanos deadline, Task<T> task)
      : proactor_(proactor), deadline_(deadline), task_(std::move(task)) {}
  WithDeadline(const WithDeadline&) = delete;
  WithDeadline& operator=(const WithDeadline&) = delete;

  bool await_ready() { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) {
    scope_.Attach(handle.promise().scope);
    if (deadline_ != kNever) proactor_.timers().Add(*this, deadline_);
    return task_.Start(&scope_, handle, nullptr);
  }
  T await_resume() {
    proactor_.timers().Remove(*this);
    scope_.Detach();
    return task_.Take();
  }

 private:
  void OnTimer() override { scope_.Cancel(ETIMEDOUT); }

  Proactor& proactor_;
  Nanos deadline_;
  Task<T> task_;
  CancelScope scope_;
};

// As WithDeadline, but the deadline is `silence` after `last_activity`, which the task moves on by storing Now() there:
// one store per piece, no timer. `last_activity` outlives the task.
template <class T>
class [[nodiscard]] WhileActive final : private Timer {
 public:
  WhileActive(Proactor& proactor, Nanos silence, const Nanos& last_activity, Task<T> task)
      : proactor_(proactor), silence_(silence), last_activity_(last_activity), task_(std::move(task)) {}
  WhileActive(const WhileActive&) = delete;
  WhileActive& operator=(const WhileActive&) = delete;

  bool await_ready() { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) {
    scope_.Attach(handle.promise().scope);
    proactor_.timers().Add(*this, last_activity_ + silence_);
    return task_.Start(&scope_, handle, nullptr);
  }
  T await_resume() {
    proactor_.timers().Remove(*this);
    scope_.Detach();
    return task_.Take();
  }

 private:
  void OnTimer() override {
    Nanos until = last_activity_ + silence_;
    if (until > proactor_.Now()) {
      proactor_.timers().Add(*this, until);
    } else {
      scope_.Cancel(ETIMEDOUT);
    }
  }

  Proactor& proactor_;
  Nanos silence_;
  const Nanos& last_activity_;
  Task<T> task_;
  CancelScope scope_;
};

// Starts both; the first to end cancels the other; waits for both. Both values are given: the loser may have won
// something too.
template <class A, class B>
class [[nodiscard]] Race {
 public:
  struct Result {
    int winner;  // 0: a, 1: b
    std::optional<A> a;
    std::optional<B> b;
  };

  Race(Task<A> a, Task<B> b) : a_(std::move(a)), b_(std::move(b)), done_{{*this, 0}, {*this, 1}} {}
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;

  bool await_ready() { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    parent_ = handle;
    for (CancelScope& scope : scopes_) scope.Attach(handle.promise().scope);
    ++pending_;
    a_.Start(&scopes_[0], {}, &done_[0]).resume();
    if (winner_ < 0) {
      ++pending_;
      b_.Start(&scopes_[1], {}, &done_[1]).resume();
    }
    return --pending_ != 0;  // "starting" counted as one, so that children that end at once resume nobody early
  }
  Result await_resume() {
    for (CancelScope& scope : scopes_) scope.Detach();
    Result result{winner_, std::nullopt, std::nullopt};
    if (a_.started()) result.a.emplace(a_.Take());
    if (b_.started()) result.b.emplace(b_.Take());
    return result;
  }

 private:
  class Done final : public TaskDone {
   public:
    Done(Race& race, int index) : race_(race), index_(index) {}
    std::coroutine_handle<> OnDone() override {
      if (race_.winner_ < 0) {
        race_.winner_ = index_;
        race_.scopes_[1 - index_].Cancel(ECANCELED);
      }
      return --race_.pending_ == 0 ? race_.parent_ : std::noop_coroutine();
    }

   private:
    Race& race_;
    int index_;
  };

  Task<A> a_;
  Task<B> b_;
  CancelScope scopes_[2];
  Done done_[2];
  std::coroutine_handle<> parent_;
  int pending_ = 1;
  int winner_ = -1;
};

// Owns detached children. Must be empty when destroyed: `co_await group.CancelAndJoin()` inside a coroutine,
// `group.Drain(proactor)` outside.
class TaskGroup {
 public:
  explicit TaskGroup(CancelScope* parent = nullptr) { scope_.Attach(parent); }
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup() { CHECK(live_ == 0); }

  // Runs the task up to its first suspension. In a cancelled group it never starts.
  void Spawn(Task<void> task) {
    if (scope_.why() != 0) return;
    Child* child = new (FramePool::Allocate(sizeof(Child))) Child(*this, std::move(task));
    ++live_;
    child->Start().resume();
  }
  void Cancel(int why = ECANCELED) { scope_.Cancel(why); }
  bool cancelled() const { return scope_.why() != 0; }
  size_t live() const { return live_; }

  class [[nodiscard]] Joiner {
   public:
    explicit Joiner(TaskGroup& group) : group_(group) {}
    bool await_ready() { return group_.live_ == 0; }
    void await_suspend(std::coroutine_handle<> handle) { group_.joiner_ = handle; }  // ends when the children end
    void await_resume() {}

   private:
    TaskGroup& group_;
  };
  Joiner Join() { return Joiner(*this); }
  Joiner CancelAndJoin() {
    Cancel();
    return Joiner(*this);
  }
  // Cancels and turns the loop until all have ended.
  void Drain(Proactor& proactor) {
    Cancel();
    while (live_ > 0) proactor.Turn(10 * kMillisecond);
  }

 private:
  class Child final : public TaskDone {
   public:
    Child(TaskGroup& group, Task<void> task) : group_(group), task_(std::move(task)) { scope_.Attach(&group.scope_); }
    std::coroutine_handle<> Start() { return task_.Start(&scope_, {}, this); }
    std::coroutine_handle<> OnDone() override {
      TaskGroup& group = group_;
      this->~Child();  // the frame stands at its final suspend point: it may go
      FramePool::Free(this, sizeof(Child));
      if (--group.live_ == 0 && group.joiner_) return std::exchange(group.joiner_, {});
      return std::noop_coroutine();
    }

   private:
    TaskGroup& group_;
    CancelScope scope_;
    Task<void> task_;
  };

  CancelScope scope_;
  size_t live_ = 0;
  std::coroutine_handle<> joiner_;
};

}  // namespace fairlead::io
