// Durations as people write them: "1m30s", "1.5s", "500ms", "168h", "7d", or a bare number of seconds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace fairlead {

std::optional<Nanos> ReadDuration(std::string_view text);
std::string FormatDuration(Nanos duration);  // "1m30s"; kNever is "forever"

}  // namespace fairlead
