// Bytes from stream to stream that never come up here: a pipe borrowed for the way, and waiting for either stream.
//
//   co_await StreamReady(proactor, source, StreamSide::kIn), then BorrowedPipe::Fill(source); until held() is 0:
//   DrainTo(sink), and on -EAGAIN co_await StreamReady(proactor, sink, StreamSide::kOut).
//
// The source must be Spliceable() (socket.h), the sink must not be sealed, and both have passed PrepareSplice().
#pragma once

#include "base/io/await.h"

namespace fairlead::io {

class BorrowedPipe {
 public:
  explicit BorrowedPipe(Proactor& proactor) : proactor_(proactor), pipe_(proactor.TakePipe()) {}
  BorrowedPipe(const BorrowedPipe&) = delete;
  BorrowedPipe& operator=(const BorrowedPipe&) = delete;
  ~BorrowedPipe() {
    if (pipe_) proactor_.ReturnPipe(pipe_);
  }
  explicit operator bool() const { return static_cast<bool>(pipe_); }  // false: none was to be had

  int Fill(int source) { return proactor_.SpliceIn(source, pipe_); }   // bytes, 0: receive to see why, or -errno
  int DrainTo(int sink) { return proactor_.SpliceOut(pipe_, sink); }   // bytes or -errno
  uint32_t held() const { return pipe_.held; }

 private:
  Proactor& proactor_;
  Pipe pipe_;
};

// Waits until it is worth trying again: at once where it is, and where the stream has ended or failed.
class StreamReady final : public FrameOperation<StreamReady> {
 public:
  StreamReady(Proactor& proactor, int fd, StreamSide side) : FrameOperation(proactor), fd_(fd), side_(side) {}
  void Submit() { proactor_.WaitStream(fd_, side_, *this); }
  bool Take(int32_t result) {
    result_ = result < 0 ? result : 0;
    return true;
  }

 private:
  int fd_;
  StreamSide side_;
};

}  // namespace fairlead::io
