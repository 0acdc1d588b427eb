// UnixStream: a connection over a unix socket whose every wait ends at an absolute deadline (MonotonicNow). Blocking;
// belongs to one thread. Its descriptor is not inherited by a program that is exec'd.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "base/time.h"

namespace fairlead::programs {

class UnixStream {
 public:
  // Unavailable: nobody listens there. DeadlineExceeded: its backlog stays full.
  static StatusOr<UnixStream> Connect(const std::string& path, Nanos deadline);
  explicit UnixStream(int fd) : fd_(fd) {}            // takes it over
  UnixStream(UnixStream&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UnixStream& operator=(UnixStream&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UnixStream();

  Status SendAll(std::string_view bytes, Nanos deadline);
  // Number of bytes; 0: the peer has closed. Unavailable: it reset the connection.
  StatusOr<size_t> Receive(char* into, size_t size, Nanos deadline);

 private:
  Status WaitFor(short events, Nanos deadline) const;

  int fd_;
};

}  // namespace fairlead::programs
