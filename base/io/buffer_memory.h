// The memory of one group of receive buffers: `count` pieces of `bytes`, mapped once.
#pragma once

#include <cstdint>
#include <utility>

#include "base/status.h"

namespace fairlead::io {

// `count` is a power of two up to 32768. An option, so that tests can run out of buffers.
struct BufferGroupSize {
  uint16_t count = 0;
  uint32_t bytes = 0;
};

class BufferMemory {
 public:
  BufferMemory() = default;
  BufferMemory(const BufferMemory&) = delete;
  BufferMemory& operator=(const BufferMemory&) = delete;
  ~BufferMemory();

  Status Map(const BufferGroupSize& size);
  uint8_t* operator[](uint16_t id) const { return memory_ + size_t{id} * size_.bytes; }
  uint16_t count() const { return size_.count; }
  uint32_t bytes() const { return size_.bytes; }

 private:
  uint8_t* memory_ = nullptr;
  BufferGroupSize size_;
};

}  // namespace fairlead::io
