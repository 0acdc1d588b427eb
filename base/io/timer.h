// Timers of one worker: a hierarchical wheel with ticks of 4.19 ms. Insert, remove and move are O(1). A timer fires at
// its time or up to two ticks late, never early. Not thread-safe.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace fairlead::io {

class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  bool linked() const { return next_ != nullptr; }
  Nanos when() const { return when_; }

 protected:
  ~Timer() = default;                // must not be linked
  virtual void OnTimer() = 0;        // unlinked already: may add itself again, or go away

 private:
  friend class TimerWheel;
  Timer* next_ = nullptr;
  Timer* prev_ = nullptr;
  Nanos when_ = 0;
};

class TimerWheel {
 public:
  explicit TimerWheel(Nanos now);
  TimerWheel(const TimerWheel&) = delete;
  ~TimerWheel();

  void Add(Timer& timer, Nanos when);
  void Remove(Timer& timer);            // no-op when not linked
  void Advance(Nanos now);              // fires what is due
  Nanos WaitFor(Nanos now) const;       // until there may be something to do; kNever: nothing is linked
  int64_t count() const { return count_; }

 private:
  static constexpr int kTickShift = 22;  // 2^22 ns
  static constexpr int kLevels = 4;
  static constexpr int kSlotBits = 6;
  static constexpr int kSlots = 1 << kSlotBits;
  class Slot final : public Timer {  // a list head
   public:
    void OnTimer() override {}
  };

  void Link(Timer& timer);
  static void Splice(Slot& from, Slot& to);
  void Expire(Slot& slot);
  void Cascade(Slot& slot);

  Slot slots_[kLevels][kSlots];
  int64_t tick_;
  int64_t count_ = 0;
  uint64_t busy_ = 0;  // level-0 slots that may hold timers
};

}  // namespace fairlead::io
