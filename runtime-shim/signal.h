// Signal: one coroutine of a worker wakes another. Set() is remembered until somebody waited for it. One waiter at a time.
#pragma once

#include "base/io/await.h"

namespace fairlead::runtime {

class Signal {
 public:
  explicit Signal(io::Proactor& proactor) : proactor_(proactor) {}
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() { CHECK(waiter_ == nullptr); }

  void Set() {
    set_ = true;
    if (waiter_ != nullptr) waiter_->Wake(0);
  }

  // 0 once it is set (and clears it), or an error: ETIMEDOUT at `deadline` (a point of Proactor::Now()), ECANCELED.
  class [[nodiscard]] Awaiter final : public io::Waiter, public io::Posted, private io::Timer {
   public:
    Awaiter(Signal& signal, Nanos deadline) : signal_(signal), deadline_(deadline) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() { return signal_.set_; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      scope_ = handle.promise().scope;
      if (scope_->why() != 0) {
        result_ = -scope_->why();
        return false;
      }
      CHECK(signal_.waiter_ == nullptr);
      handle_ = handle;
      scope_->leaf = this;
      signal_.waiter_ = this;
      if (deadline_ != kNever) signal_.proactor_.timers().Add(*this, deadline_);
      return true;
    }
    io::IoResult await_resume() {
      if (result_ == 0) signal_.set_ = false;
      return io::IoResult::FromKernel(result_);
    }
    void Cancel(int why) override { Wake(-why); }
    void Run() override {
      scope_->leaf = nullptr;
      handle_.resume();
    }

   private:
    friend class Signal;
    void OnTimer() override { Wake(-ETIMEDOUT); }
    void Wake(int32_t result) {
      if (signal_.waiter_ != this) return;  // woken already: the first reason counts
      signal_.waiter_ = nullptr;
      signal_.proactor_.timers().Remove(*this);
      result_ = result;
      signal_.proactor_.Post(*this);
    }

    Signal& signal_;
    Nanos deadline_;
    std::coroutine_handle<> handle_;
    io::CancelScope* scope_ = nullptr;
    int32_t result_ = 0;
  };
  Awaiter Wait(Nanos deadline = kNever) { return Awaiter(*this, deadline); }

 private:
  io::Proactor& proactor_;
  Awaiter* waiter_ = nullptr;
  bool set_ = false;
};

}  // namespace fairlead::runtime
