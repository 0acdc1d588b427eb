#include "base/io/frame_pool.h"

#include <cstdlib>
#include <utility>

#include "base/check.h"

namespace fairlead::io {
namespace {

[[maybe_unused]] constexpr size_t kGrain = alignof(std::max_align_t);
constexpr size_t kClasses = 4096 / kGrain + 1;  // up to 4 KiB; larger pieces go to malloc
[[maybe_unused]] constexpr size_t kSlab = 64 << 10;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAIRLEAD_NO_FRAME_POOL 1
#endif
#endif

struct Piece {
  Piece* next;
};

// Pieces are cut from slabs, one behind the other: an idle connection is three of them, and each would carry a header of
// malloc's. A slab is never freed, since its pieces may have wandered to other threads.
struct Lists {
  Piece* free[kClasses] = {};
  char* slab = nullptr;
  size_t slab_left = 0;
  int64_t live = 0;
  uint64_t misses = 0;
};

thread_local Lists lists;

void* Malloc(size_t bytes) {
  void* p = std::malloc(bytes);
  CHECK(p != nullptr);
  return p;
}

[[maybe_unused]] void* Cut(size_t bytes) {
  if (lists.slab_left < bytes) {  // what is left of the old one, less than 4 KiB, is lost
    lists.slab = static_cast<char*>(Malloc(kSlab));
    lists.slab_left = kSlab;
  }
  lists.slab_left -= bytes;
  return std::exchange(lists.slab, lists.slab + bytes);
}

}  // namespace

void* FramePool::Allocate(size_t bytes) {
  ++lists.live;
#ifndef FAIRLEAD_NO_FRAME_POOL
  size_t c = (bytes + kGrain - 1) / kGrain;
  if (c < kClasses) [[likely]] {
    if (Piece* p = lists.free[c]) {
      lists.free[c] = p->next;
      return p;
    }
    ++lists.misses;
    return Cut(c * kGrain);
  }
#endif
  ++lists.misses;
  return Malloc(bytes);
}

void FramePool::Free(void* p, [[maybe_unused]] size_t bytes) {
  --lists.live;
#ifndef FAIRLEAD_NO_FRAME_POOL
  size_t c = (bytes + kGrain - 1) / kGrain;
  if (c < kClasses) {
    auto* piece = static_cast<Piece*>(p);
    piece->next = lists.free[c];
    lists.free[c] = piece;
    return;
  }
#endif
  std::free(p);
}

int64_t FramePool::live() { return lists.live; }
uint64_t FramePool::misses() { return lists.misses; }

}  // namespace fairlead::io
