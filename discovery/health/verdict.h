// Verdict: what a row of answers means for one endpoint. Pure state, without I/O and time of its own.
//
// The first good answer makes it healthy. After that `fall` bad ones in a row make it unhealthy and `rise` good ones
// healthy again. Silence counts as bad only where something has answered before: until then the agent may just have no
// way there, and after `fall` times says so (kUnknown), so that balancers look themselves.
#pragma once

#include "base/time.h"
#include "discovery/health/probe.h"
#include "discovery/row.h"

namespace fairlead::health {

class Verdict {
 public:
  static constexpr Nanos kFirstPause = 20 * kMillisecond;  // between looks at an application that starts; doubles
  static constexpr Nanos kLongestStartPause = 1 * kSecond;
  static constexpr Nanos kMinInterval = 100 * kMillisecond;

  // `known`: what somebody found healthy or unhealthy before us stands until `fall` or `rise` looks say otherwise.
  Verdict(discovery::HealthCheck check, Nanos now_wall, const discovery::CheckedHealth& known = {});

  // True when it changed what is told: state, reason or whether it refuses.
  bool Count(const ProbeOutcome& outcome, Nanos now_wall);
  const discovery::CheckedHealth& health() const { return health_; }
  const discovery::HealthCheck& check() const { return check_; }
  // The pause until the next look; kNever when none is wanted any more.
  Nanos NextPause() const;

 private:
  void Become(discovery::HealthState state, Nanos now_wall);
  discovery::HealthState AfterBad(Answer answer) const;

  discovery::HealthCheck check_;
  discovery::CheckedHealth health_;
  uint32_t good_ = 0, bad_ = 0;    // in a row
};

}  // namespace fairlead::health
