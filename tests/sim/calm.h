// Calm: when requests of a scope may fail, because something was done to them. Outside of these times each one must succeed.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"

namespace fairlead::fleet {

class Calm {
 public:
  static constexpr const char* kHttp = "http";
  static constexpr const char* kDns = "dns";

  explicit Calm(const Clock& clock) : clock_(clock) {}

  // From now on, until End(), of that scope.
  void Disturb(const std::string& scope) {
    if (!Open(scope)) times_.push_back({scope, clock_.Now(), kNever});
  }
  // Calm again `margin` from now.
  void End(const std::string& scope, Nanos margin) {
    for (Time& time : times_)
      if (time.scope == scope && time.to == kNever) time.to = clock_.Now() + margin;
  }
  bool Open(const std::string& scope) const {
    for (const Time& time : times_)
      if (time.scope == scope && time.to == kNever) return true;
    return false;
  }
  bool Held(const std::string& scope, Nanos from) const {
    for (const Time& time : times_)
      if (time.scope == scope && time.to >= from) return false;
    return true;
  }

 private:
  struct Time {
    std::string scope;
    Nanos from, to;
  };
  const Clock& clock_;
  std::vector<Time> times_;
};

}  // namespace fairlead::fleet
