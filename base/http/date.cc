#include "base/http/date.h"

#include <chrono>
#include <cstdio>

namespace fairlead::http {

std::string HttpDate(Nanos wall) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::chrono::sys_seconds time{std::chrono::seconds(wall / kSecond)};
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(time - day);
  char text[64];
  int bytes = std::snprintf(text, sizeof text, "%s, %02u %s %04d %02d:%02d:%02d GMT",
                            kDays[std::chrono::weekday(day).c_encoding()], static_cast<unsigned>(date.day()),
                            kMonths[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                            static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                            static_cast<int>(clock.seconds().count()));
  return std::string(text, static_cast<size_t>(bytes));
}

}  // namespace fairlead::http
