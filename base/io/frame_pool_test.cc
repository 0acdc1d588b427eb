#include "base/io/frame_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace fairlead::io {
namespace {

TEST(FramePool, PiecesAreDistinctAndAligned) {
  std::set<void*> pieces;
  for (int i = 0; i < 100; i++) {
    void* p = FramePool::Allocate(200);
    std::memset(p, 0xab, 200);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % alignof(std::max_align_t), 0u);
    EXPECT_TRUE(pieces.insert(p).second);
  }
  EXPECT_EQ(FramePool::live(), 100);
  for (void* p : pieces) FramePool::Free(p, 200);
  EXPECT_EQ(FramePool::live(), 0);
}

TEST(FramePool, CountsPiecesBeyondItsClasses) {
  void* large = FramePool::Allocate(1 << 20);
  std::memset(large, 0, 1 << 20);
  EXPECT_EQ(FramePool::live(), 1);
  FramePool::Free(large, 1 << 20);
  EXPECT_EQ(FramePool::live(), 0);
}

#if !__has_feature(address_sanitizer)  // there every piece is malloc's
TEST(FramePool, FreedPieceServesTheNextOfItsClass) {
  void* a = FramePool::Allocate(65);
  FramePool::Free(a, 65);
  uint64_t misses = FramePool::misses();
  void* b = FramePool::Allocate(80);
  EXPECT_EQ(a, b);
  EXPECT_EQ(FramePool::misses(), misses);
  FramePool::Free(b, 80);
}
#endif

TEST(FramePool, PieceMayEndOnAnotherThread) {
  void* p = FramePool::Allocate(64);
  std::thread([p] { FramePool::Free(p, 64); }).join();
  EXPECT_EQ(FramePool::live(), 1);  // counted per thread
  void* q = nullptr;
  std::thread([&q] { q = FramePool::Allocate(64); }).join();
  FramePool::Free(q, 64);
  EXPECT_EQ(FramePool::live(), 0);
}

}  // namespace
}  // namespace fairlead::io
