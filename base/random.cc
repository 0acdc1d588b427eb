#include "base/random.h"

#include <sys/random.h>

#include <bit>

namespace fairlead {

SeededRandom::SeededRandom(uint64_t seed) {
  for (uint64_t& s : s_) {
    uint64_t z = (seed += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    s = z ^ (z >> 31);
  }
}

uint64_t SeededRandom::Next() {
  uint64_t result = std::rotl(s_[1] * 5, 7) * 9;
  uint64_t t = s_[1] << 17;
  s_[2] ^= s_[0];
  s_[3] ^= s_[1];
  s_[1] ^= s_[2];
  s_[0] ^= s_[3];
  s_[2] ^= t;
  s_[3] = std::rotl(s_[3], 45);
  return result;
}

uint64_t SystemRandom::Next() {
  if (left_ == 0) {
    CHECK(getrandom(pool_, sizeof pool_, 0) == sizeof pool_);
    left_ = 32;
  }
  return pool_[--left_];
}

}  // namespace fairlead
