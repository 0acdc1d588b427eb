// NetworkNamespace keeps a network namespace alive and runs functions inside it. Needs CAP_SYS_ADMIN.
#pragma once

#include <functional>
#include <string_view>

#include "base/status.h"

namespace fairlead {

// Movable; closes its descriptor at the end. A namespace without a name ends with its last descriptor, process and
// socket, so an anonymous one cannot leak, not even by SIGKILL.
class NetworkNamespace {
 public:
  static StatusOr<NetworkNamespace> Create();                          // anonymous; its lo is down
  static StatusOr<NetworkNamespace> CreateNamed(std::string_view name);  // /run/netns/NAME, as `ip netns add`
  static Status RemoveNamed(std::string_view name);                    // gone is fine
  static StatusOr<NetworkNamespace> Open(std::string_view path);       // "/run/netns/web", "/proc/17/ns/net"
  static StatusOr<NetworkNamespace> Current();                         // the calling thread's

  ~NetworkNamespace();
  NetworkNamespace(NetworkNamespace&& other) noexcept;
  NetworkNamespace& operator=(NetworkNamespace&& other) noexcept;

  int fd() const { return fd_; }
  // Runs `body` on a thread of its own inside the namespace and waits for it: the caller's thread stays where it is.
  // Sockets that `body` opens belong to the namespace wherever they are used later.
  Status Run(const std::function<Status()>& body) const;
  // Moves the calling thread, and the threads it starts from now on, into the namespace.
  Status Enter() const;

 private:
  explicit NetworkNamespace(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace fairlead
