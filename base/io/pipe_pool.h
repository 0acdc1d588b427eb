// PipePool: the pipes of one proactor. A flow borrows one while bytes are on their way and gives it back empty, so the pool
// holds as many as are needed at once: one, and one for each receiver that is stuck.
#pragma once

#include <vector>

#include "base/io/proactor.h"

namespace fairlead::io {

class PipePool {
 public:
  // Of a pipe, where the system allows (/proc/sys/fs/pipe-*): one of 256 KiB costs 1.5 times the CPU per byte.
  static constexpr uint32_t kBytes = 1 << 20;
  static constexpr uint32_t kMinBytes = 64 << 10;   // below, copying is as cheap
  static constexpr size_t kMaxLent = 64;
  static constexpr size_t kMaxKept = 4;             // empty ones, for the next flow

  PipePool() = default;
  PipePool(const PipePool&) = delete;
  PipePool& operator=(const PipePool&) = delete;
  ~PipePool();

  Pipe Take();             // empty; none when all are lent, or the system refuses
  void Return(Pipe pipe);  // closes one that holds bytes: they are nobody else's

 private:
  std::vector<Pipe> kept_;
  size_t lent_ = 0;
};

}  // namespace fairlead::io
