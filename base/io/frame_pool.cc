#include "base/io/frame_pool.h"

#include <cstdlib>

#include "base/check.h"

namespace fairlead::io {
namespace {

[[maybe_unused]] constexpr size_t kGrain = 64;
constexpr size_t kClasses = 65;  // up to 4 KiB; larger pieces go to malloc

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FAIRLEAD_NO_FRAME_POOL 1
#endif
#endif

struct Piece {
  Piece* next;
};

struct Lists {
  Piece* free[kClasses] = {};
  int64_t live = 0;
  uint64_t mallocs = 0;
  ~Lists() {
    for (Piece*& list : free)
      while (Piece* p = list) {
        list = p->next;
        std::free(p);
      }
  }
};

thread_local Lists lists;

}  // namespace

void* FramePool::Allocate(size_t bytes) {
  ++lists.live;
#ifndef FAIRLEAD_NO_FRAME_POOL
  size_t c = (bytes + kGrain - 1) / kGrain;
  if (c < kClasses) {
    if (Piece* p = lists.free[c]) {
      lists.free[c] = p->next;
      return p;
    }
    bytes = c * kGrain;
  }
#endif
  ++lists.mallocs;
  void* p = std::malloc(bytes);
  CHECK(p != nullptr);
  return p;
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
uint64_t FramePool::mallocs() { return lists.mallocs; }

}  // namespace fairlead::io
