// The host's DNS address on its loopback device. A container reaches it by a route on-link through its own interface:
// it asks the bridge for the MAC, and the host answers for an address of lo because arp_ignore is 0. The reply goes back
// by the bridge's subnet, so it needs the gateway address (or another route to the container) on the host; with that,
// strict rp_filter passes too.
#include <fstream>

#include "base/log.h"
#include "base/net/netlink.h"
#include "dataplane/dataplane.h"

namespace fairlead::dataplane {
namespace {

// 1 and more: the kernel answers only for addresses of the interface that was asked (or not at all).
void WarnOfArpIgnore(const IpAddress& address) {
  int arp_ignore = 0;
  std::ifstream("/proc/sys/net/ipv4/conf/all/arp_ignore") >> arp_ignore;
  if (arp_ignore == 0) return;
  LOG(kWarning, "containers cannot resolve the DNS address on-link; set net.ipv4.conf.all.arp_ignore to 0",
      {"address", address.ToString()}, {"arp_ignore", arp_ignore});
}

InterfaceAddress WholeAddress(const IpAddress& address) { return {address, address.bits()}; }

}  // namespace

// Scope host: the kernel must not choose it as the source of the host's own connections.
Status EnsureHostAddress(const IpAddress& dns_address) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Netlink> netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const Link lo, netlink->FindLink("lo"));
  if (dns_address.is_v4()) WarnOfArpIgnore(dns_address);
  return netlink->AddAddress(lo, {WholeAddress(dns_address), 0}, AddressScope::kHost);
}

Status RemoveHostAddress(const IpAddress& dns_address) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Netlink> netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const Link lo, netlink->FindLink("lo"));
  return netlink->RemoveAddress(lo, WholeAddress(dns_address));
}

}  // namespace fairlead::dataplane
