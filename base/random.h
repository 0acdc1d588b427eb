// Random is the only source of randomness. A seeded one replays; SystemRandom is unpredictable (ids, ports, epochs).
#pragma once

#include <cstdint>

#include "base/check.h"

namespace fairlead {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t Next() = 0;

  // Uniform in [0, bound); bound > 0. Lemire's multiply-shift: the bias is below 2^-32 for the bounds used here.
  uint64_t Below(uint64_t bound) {
    CHECK(bound > 0);
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
};

// xoshiro256** seeded by splitmix64 (Blackman and Vigna, 2018). Not thread-safe.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed);
  uint64_t Next() override;

 private:
  uint64_t s_[4];
};

// getrandom(2), 256 bytes at a time. Not thread-safe.
class SystemRandom final : public Random {
 public:
  uint64_t Next() override;

 private:
  uint64_t pool_[32];
  unsigned left_ = 0;
};

}  // namespace fairlead
