// Memory of coroutine frames, sockets and request buffers: free lists per thread in classes of 16 bytes, so that a
// request allocates nothing. Under AddressSanitizer every piece comes from malloc, or it would see nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fairlead::io {

class FramePool {
 public:
  static void* Allocate(size_t bytes);
  static void Free(void* p, size_t bytes);   // the same `bytes`; on any thread
  static int64_t live();                     // pieces of this thread that are out; tests compare it with 0
  static uint64_t misses();                  // how often the free lists of this thread had nothing to give
};

}  // namespace fairlead::io
