#include "base/status.h"

#include <cerrno>
#include <system_error>

namespace fairlead {

std::string_view CodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk: return "OK";
    case StatusCode::kCancelled: return "CANCELLED";
    case StatusCode::kInvalidArgument: return "INVALID_ARGUMENT";
    case StatusCode::kDeadlineExceeded: return "DEADLINE_EXCEEDED";
    case StatusCode::kNotFound: return "NOT_FOUND";
    case StatusCode::kAlreadyExists: return "ALREADY_EXISTS";
    case StatusCode::kPermissionDenied: return "PERMISSION_DENIED";
    case StatusCode::kResourceExhausted: return "RESOURCE_EXHAUSTED";
    case StatusCode::kFailedPrecondition: return "FAILED_PRECONDITION";
    case StatusCode::kAborted: return "ABORTED";
    case StatusCode::kOutOfRange: return "OUT_OF_RANGE";
    case StatusCode::kUnimplemented: return "UNIMPLEMENTED";
    case StatusCode::kInternal: return "INTERNAL";
    case StatusCode::kUnavailable: return "UNAVAILABLE";
    case StatusCode::kDataLoss: return "DATA_LOSS";
    case StatusCode::kUnauthenticated: return "UNAUTHENTICATED";
    default: return "UNKNOWN";
  }
}

namespace {

StatusCode CodeOfErrno(int error) {
  switch (error) {
    case ENOENT: case ESRCH: case ENODEV: return StatusCode::kNotFound;
    case EEXIST: case EADDRINUSE: return StatusCode::kAlreadyExists;
    case EPERM: case EACCES: case EROFS: return StatusCode::kPermissionDenied;
    case ENOSPC: case EMFILE: case ENFILE: case ENOMEM: return StatusCode::kResourceExhausted;
    case ETIMEDOUT: return StatusCode::kDeadlineExceeded;
    case ECANCELED: return StatusCode::kCancelled;
    case EINVAL: return StatusCode::kInvalidArgument;
    case ENOSYS: case EOPNOTSUPP: return StatusCode::kUnimplemented;
    case ECONNREFUSED: case ECONNRESET: case EPIPE: case EHOSTUNREACH: case ENETUNREACH:
      return StatusCode::kUnavailable;
    default: return StatusCode::kInternal;
  }
}

}  // namespace

Status ErrnoStatus(int error, std::string_view what) {
  return Error(CodeOfErrno(error), what, ": ", std::generic_category().message(error));
}

}  // namespace fairlead
