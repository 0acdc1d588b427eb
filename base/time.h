// Time is a count of nanoseconds: a duration, or a point on the monotonic clock (Clock::Now) or since the Unix epoch
// (Clock::WallNow). A name says which; wall times end in `_wall`.
#pragma once

#include <cstdint>

namespace fairlead {

using Nanos = int64_t;

inline constexpr Nanos kMicrosecond = 1'000;
inline constexpr Nanos kMillisecond = 1'000'000;
inline constexpr Nanos kSecond = 1'000'000'000;
inline constexpr Nanos kMinute = 60 * kSecond;
inline constexpr Nanos kHour = 60 * kMinute;
inline constexpr Nanos kNever = INT64_MAX;

}  // namespace fairlead
