// What the kernel's io_uring offers and Debian 12's liburing 2.3 does not spell yet. Only what is used.
#pragma once

#include <liburing.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace fairlead::io {

// struct io_uring_getevents_arg of linux/io_uring.h: `pad` of 2.3's header has become a minimum wait, which stays 0.
struct UringWaitArgument {
  uint64_t signal_mask = 0;
  uint32_t signal_mask_bytes = 8;
  uint32_t min_wait_us = 0;
  uint64_t timeout = 0;  // __kernel_timespec*
};
static_assert(sizeof(UringWaitArgument) == sizeof(io_uring_getevents_arg));

// liburing 2.3 declares io_uring_enable_rings() but does not export it.
inline int EnableRing(const io_uring& ring) {
  return static_cast<int>(syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0));
}

}  // namespace fairlead::io
