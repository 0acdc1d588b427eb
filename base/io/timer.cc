#include "base/io/timer.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace fairlead::io {

TimerWheel::TimerWheel(Nanos now) : tick_(now >> kTickShift) {
  for (auto& level : slots_)
    for (Slot& slot : level) slot.next_ = slot.prev_ = &slot;
}

TimerWheel::~TimerWheel() { CHECK(count_ == 0); }

void TimerWheel::Add(Timer& timer, Nanos when) {
  CHECK(!timer.linked());
  timer.when_ = when;
  ++count_;
  Link(timer);
}

void TimerWheel::Remove(Timer& timer) {
  if (!timer.linked()) return;
  --count_;
  timer.prev_->next_ = timer.next_;
  timer.next_->prev_ = timer.prev_;
  timer.next_ = timer.prev_ = nullptr;
}

Nanos TimerWheel::WaitFor(Nanos now) const {
  if (count_ == 0) return kNever;
  int position = static_cast<int>(tick_ & (kSlots - 1));
  uint64_t ahead = std::rotr(busy_, position);  // bit i: slot of tick_ + i
  // The next multiple of 64 moves timers down from the upper levels, so the wait never passes it.
  int to_cascade = (kSlots - position) % kSlots;
  int ticks = ahead != 0 ? std::countr_zero(ahead) : kSlots - 1;
  if (to_cascade != 0) ticks = std::min(ticks, to_cascade);
  return std::max<Nanos>(((tick_ + ticks + 1) << kTickShift) - now, 0);
}

void TimerWheel::Advance(Nanos now) {
  int64_t to = now >> kTickShift;
  if (count_ == 0) {  // nothing to fire on the way: after a long sleep, jump
    tick_ = std::max(tick_, to);
    busy_ = 0;
    return;
  }
  while (tick_ < to) {
    int64_t index = tick_ & (kSlots - 1);
    if ((busy_ >> index) == 0) {  // nothing before the next cascade: on to its last tick
      tick_ = std::min(to, tick_ | (kSlots - 1));
      if (tick_ == to) break;
      index = kSlots - 1;
    }
    busy_ &= ~(uint64_t{1} << index);
    Slot due;  // taken out first: what fires may add timers to this very slot, for the next round
    due.next_ = due.prev_ = &due;
    Splice(slots_[0][index], due);
    ++tick_;
    for (int level = 1; level < kLevels && ((tick_ >> (kSlotBits * (level - 1))) & (kSlots - 1)) == 0; level++)
      Cascade(slots_[level][(tick_ >> (kSlotBits * level)) & (kSlots - 1)]);
    Expire(due);
  }
}

void TimerWheel::Splice(Slot& from, Slot& to) {
  if (from.next_ == &from) return;
  to.next_ = from.next_;
  to.prev_ = from.prev_;
  to.next_->prev_ = &to;
  to.prev_->next_ = &to;
  from.next_ = from.prev_ = &from;
}

void TimerWheel::Link(Timer& timer) {
  int64_t due = std::max(timer.when_ >> kTickShift, tick_);
  int64_t distance = due - tick_;
  int level = 0;
  while (level < kLevels - 1 && distance >= (int64_t{1} << (kSlotBits * (level + 1)))) level++;
  constexpr int64_t kHorizon = int64_t{1} << (kSlotBits * kLevels);  // 19 hours: beyond it a timer is linked anew
  if (distance >= kHorizon) due = tick_ + kHorizon - 1;
  int64_t index = (due >> (kSlotBits * level)) & (kSlots - 1);
  if (level == 0) busy_ |= uint64_t{1} << index;
  Slot& slot = slots_[level][index];
  timer.prev_ = slot.prev_;
  timer.next_ = &slot;
  slot.prev_->next_ = &timer;
  slot.prev_ = &timer;
}

void TimerWheel::Expire(Slot& slot) {
  while (slot.next_ != &slot) {
    Timer& timer = *slot.next_;
    Remove(timer);
    timer.OnTimer();
  }
}

void TimerWheel::Cascade(Slot& slot) {
  Timer* timer = slot.next_;
  slot.next_ = slot.prev_ = &slot;
  while (timer != &slot) {
    Timer* next = timer->next_;
    Link(*timer);
    timer = next;
  }
}

}  // namespace fairlead::io
