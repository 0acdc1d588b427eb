#include "base/clock.h"

#include <ctime>

namespace fairlead {
namespace {

Nanos Read(clockid_t id) {
  timespec t;
  clock_gettime(id, &t);
  return t.tv_sec * kSecond + t.tv_nsec;
}

}  // namespace

Nanos SystemClock::Now() const { return Read(CLOCK_MONOTONIC); }
Nanos SystemClock::WallNow() const { return Read(CLOCK_REALTIME); }

}  // namespace fairlead
