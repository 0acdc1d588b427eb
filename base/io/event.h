// Event: one coroutine waits until somebody on the same worker sets it. Sticky: an event that was set before the wait
// ends the wait at once. Setting resumes nobody on the caller's stack.
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
    if (waiter_ != nullptr) waiter_->Finish(0);
  }

  // co_await event.Wait(): 0 and the event is clear again, or the reason of a cancellation. One waiter at a time.
  class [[nodiscard]] Awaiter final : public Waiter, public Posted {
   public:
    explicit Awaiter(Event& event) : event_(event) {}
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
      return true;
    }
    IoResult await_resume() {
      if (result_ == 0) event_.set_ = false;
      return IoResult::FromKernel(result_);
    }
    void Cancel(int why) override {
      if (event_.waiter_ == this) Finish(-why);
    }
    void Run() override {
      scope_->leaf = nullptr;
      handle_.resume();
    }

   private:
    friend class Event;
    void Finish(int32_t result) {
      result_ = result;
      event_.waiter_ = nullptr;
      event_.proactor_.Post(*this);
    }

    Event& event_;
    CancelScope* scope_ = nullptr;
    std::coroutine_handle<> handle_;
    int32_t result_ = 0;
  };
  Awaiter Wait() { return Awaiter(*this); }

 private:
  Proactor& proactor_;
  Awaiter* waiter_ = nullptr;
  bool set_ = false;
};

}  // namespace fairlead::io
