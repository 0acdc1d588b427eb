#include "base/io/signals.h"

#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

namespace fairlead::io {

StatusOr<SignalWaiter> SignalWaiter::Open(Proactor& proactor, std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  if (int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) return ErrnoStatus(error, "block signals");
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) return ErrnoStatus(errno, "open a signalfd");
  return SignalWaiter(proactor, fd);
}

SignalWaiter::~SignalWaiter() {
  if (fd_ >= 0) proactor_->Close(fd_);
}

Task<IoResult> SignalWaiter::Next() {
  for (;;) {
    signalfd_siginfo info;
    ssize_t got = read(fd_, &info, sizeof info);
    if (got == sizeof info) co_return IoResult::Ok(static_cast<int32_t>(info.ssi_signo));
    if (got < 0 && errno != EAGAIN && errno != EINTR) co_return IoResult::Error(errno);
    IoResult readable = co_await ReadableOperation(*proactor_, fd_);
    if (!readable.ok()) co_return readable;
  }
}

}  // namespace fairlead::io
