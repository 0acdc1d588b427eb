// CHECK states a fact about our own code and stays on in production. Input never reaches a CHECK: it gets a Status.
#pragma once

namespace fairlead {

[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);

}  // namespace fairlead

#define CHECK(condition)                                                            \
  do {                                                                              \
    if (!(condition)) [[unlikely]]                                                  \
      ::fairlead::CheckFailed(#condition, __FILE__, __LINE__);                      \
  } while (false)
