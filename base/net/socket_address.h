// The address of a socket: IP and port, or the path of a unix socket. A plain value.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "base/net/ip_address.h"

namespace fairlead {

class SocketAddress {
 public:
  SocketAddress() { storage_.base.sa_family = AF_UNSPEC; }
  SocketAddress(const IpAddress& ip, uint16_t port);
  static StatusOr<SocketAddress> Unix(std::string_view path);      // at most 107 bytes
  // "10.0.0.1:80", "[::1]:80", "unix:/run/x.sock". A host name is an error: names are resolved elsewhere.
  static StatusOr<SocketAddress> Parse(std::string_view text);
  static SocketAddress FromKernel(const sockaddr* address, socklen_t length);

  bool is_set() const { return family() != AF_UNSPEC; }
  bool is_unix() const { return family() == AF_UNIX; }
  int family() const { return storage_.base.sa_family; }
  IpAddress ip() const;            // unset for a unix socket
  uint16_t port() const;           // 0 for a unix socket
  std::string_view path() const;   // "" but for a unix socket
  std::string ToString() const;    // what Parse takes

  const sockaddr* raw() const { return &storage_.base; }
  socklen_t size() const;

  friend bool operator==(const SocketAddress& a, const SocketAddress& b) {
    return a.family() == b.family() && a.ip() == b.ip() && a.port() == b.port() && a.path() == b.path();
  }

 private:
  union Storage {
    sockaddr base;
    sockaddr_in v4;
    sockaddr_in6 v6;
    sockaddr_un local;
  } storage_{};
};

}  // namespace fairlead
