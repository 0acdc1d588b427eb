// Status and StatusOr are abseil's; these helpers take the standard string types and spell the usual errors.
// A message names the thing, the operation and the way out: "pool shop is full: 254 leased; add a prefix".
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "base/strings.h"

namespace fairlead {

using absl::Status;
using absl::StatusCode;
using absl::StatusOr;
using absl::OkStatus;

template <class... Pieces>
Status Error(StatusCode code, const Pieces&... pieces) {
  std::string message = Cat(pieces...);
  return Status(code, ToAbsl(message));
}

#define FAIRLEAD_STATUS_HELPER(Name, code)      \
  template <class... Pieces>                    \
  Status Name(const Pieces&... pieces) {        \
    return Error(StatusCode::code, pieces...);  \
  }
FAIRLEAD_STATUS_HELPER(InvalidArgument, kInvalidArgument)
FAIRLEAD_STATUS_HELPER(NotFound, kNotFound)
FAIRLEAD_STATUS_HELPER(AlreadyExists, kAlreadyExists)
FAIRLEAD_STATUS_HELPER(ResourceExhausted, kResourceExhausted)
FAIRLEAD_STATUS_HELPER(FailedPrecondition, kFailedPrecondition)
FAIRLEAD_STATUS_HELPER(Unavailable, kUnavailable)
FAIRLEAD_STATUS_HELPER(Unimplemented, kUnimplemented)
FAIRLEAD_STATUS_HELPER(PermissionDenied, kPermissionDenied)
FAIRLEAD_STATUS_HELPER(DeadlineExceeded, kDeadlineExceeded)
FAIRLEAD_STATUS_HELPER(Aborted, kAborted)
FAIRLEAD_STATUS_HELPER(Internal, kInternal)
FAIRLEAD_STATUS_HELPER(DataLoss, kDataLoss)
#undef FAIRLEAD_STATUS_HELPER

inline std::string_view Message(const Status& status) { return ToStd(status.message()); }

// The same error with a context in front: WithContext(status, "pool shop: ").
inline Status WithContext(const Status& status, std::string_view context) {
  return status.ok() ? status : Error(status.code(), context, Message(status));
}

// "RESOURCE_EXHAUSTED" and the like: the `code` of API errors (contract, "Commands").
std::string_view CodeName(StatusCode code);

// Status of a failed system call: "bind 0.0.0.0:80: Permission denied". `error` is a positive errno.
Status ErrnoStatus(int error, std::string_view what);

#define FAIRLEAD_CONCAT_(a, b) a##b
#define FAIRLEAD_CONCAT(a, b) FAIRLEAD_CONCAT_(a, b)
// RETURN_IF_ERROR(expr); ASSIGN_OR_RETURN(auto x, expr); the CO_ forms are for coroutines.
#define RETURN_IF_ERROR(expr)                                             \
  do {                                                                    \
    if (::fairlead::Status status_ = (expr); !status_.ok()) return status_; \
  } while (false)
#define CO_RETURN_IF_ERROR(expr)                                             \
  do {                                                                       \
    if (::fairlead::Status status_ = (expr); !status_.ok()) co_return status_; \
  } while (false)
#define ASSIGN_OR_RETURN_(tmp, lhs, expr, ret) \
  auto tmp = (expr);                           \
  if (!tmp.ok()) ret tmp.status();             \
  lhs = *std::move(tmp)
#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_(FAIRLEAD_CONCAT(status_or_, __LINE__), lhs, expr, return)
#define CO_ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_(FAIRLEAD_CONCAT(status_or_, __LINE__), lhs, expr, co_return)

}  // namespace fairlead
