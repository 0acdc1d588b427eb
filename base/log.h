// LOG(kInfo, "lease acquired", {"pool", pool}, {"address", ip}): one event, fixed text, fields. Written as one logfmt
// line to stderr. State changes are logged once; what happens per request is counted (base/metrics.h), not logged.
// Thread-safe.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/strings.h"

namespace fairlead {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogField {
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <class T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view k, T v) : key(k), value(Cat(v)) {}

  std::string_view key;
  std::string value;
};

void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
void SetLogLevel(LogLevel level);
// Names the program in every line ("agent", "lb"). Called once, before the first line.
void SetLogProgram(std::string_view program);

}  // namespace fairlead

#define LOG(level, event, ...) ::fairlead::Log(::fairlead::LogLevel::level, event, {__VA_ARGS__})
