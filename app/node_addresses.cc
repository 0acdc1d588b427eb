#include "app/node_addresses.h"

#include <ifaddrs.h>
#include <net/if.h>

#include <filesystem>
#include <string>

#include "base/net/socket_address.h"

namespace fairlead::app {
namespace {

bool IsBridge(const char* interface) {
  std::error_code none;
  return std::filesystem::exists(std::string("/sys/class/net/") + interface + "/bridge", none);
}

bool IsLinkLocal(const IpAddress& ip) {
  if (ip.is_v4()) return Prefix(IpAddress::V4(0xa9fe0000), 16).Contains(ip);
  return ip.bytes()[0] == 0xfe && (ip.bytes()[1] & 0xc0) == 0x80;
}

}  // namespace

std::vector<IpAddress> NodeAddresses() {
  std::vector<IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0 || IsBridge(entry->ifa_name)) continue;
    int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    IpAddress ip = SocketAddress::FromKernel(entry->ifa_addr, size).ip();
    if (!ip.is_loopback() && !IsLinkLocal(ip)) addresses.push_back(ip);
  }
  freeifaddrs(list);
  return addresses;
}

}  // namespace fairlead::app
