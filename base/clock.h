// Clock is the only source of time, so that everything above it runs in the simulator. Thread-safe.
#pragma once

#include "base/time.h"

namespace fairlead {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Nanos Now() const = 0;      // monotonic; comparable within one boot only
  virtual Nanos WallNow() const = 0;  // since the Unix epoch; may jump: for people and for records, never for order
};

class SystemClock final : public Clock {
 public:
  Nanos Now() const override;
  Nanos WallNow() const override;
};

// A clock that stands still until a test moves it.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Nanos start_wall = 1'700'000'000 * kSecond) : wall_offset_(start_wall) {}
  Nanos Now() const override { return now_; }
  Nanos WallNow() const override { return now_ + wall_offset_; }
  void Advance(Nanos by) { now_ += by; }
  void JumpWall(Nanos by) { wall_offset_ += by; }

 private:
  Nanos now_ = kSecond;
  Nanos wall_offset_;
};

}  // namespace fairlead
