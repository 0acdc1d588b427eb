// The two sides of systemd that a small program needs, without its library: the listening socket that was made for it
// (sd_listen_fds(3)) and the notification that it serves (sd_notify(3)).
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace fairlead::programs {

// The first descriptor that was passed on to this process; -1: none. Takes LISTEN_* out of the environment.
int TakeListenFd();

// Listens at `path`, for root alone. A socket that nobody listens at any more is replaced; one that somebody does is
// AlreadyExists.
StatusOr<int> ListenAtPath(const std::string& path);

// To NOTIFY_SOCKET, if there is one: "READY=1", "WATCHDOG=1".
void NotifyService(std::string_view state);

}  // namespace fairlead::programs
