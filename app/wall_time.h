// Points of the wall clock as scripts and people read them: RFC 3339 in JSON, ages in tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace fairlead::app {

std::string FormatTime(Nanos wall);                       // "2026-11-21T03:04:22Z", whole seconds
std::optional<Nanos> ParseTime(std::string_view text);    // what FormatTime gives
// What a person says: the same, or of the local clock "2026-11-21 14:03", "14:03:20", "14:03" (the last time it was that).
std::optional<Nanos> ParseMoment(const std::string& text, Nanos now_wall);
// The two largest units: "12s", "3m5s", "2h10m", "4d3h". A time in the future (clocks differ) is "0s".
std::string FormatAge(Nanos age);

}  // namespace fairlead::app
