#include "base/io/epoll_proactor.h"
#include "base/io/uring_proactor.h"

namespace fairlead::io {
namespace {

// Why the kernel refused io_uring, in words of whoever can change it.
std::string_view Explain(StatusCode code) {
  switch (code) {
    case StatusCode::kPermissionDenied: return "forbidden here by seccomp (containers) or kernel.io_uring_disabled";
    case StatusCode::kUnimplemented: return "missing in this kernel or hidden by seccomp";
    case StatusCode::kInvalidArgument: return "this kernel is too old: 6.1 is needed";
    case StatusCode::kResourceExhausted: return "out of memory or descriptors: see ulimit -l and ulimit -n";
    default: return "the kernel refused it";
  }
}

}  // namespace

StatusOr<std::unique_ptr<Proactor>> MakeProactor(IoBackend backend, const Clock& clock, std::string* note) {
  if (backend != IoBackend::kEpoll) {
    StatusOr<std::unique_ptr<UringProactor>> uring = UringProactor::Create(clock);
    if (uring.ok()) return std::unique_ptr<Proactor>(*std::move(uring));
    std::string reason = Cat("io_uring: ", Explain(uring.status().code()), " (", Message(uring.status()), ")");
    if (backend == IoBackend::kUring)
      return Error(uring.status().code(), reason, "; set lb.io to auto or epoll");
    if (note != nullptr) *note = Cat(reason, "; using epoll");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<EpollProactor> epoll, EpollProactor::Create(clock));
  return std::unique_ptr<Proactor>(std::move(epoll));
}

}  // namespace fairlead::io
