#include "base/duration.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/strings.h"

namespace fairlead {
namespace {

struct Unit {
  std::string_view name;
  Nanos nanos;
};
constexpr Unit kUnits[] = {{"h", kHour}, {"m", kMinute}, {"s", kSecond}, {"ms", kMillisecond}, {"us", kMicrosecond}, {"ns", 1}};
// Understood, never written: a day of 24 hours is no calendar's day.
constexpr Unit kOtherUnits[] = {{"d", 24 * kHour}, {"\xc2\xb5s", kMicrosecond}};

// The unit at the beginning of `text`, which loses it; 0: there is none.
Nanos TakeUnit(std::string_view& text) {
  const std::string_view name = text.substr(0, text.find_first_of("0123456789."));
  text.remove_prefix(name.size());
  for (const std::span<const Unit> units : {std::span<const Unit>(kUnits), std::span<const Unit>(kOtherUnits)})
    for (const Unit& unit : units)
      if (unit.name == name) return unit.nanos;
  return 0;
}

}  // namespace

std::optional<Nanos> ReadDuration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const bool bare = text.find_first_not_of("0123456789") == text.npos;
  double sum = 0;
  while (!text.empty()) {
    const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto number = ParseNumber<double>(text.substr(0, digits));
    text.remove_prefix(digits);
    const Nanos unit = bare ? kSecond : TakeUnit(text);
    if (!number || unit == 0) return std::nullopt;
    sum += *number * static_cast<double>(unit);
  }
  if (!(sum < static_cast<double>(kNever))) return std::nullopt;
  return static_cast<Nanos>(std::llround(sum));
}

std::string FormatDuration(Nanos duration) {
  if (duration == kNever) return "forever";
  std::string text;
  for (const Unit& unit : kUnits) {
    if (duration < unit.nanos) continue;
    text += Cat(duration / unit.nanos, unit.name);
    duration %= unit.nanos;
  }
  return text.empty() ? "0s" : text;
}

}  // namespace fairlead
