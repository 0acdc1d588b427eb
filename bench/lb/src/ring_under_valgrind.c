// Preloaded by bench/lb/profile: lets a program that waits in io_uring_enter run under valgrind.
//
// Valgrind runs one thread at a time, and a thread gives way when it enters a system call that may block. It does not
// know (3.19) that io_uring_enter may, so a waiting thread would stop all others. Here the wait is a poll() of the ring's
// descriptor, which it knows. For that the descriptor must be one, and no index of a registered ring.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

struct io_uring;
int io_uring_register_ring_fd(struct io_uring *ring) {
  (void)ring;
  return -EINVAL;
}

long syscall(long number, ...) {
  static long (*real)(long, ...);
  if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  long a[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number != SYS_io_uring_enter || a[2] == 0) return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  long submitted = real(number, a[0], a[1], 0, a[3], a[4], a[5]);
  const struct io_uring_getevents_arg *argument = (const void *)a[4];
  const struct timespec *timeout = argument ? (const void *)(uintptr_t)argument->ts : 0;
  struct pollfd ring = {.fd = (int)a[0], .events = POLLIN};
  ppoll(&ring, 1, timeout, 0);
  real(number, a[0], 0, 0, a[3], a[4], a[5]);  // posts what has become ready
  return submitted;
}
