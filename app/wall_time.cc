#include "app/wall_time.h"

#include <chrono>
#include <cstdio>
#include <ctime>

#include "base/strings.h"

namespace fairlead::app {
namespace {

constexpr int64_t kDaySeconds = 86'400;

}  // namespace

std::string FormatTime(Nanos wall) {
  int64_t seconds = wall / kSecond;
  std::chrono::sys_days day{std::chrono::days(seconds / kDaySeconds)};
  std::chrono::year_month_day date(day);
  int64_t in_day = seconds % kDaySeconds;
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(in_day / 3600),
                static_cast<int>(in_day / 60 % 60), static_cast<int>(in_day % 60));
  return text;
}

std::optional<Nanos> ParseTime(std::string_view text) {
  if (text.size() != 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text[19] != 'Z')
    return std::nullopt;
  auto year = ParseNumber<int>(text.substr(0, 4));
  auto month = ParseNumber<unsigned>(text.substr(5, 2)), day = ParseNumber<unsigned>(text.substr(8, 2));
  auto hour = ParseNumber<int64_t>(text.substr(11, 2)), minute = ParseNumber<int64_t>(text.substr(14, 2)),
       second = ParseNumber<int64_t>(text.substr(17, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (days * kDaySeconds + *hour * 3600 + *minute * 60 + *second) * kSecond;
}

std::optional<Nanos> ParseMoment(const std::string& text, Nanos now_wall) {
  if (auto exact = ParseTime(text)) return exact;
  const time_t now = now_wall / kSecond;
  std::tm local{};
  localtime_r(&now, &local);
  bool whole = true;
  auto reads = [&](const char* format) {
    const char* end = strptime(text.c_str(), format, &local);
    return end != nullptr && *end == '\0';
  };
  local.tm_sec = 0;
  if (!reads("%Y-%m-%d %H:%M:%S") && !reads("%Y-%m-%d %H:%M")) {
    localtime_r(&now, &local);
    local.tm_sec = 0;
    if (!reads("%H:%M:%S") && !reads("%H:%M")) return std::nullopt;
    whole = false;
  }
  local.tm_isdst = -1;
  time_t moment = mktime(&local);
  if (!whole && moment > now) {
    local.tm_mday--;
    moment = mktime(&local);
  }
  return moment * kSecond;
}

std::string FormatAge(Nanos age) {
  struct Unit {
    char name;
    int64_t seconds;
  };
  constexpr Unit kUnits[] = {{'d', kDaySeconds}, {'h', 3600}, {'m', 60}, {'s', 1}};
  int64_t left = age > 0 ? age / kSecond : 0;
  for (size_t i = 0; i < std::size(kUnits); i++) {
    if (left < kUnits[i].seconds) continue;
    std::string text = Cat(left / kUnits[i].seconds, kUnits[i].name);
    int64_t rest = i + 1 < std::size(kUnits) ? left % kUnits[i].seconds / kUnits[i + 1].seconds : 0;
    return rest == 0 ? text : Cat(text, rest, kUnits[i + 1].name);
  }
  return "0s";
}

}  // namespace fairlead::app
