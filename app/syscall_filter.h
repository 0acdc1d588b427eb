// A filter of system calls (seccomp) for a program that parses what comes from the network: what it does not need it cannot
// do, whoever has taken it over. What goes through an io_uring is not seen by it (docs/threat-model.md).
#pragma once

#include "base/status.h"

namespace fairlead::app {

inline constexpr int kForbiddenCallExit = 159;  // 128 + SIGSYS

// Sanitizers make calls and processes of their own: their builds have no filter.
inline constexpr bool kFiltersSystemCalls =
    !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer);

// From now on, for all threads, those that run already too: calls of the list in the .cc alone. Programs, processes, tracing and
// mounting end the process with kForbiddenCallExit and a line in the log; every other call fails with EPERM. After rings are
// made and privileges are dropped.
Status ConfineSystemCalls();

}  // namespace fairlead::app
