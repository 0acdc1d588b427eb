#include "app/syscall_filter.h"

#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <memory>

#include "base/strings.h"

namespace fairlead::app {
namespace {

// By name, so that those that an architecture or an older libseccomp does not have are passed over.
constexpr const char* kAllowed[] = {
    // memory, threads, time, itself
    "brk", "munmap", "mremap", "madvise", "futex", "futex_waitv", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity",
    "getcpu", "membarrier", "exit", "exit_group", "restart_syscall", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getrandom", "uname", "sysinfo",
    "getrusage", "getrlimit", "prlimit64", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
    // files: configuration, master files, the last good state
    "read", "readv", "pread64", "write", "writev", "pwrite64", "close", "close_range", "open", "openat", "openat2", "stat", "lstat",
    "fstat", "newfstatat", "statx", "statfs", "fstatfs", "lseek", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
    "getdents64", "getcwd", "fcntl", "flock", "fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate", "rename", "renameat",
    "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "fadvise64", "dup", "dup2", "dup3", "pipe2", "umask",
    // sockets and loops of both proactors
    "bind", "listen", "accept", "accept4", "connect", "getsockname", "getpeername", "setsockopt", "getsockopt", "sendto", "recvfrom",
    "sendmsg", "recvmsg", "sendmmsg", "recvmmsg", "shutdown", "socketpair", "ioctl", "poll", "ppoll", "select", "pselect6",
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "eventfd2", "timerfd_create", "timerfd_settime",
    "signalfd4", "splice", "io_uring_enter", "io_uring_register"};

// No name server calls these, by accident or on any libc: somebody else speaks.
constexpr const char* kEnding[] = {"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev",
                                   "mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "bpf", "perf_event_open",
                                   "init_module", "finit_module", "kexec_load", "userfaultfd", "setuid", "setresuid", "capset"};

// Async-signal-safe: nothing else may run in a process that is not ours any more.
void OnForbiddenCall(int, siginfo_t* info, void*) {
  char text[128] = "error system call ";
  char* end = std::to_chars(text + std::strlen(text), text + sizeof text - 64, info->si_syscall).ptr;
  constexpr std::string_view kBehind = " is not allowed to this program, which ends now\n";
  std::memcpy(end, kBehind.data(), kBehind.size());
  (void)!write(STDERR_FILENO, text, static_cast<size_t>(end - text) + kBehind.size());
  _exit(kForbiddenCallExit);
}

scmp_arg_cmp Is(unsigned argument, uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp HasBits(unsigned argument, uint64_t mask, uint64_t bits) { return {argument, SCMP_CMP_MASKED_EQ, mask, bits}; }

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release) {
    if (context_ == nullptr) error_ = -ENOMEM;
  }

  template <class... Conditions>
  void Add(uint32_t action, const char* call, Conditions... conditions) {
    int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR || error_ != 0) return;
    const scmp_arg_cmp all[] = {conditions..., scmp_arg_cmp{}};
    int error = seccomp_rule_add_array(context_.get(), action, number, sizeof...(conditions), all);
    if (error != 0 && error != -EDOM) error_ = error;  // EDOM: not of this architecture
  }
  int Load() {
    if (error_ == 0) error_ = seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_TSYNC, 1);  // threads that run already too
    if (error_ == 0) error_ = seccomp_load(context_.get());
    return error_;
  }

 private:
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> context_;
  int error_ = 0;
};

}  // namespace

Status ConfineSystemCalls() {
  if (!kFiltersSystemCalls) return OkStatus();
  struct sigaction action {};
  action.sa_sigaction = OnForbiddenCall;
  action.sa_flags = SA_SIGINFO;
  if (sigaction(SIGSYS, &action, nullptr) != 0) return ErrnoStatus(errno, "sigaction SIGSYS");
  Filter filter;
  for (const char* call : kAllowed) filter.Add(SCMP_ACT_ALLOW, call);
  for (const char* call : kEnding) filter.Add(SCMP_ACT_TRAP, call);
  // Nothing becomes code that was not at the start.
  for (const char* call : {"mmap", "mprotect"}) filter.Add(SCMP_ACT_ALLOW, call, HasBits(2, PROT_EXEC, 0));
  for (int family : {AF_UNIX, AF_INET, AF_INET6}) filter.Add(SCMP_ACT_ALLOW, "socket", Is(0, static_cast<uint64_t>(family)));
  // Threads, not processes. The flags of clone3 are behind a pointer: glibc takes clone where it is not there.
  filter.Add(SCMP_ACT_ERRNO(ENOSYS), "clone3");
  filter.Add(SCMP_ACT_ALLOW, "clone", HasBits(0, CLONE_THREAD, CLONE_THREAD));
  filter.Add(SCMP_ACT_TRAP, "clone", HasBits(0, CLONE_THREAD, 0));
  filter.Add(SCMP_ACT_ALLOW, "prctl", Is(0, PR_SET_NAME));
  filter.Add(SCMP_ACT_ALLOW, "tgkill", Is(0, static_cast<uint64_t>(getpid())));  // abort()
  if (int error = filter.Load(); error != 0) return ErrnoStatus(-error, "load the filter of system calls");
  return OkStatus();
}

}  // namespace fairlead::app
