// Event: one coroutine of a worker wakes another. Sticky: Set() is remembered until somebody has waited for it. Setting
// resumes nobody on the caller's stack. One waiter at a time.
#pragma once

#include "base/io/await.h"

namespace fairlead::io {

class Event {
 public:
  explicit Event(Proactor& proactor) : proactor_(proactor) {}
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { CHECK(waiter_ == nullptr); }

  void Set() {
    set_ = true;
    if (waiter_ != nullptr) waiter_->Wake(0);
  }

  // 0 once it is set (and clears it), or an error: ETIMEDOUT at `deadline` (a point of Proactor::Now()), ECANCELED.
  class [[nodiscard]] Awaiter final : public Waiter, public Posted, private Timer {
   public:
    Awaiter(Event& event, Nanos deadline) : event_(event), deadline_(deadline) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;

    bool await_ready() { return event_.set_; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> handle) {
      scope_ = handle.promise().scope;
      if (scope_->why() != 0) {
        result_ = -scope_->why();
        return false;
      }
      CHECK(event_.waiter_ == nullptr);
      handle_ = handle;
      scope_->leaf = this;
      event_.waiter_ = this;
      if (deadline_ != kNever) event_.proactor_.timers().Add(*this, deadline_);
      return true;
    }
    IoResult await_resume() {
      if (result_ == 0) event_.set_ = false;
      return IoResult::FromKernel(result_);
    }
    void Cancel(int why) override { Wake(-why); }
    void Run() override {
      scope_->leaf = nullptr;
      handle_.resume();
    }

   private:
    friend class Event;
    void OnTimer() override { Wake(-ETIMEDOUT); }
    void Wake(int32_t result) {
      if (event_.waiter_ != this) return;  // woken already: the first reason counts
      event_.waiter_ = nullptr;
      event_.proactor_.timers().Remove(*this);
      result_ = result;
      event_.proactor_.Post(*this);
    }

    Event& event_;
    Nanos deadline_;
    std::coroutine_handle<> handle_;
    CancelScope* scope_ = nullptr;
    int32_t result_ = 0;
  };
  Awaiter Wait(Nanos deadline = kNever) { return Awaiter(*this, deadline); }

 private:
  Proactor& proactor_;
  Awaiter* waiter_ = nullptr;
  bool set_ = false;
};

}  // namespace fairlead::io
