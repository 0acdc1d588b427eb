// Task<T>: a lazily started coroutine that its awaiter owns. Frames come from FramePool; awaiting a task allocates
// nothing else. A frame ends only by running to its end: ~Task CHECKs that it was never started or is done.
//
// Parameters of a coroutine are values, or references to objects that outlive it; a lambda that is a coroutine
// captures nothing.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/io/cancel.h"
#include "base/io/frame_pool.h"

namespace fairlead::io {

// Told when a task that has no awaiting coroutine ends (children of Race and TaskGroup); gives what to resume next.
class TaskDone {
 public:
  virtual std::coroutine_handle<> OnDone() = 0;

 protected:
  ~TaskDone() = default;
};

namespace internal {

struct PromiseBase {
  std::coroutine_handle<> continuation;
  TaskDone* done = nullptr;
  CancelScope* scope = nullptr;

  static void* operator new(size_t bytes) { return FramePool::Allocate(bytes); }
  static void operator delete(void* p, size_t bytes) { FramePool::Free(p, bytes); }

  struct Final {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      PromiseBase& promise = handle.promise();
      return promise.done != nullptr ? promise.done->OnDone() : promise.continuation;
    }
    void await_resume() noexcept {}
  };

  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::abort(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  template <class U>
  void return_value(U&& v) {
    value.emplace(std::forward<U>(v));
  }
  T Take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  void return_void() {}
  void Take() {}
};

}  // namespace internal

template <class T = void>
class [[nodiscard]] Task {
 public:
  struct promise_type : internal::Promise<T> {
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
  };

  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})), started_(other.started_) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (!handle_) return;
    CHECK(!started_ || handle_.done());
    handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  template <class Parent>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Parent> parent) noexcept {
    return Start(parent.promise().scope, parent, nullptr);
  }
  T await_resume() noexcept { return Take(); }

  // For combinators: what to resume to start it, and its value once it is done.
  std::coroutine_handle<> Start(CancelScope* scope, std::coroutine_handle<> continuation, TaskDone* done) {
    started_ = true;
    auto& promise = handle_.promise();
    promise.scope = scope;
    promise.continuation = continuation;
    promise.done = done;
    return handle_;
  }
  T Take() noexcept {
    auto handle = std::exchange(handle_, {});
    struct Destroy {
      std::coroutine_handle<promise_type> handle;
      ~Destroy() { handle.destroy(); }
    } destroy{handle};
    return handle.promise().Take();
  }
  bool started() const { return started_; }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
  bool started_ = false;
};

}  // namespace fairlead::io
