#include "base/net/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>
#include <utility>

namespace fairlead {
namespace {

constexpr const char* kOwnNamespace = "/proc/thread-self/ns/net";
constexpr const char* kNamedFolder = "/run/netns";

Status NamespaceError(int error, std::string_view what) {
  Status status = ErrnoStatus(error, what);
  if (error != EPERM) return status;
  return Error(status.code(), Message(status), "; network namespaces need CAP_SYS_ADMIN (run as root)");
}

Status OnOwnThread(const std::function<Status()>& body) {
  Status status;
  std::thread([&] { status = body(); }).join();
  return status;
}

// `ip netns` mounts its folder on itself, shared, so that the names are seen in every mount namespace.
Status PrepareNamedFolder() {
  if (mkdir(kNamedFolder, 0755) != 0 && errno != EEXIST) return NamespaceError(errno, Cat("create ", kNamedFolder));
  if (mount("", kNamedFolder, "none", MS_SHARED | MS_REC, nullptr) == 0) return OkStatus();
  if (errno != EINVAL) return NamespaceError(errno, Cat("share ", kNamedFolder));
  if (mount(kNamedFolder, kNamedFolder, "none", MS_BIND | MS_REC, nullptr) != 0 ||
      mount("", kNamedFolder, "none", MS_SHARED | MS_REC, nullptr) != 0)
    return NamespaceError(errno, Cat("mount ", kNamedFolder));
  return OkStatus();
}

}  // namespace

NetworkNamespace::~NetworkNamespace() {
  if (fd_ >= 0) close(fd_);
}

NetworkNamespace::NetworkNamespace(NetworkNamespace&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

NetworkNamespace& NetworkNamespace::operator=(NetworkNamespace&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

StatusOr<NetworkNamespace> NetworkNamespace::Open(std::string_view path) {
  const int fd = open(std::string(path).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(errno, Cat("open network namespace ", path));
  return NetworkNamespace(fd);
}

StatusOr<NetworkNamespace> NetworkNamespace::Current() { return Open(kOwnNamespace); }

StatusOr<NetworkNamespace> NetworkNamespace::Create() {
  NetworkNamespace made(-1);
  RETURN_IF_ERROR(OnOwnThread([&]() -> Status {
    if (unshare(CLONE_NEWNET) != 0) return NamespaceError(errno, "create network namespace");
    ASSIGN_OR_RETURN(made, Current());
    return OkStatus();
  }));
  return made;
}

StatusOr<NetworkNamespace> NetworkNamespace::CreateNamed(std::string_view name) {
  const std::string path = Cat(kNamedFolder, "/", name);
  RETURN_IF_ERROR(PrepareNamedFolder());
  const int file = open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0);
  if (file < 0) return ErrnoStatus(errno, Cat("create network namespace ", name));
  close(file);
  StatusOr<NetworkNamespace> made = Create();
  Status status = made.status();
  if (status.ok()) {
    status = OnOwnThread([&]() -> Status {
      RETURN_IF_ERROR(made->Enter());
      if (mount(kOwnNamespace, path.c_str(), "none", MS_BIND, nullptr) == 0) return OkStatus();
      return NamespaceError(errno, Cat("mount network namespace ", name));
    });
  }
  if (!status.ok()) {
    unlink(path.c_str());
    return status;
  }
  return made;
}

Status NetworkNamespace::RemoveNamed(std::string_view name) {
  const std::string path = Cat(kNamedFolder, "/", name);
  if (umount2(path.c_str(), MNT_DETACH) != 0 && errno != ENOENT && errno != EINVAL)
    return NamespaceError(errno, Cat("unmount network namespace ", name));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return ErrnoStatus(errno, Cat("remove network namespace ", name));
  return OkStatus();
}

Status NetworkNamespace::Enter() const {
  return setns(fd_, CLONE_NEWNET) == 0 ? OkStatus() : NamespaceError(errno, "enter network namespace");
}

Status NetworkNamespace::Run(const std::function<Status()>& body) const {
  return OnOwnThread([&]() -> Status {
    RETURN_IF_ERROR(Enter());
    return body();
  });
}

}  // namespace fairlead
