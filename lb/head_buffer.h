// Room for one head on its way out: 4 KiB from the pool, more from the heap for the rare large ones.
#pragma once

#include <memory>

#include "base/io/frame_pool.h"

namespace fairlead::lb {

inline constexpr size_t kMaxHeadBytes = 64 << 10;  // of a request (431) and of a response (502)

class HeadBuffer {
 public:
  static constexpr size_t kPooledBytes = 4096;

  HeadBuffer() = default;
  HeadBuffer(const HeadBuffer&) = delete;
  HeadBuffer& operator=(const HeadBuffer&) = delete;
  ~HeadBuffer() {
    if (pooled_ != nullptr) io::FramePool::Free(pooled_, kPooledBytes);
  }
  // Room for `bytes`; what was in it is lost.
  void Reserve(size_t bytes) {
    if (bytes <= kPooledBytes) {
      if (pooled_ == nullptr) pooled_ = static_cast<char*>(io::FramePool::Allocate(kPooledBytes));
      data_ = pooled_;
      capacity_ = kPooledBytes;
    } else {
      large_ = std::make_unique_for_overwrite<char[]>(bytes);
      data_ = large_.get();
      capacity_ = bytes;
    }
  }
  char* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  char* pooled_ = nullptr;
  std::unique_ptr<char[]> large_;
  char* data_ = nullptr;
  size_t capacity_ = 0;
};

}  // namespace fairlead::lb
