#include "discovery/health/verdict.h"

#include <algorithm>

namespace fairlead::health {

using discovery::CheckedHealth;
using discovery::CheckKind;
using discovery::HealthState;

Verdict::Verdict(discovery::HealthCheck check, Nanos now_wall, const CheckedHealth& known) : check_(std::move(check)) {
  check_.rise = std::max(check_.rise, 1U);
  check_.fall = std::max(check_.fall, 1U);
  check_.interval = std::max(check_.interval, kMinInterval);
  health_ = {.state = HealthState::kStarting, .was_healthy = known.was_healthy, .reason = "not looked at yet", .since_wall = now_wall};
  if (known.state == HealthState::kHealthy || known.state == HealthState::kUnhealthy) health_ = known;
}

HealthState Verdict::AfterBad(Answer answer) const {
  const bool settled = bad_ >= check_.fall;
  if (answer == Answer::kSilent && !health_.answered) return settled ? HealthState::kUnknown : health_.state;
  // Without a check nobody says that it has to listen by now.
  if (check_.kind == CheckKind::kReachable) return HealthState::kStarting;
  return settled ? HealthState::kUnhealthy : health_.state;
}

bool Verdict::Count(const ProbeOutcome& outcome, Nanos now_wall) {
  const CheckedHealth before = health_;
  const bool good = outcome.answer == Answer::kGood;
  health_.answered = health_.answered || outcome.answer != Answer::kSilent;
  good_ = good ? good_ + 1 : 0;
  bad_ = good ? 0 : bad_ + 1;
  if (!good) {
    Become(AfterBad(outcome.answer), now_wall);
  } else if (health_.state != HealthState::kUnhealthy || good_ >= check_.rise) {
    Become(HealthState::kHealthy, now_wall);
  }
  // A healthy endpoint's single failures are no news for anybody.
  if (health_.state == HealthState::kHealthy) {
    health_.reason.clear();
    health_.refused = false;
  } else if (!good) {
    health_.reason = outcome.reason;
    health_.refused = outcome.answer == Answer::kRefused;
  }
  return health_ != before;
}

void Verdict::Become(HealthState state, Nanos now_wall) {
  if (state == health_.state) return;
  health_.state = state;
  health_.was_healthy = health_.was_healthy || state == HealthState::kHealthy;
  health_.since_wall = now_wall;
}

Nanos Verdict::NextPause() const {
  if (check_.kind == CheckKind::kReachable && health_.state == HealthState::kHealthy) return kNever;
  if (health_.state != HealthState::kStarting) return check_.interval;
  const Nanos pause = kFirstPause << std::min(bad_, 10U);
  return std::min(pause, std::min(kLongestStartPause, check_.interval));
}

}  // namespace fairlead::health
