#include "base/io/buffer_memory.h"

#include <sys/mman.h>

#include <bit>
#include <cerrno>

#include "base/check.h"

namespace fairlead::io {

Status BufferMemory::Map(const BufferGroupSize& size) {
  CHECK(std::has_single_bit(size.count) && size.count <= 32768 && size.bytes > 0);
  size_t total = size_t{size.count} * size.bytes;
  void* memory = mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, Cat("map ", total, " bytes of receive buffers"));
  memory_ = static_cast<uint8_t*>(memory);
  size_ = size;
  return OkStatus();
}

BufferMemory::~BufferMemory() {
  if (memory_ != nullptr) munmap(memory_, size_t{size_.count} * size_.bytes);
}

}  // namespace fairlead::io
