#include "base/net/socket_address.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace fairlead {

SocketAddress::SocketAddress(const IpAddress& ip, uint16_t port) {
  if (ip.is_v4()) {
    storage_.v4 = {};
    storage_.v4.sin_family = AF_INET;
    storage_.v4.sin_port = htons(port);
    std::memcpy(&storage_.v4.sin_addr, ip.bytes().data(), 4);
  } else if (ip.is_v6()) {
    storage_.v6 = {};
    storage_.v6.sin6_family = AF_INET6;
    storage_.v6.sin6_port = htons(port);
    std::memcpy(&storage_.v6.sin6_addr, ip.bytes().data(), 16);
  } else {
    storage_.base.sa_family = AF_UNSPEC;
  }
}

StatusOr<SocketAddress> SocketAddress::Unix(std::string_view path) {
  SocketAddress a;
  a.storage_.local = {};
  a.storage_.local.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof a.storage_.local.sun_path)
    return InvalidArgument("the path of a unix socket has 1 to ", sizeof a.storage_.local.sun_path - 1,
                           " bytes, not ", path.size(), ": \"", path, "\"");
  path.copy(a.storage_.local.sun_path, path.size());
  return a;
}

StatusOr<SocketAddress> SocketAddress::Parse(std::string_view text) {
  if (text.starts_with("unix:")) return Unix(text.substr(5));
  size_t colon = text.rfind(':');
  auto bad = [&] { return InvalidArgument("\"", text, "\" is no address; write 10.0.0.1:80, [::1]:80 or unix:/path"); };
  if (colon == text.npos) return bad();
  auto port = ParseNumber<uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto ip = IpAddress::Parse(host);
  if (!port || !ip.ok() || ip->is_v6() != bracketed) return bad();
  return SocketAddress(*ip, *port);
}

SocketAddress SocketAddress::FromKernel(const sockaddr* address, socklen_t length) {
  SocketAddress a;
  std::memcpy(&a.storage_, address, std::min<size_t>(length, sizeof a.storage_));
  return a;
}

IpAddress SocketAddress::ip() const {
  if (family() == AF_INET) return IpAddress::V4(ntohl(storage_.v4.sin_addr.s_addr));
  if (family() == AF_INET6) return IpAddress::V6(std::span<const uint8_t, 16>(storage_.v6.sin6_addr.s6_addr));
  return {};
}

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(storage_.v4.sin_port);
  if (family() == AF_INET6) return ntohs(storage_.v6.sin6_port);
  return 0;
}

std::string_view SocketAddress::path() const {
  if (!is_unix()) return {};
  return {storage_.local.sun_path, strnlen(storage_.local.sun_path, sizeof storage_.local.sun_path)};
}

std::string SocketAddress::ToString() const {
  if (is_unix()) return Cat("unix:", path());
  if (family() == AF_INET6) return Cat("[", ip().ToString(), "]:", port());
  if (family() == AF_INET) return Cat(ip().ToString(), ":", port());
  return "unset";
}

socklen_t SocketAddress::size() const {
  switch (family()) {
    case AF_INET: return sizeof(sockaddr_in);
    case AF_INET6: return sizeof(sockaddr_in6);
    case AF_UNIX: return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path().size() + 1);
    default: return sizeof(sa_family_t);
  }
}

}  // namespace fairlead
