// SignalWaiter takes signals out of the loop (signalfd) instead of a handler. Make it before any other thread starts:
// it blocks its signals in the calling thread, and threads inherit that.
#pragma once

#include <initializer_list>

#include "base/io/await.h"

namespace fairlead::io {

class SignalWaiter {
 public:
  static StatusOr<SignalWaiter> Open(Proactor& proactor, std::initializer_list<int> signals);
  SignalWaiter(SignalWaiter&& other) noexcept : proactor_(other.proactor_), fd_(std::exchange(other.fd_, -1)) {}
  SignalWaiter& operator=(SignalWaiter&&) = delete;
  ~SignalWaiter();

  // The number of the next signal, or the reason of a cancellation. Signals that come before the wait are kept; equal
  // ones may arrive as one (for SIGCHLD: reap until nobody is left).
  Task<IoResult> Next();

 private:
  SignalWaiter(Proactor& proactor, int fd) : proactor_(&proactor), fd_(fd) {}

  Proactor* proactor_;
  int fd_;
};

}  // namespace fairlead::io
