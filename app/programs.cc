#include "app/programs.h"

#include <sys/resource.h>

#include <cstdio>

namespace fairlead::app {

int ExitCodeOf(const Status& status) {
  switch (status.code()) {
    case StatusCode::kOk: return 0;
    case StatusCode::kInvalidArgument: return 2;
    case StatusCode::kNotFound: return 3;
    case StatusCode::kAlreadyExists:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kAborted:
    case StatusCode::kResourceExhausted: return 4;
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded: return 5;
    case StatusCode::kPermissionDenied:
    case StatusCode::kUnauthenticated: return 6;
    default: return 1;
  }
}

int Fail(const Status& status) {
  std::string message(Message(status));
  std::fprintf(stderr, "fairlead: %s\n", message.c_str());
  return ExitCodeOf(status);
}

void RaiseDescriptorLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace fairlead::app
