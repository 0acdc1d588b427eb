#include "base/io/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

namespace fairlead::io {
namespace {

void ClosePipe(const Pipe& pipe) {
  close(pipe.read_end);
  close(pipe.write_end);
}

// A user has so many pages for the pipes of all processes: who is beyond gets small ones.
Pipe OpenPipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return {};
  Pipe pipe{.read_end = ends[0], .write_end = ends[1]};
  int bytes = fcntl(pipe.write_end, F_SETPIPE_SZ, PipePool::kBytes);
  if (bytes < 0) bytes = fcntl(pipe.write_end, F_GETPIPE_SZ);
  if (bytes >= static_cast<int>(PipePool::kMinBytes)) return pipe;
  ClosePipe(pipe);
  return {};
}

}  // namespace

PipePool::~PipePool() {
  for (const Pipe& pipe : kept_) ClosePipe(pipe);
}

Pipe PipePool::Take() {
  if (lent_ == kMaxLent) return {};
  Pipe pipe;
  if (kept_.empty()) {
    pipe = OpenPipe();
  } else {
    pipe = kept_.back();
    kept_.pop_back();
  }
  if (pipe) ++lent_;
  return pipe;
}

void PipePool::Return(Pipe pipe) {
  --lent_;
  if (pipe.held == 0 && kept_.size() < kMaxKept) {
    kept_.push_back(pipe);
  } else {
    ClosePipe(pipe);
  }
}

}  // namespace fairlead::io
