#include "base/sim/sim_world.h"

#include <algorithm>

#include "base/sim/sim_network.h"
#include "base/sim/sim_proactor.h"

namespace fairlead::sim {
namespace {

constexpr Nanos kTurnTime = kMicrosecond;  // a turn takes time: a loop that always has work cannot stop the clock

}  // namespace

SimWorld::SimWorld(uint64_t seed, const Faults& with)
    : faults(with), random_(seed), network_(std::make_unique<SimNetwork>(*this)) {}

SimWorld::~SimWorld() { CHECK(proactors_.empty()); }

void SimWorld::Add(SimProactor& proactor) { proactors_.push_back(&proactor); }
void SimWorld::Remove(SimProactor& proactor) { std::erase(proactors_, &proactor); }

void SimWorld::After(Nanos delay, std::function<void()> event) {
  events_.push({Now() + std::max<Nanos>(delay, 0), random_.Next(), ++events_made_, std::move(event)});
}

bool SimWorld::Occurs(uint32_t per_mille, uint64_t& count) {
  if (per_mille == 0 || random_.Below(1000) >= per_mille) return false;
  ++count;
  return true;
}

// FNV-1a over words, with the time of each.
void SimWorld::Trace(uint64_t what) {
  for (uint64_t word : {static_cast<uint64_t>(Now()), what}) trace_ = (trace_ ^ word) * 0x100000001b3;
}

void SimWorld::MoveTo(Nanos when) {
  if (when > Now()) clock_.Advance(when - Now());
}

SimProactor* SimWorld::Earliest(const SimProactor* but_not, Nanos* when) {
  SimProactor* earliest = nullptr;
  *when = kNever;
  uint64_t ties = 1;
  for (SimProactor* proactor : proactors_) {
    if (proactor == but_not) continue;
    Nanos wake = std::max(proactor->WakeTime(), Now());
    if (wake == kNever || wake > *when) continue;
    ties = wake == *when ? ties + 1 : 1;
    if (ties > 1 && !random_.OneIn(ties)) continue;  // each of those due at once is as likely
    earliest = proactor;
    *when = wake;
  }
  return earliest;
}

bool SimWorld::Step(Nanos limit, const SimProactor* but_not) {
  Nanos turn_at;
  SimProactor* proactor = Earliest(but_not, &turn_at);
  Nanos event_at = events_.empty() ? kNever : events_.top().when;
  if (std::min(turn_at, event_at) > limit) {
    MoveTo(limit);
    return false;
  }
  ++steps_;
  if (event_at <= turn_at) {
    MoveTo(event_at);
    auto run = std::move(const_cast<Event&>(events_.top()).run);  // it is popped at once
    events_.pop();
    run();
  } else {
    MoveTo(turn_at);
    proactor->RunTurn();
    proactor->busy_until_ = Now() + kTurnTime;
  }
  return true;
}

void SimWorld::TurnOne(SimProactor& proactor, Nanos max_wait) {
  CHECK(!running_);
  running_ = true;
  proactor.Enter();
  Nanos until = max_wait > kNever - Now() ? kNever - 1 : Now() + std::max(max_wait, kTurnTime);
  while (Step(std::min(until, std::max(proactor.WakeTime(), Now())), &proactor)) {
  }
  proactor.RunTurn();
  running_ = false;
}

void SimWorld::Run(Nanos duration) {
  RunUntil([] { return false; }, duration);
}

bool SimWorld::RunUntil(const std::function<bool()>& condition, Nanos limit) {
  CHECK(!running_);
  running_ = true;
  const Nanos end = Now() + limit;
  bool held = condition();
  while (!held && Step(end, nullptr)) held = condition();
  running_ = false;
  return held;
}

}  // namespace fairlead::sim
