// Drivers put endpoints on the wire: idempotent attach, detach and list, reconciled against what the kernel has.
// Calls block on netlink; the agent makes them on an Offload thread. A Driver is used by one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"

namespace fairlead::dataplane {

struct NetworkSpec {
  std::string id;                          // the engine's network id
  std::string name;                        // "" until the engine told it
  std::string mode = "bridge";             // bridge; routed, macvlan, overlay: "not yet"
  std::string bridge;                      // interface name; "" derives "fl-" + 8 of the id
  std::vector<InterfaceAddress> gateways;  // per subnet: put on the bridge; empty where another router is the gateway
  int mtu = 0;                             // 0: the bridge's
  bool internal = false;
};

struct EndpointSpec {
  std::string id;                          // the engine's endpoint id
  std::string network_id;
  std::vector<InterfaceAddress> addresses;
  MacAddress mac;
};

// Where the container's side of a new endpoint waits for the engine to take it.
struct Attachment {
  std::string host_interface;              // stays, in the bridge
  std::string container_interface;         // the engine moves and renames it
};

class Driver {
 public:
  virtual ~Driver() = default;
  // Makes the bridge and its addresses, or checks that they are as wanted. kUnimplemented for a mode not built yet.
  virtual Status EnsureNetwork(const NetworkSpec& network) = 0;
  // Removes what EnsureNetwork made; a bridge that was there before stays.
  virtual Status RemoveNetwork(const NetworkSpec& network) = 0;
  // Safe to repeat, also when the container's side has moved into its namespace.
  virtual StatusOr<Attachment> Attach(const NetworkSpec& network, const EndpointSpec& endpoint) = 0;
  // Returns when the address is unusable and the link down; the kernel's slow deletion goes on behind. Gone is fine.
  virtual Status Detach(const std::string& endpoint_id) = 0;
  // Gratuitous ARP and unsolicited neighbour advertisement (three of each), so that peers forget an older MAC. Not
  // while the container's kernel still probes an IPv6 address for duplicates: it would take the advertisement for one.
  virtual Status Announce(const NetworkSpec& network, const EndpointSpec& endpoint) = 0;
  virtual StatusOr<std::vector<std::string>> ListEndpoints() = 0;  // ids, as the kernel's interfaces are marked
  // Detaches what an earlier run left: endpoints of ours that are not in `wanted` (ids), half-made ones too. Returns how
  // many. Interfaces that do not carry our mark are never touched.
  virtual StatusOr<int> Reconcile(const std::vector<std::string>& wanted) = 0;
};

// Works in the network namespace of the thread that makes it, and expects its calls from there.
std::unique_ptr<Driver> MakeBridgeDriver();

// `dns_address` (169.254.53.53) is put on the loopback device, so that containers of every network reach it by a route
// on-link: the host answers ARP on a bridge for an address of any of its interfaces, unless arp_ignore forbids it.
Status EnsureHostAddress(const IpAddress& dns_address);
Status RemoveHostAddress(const IpAddress& dns_address);

}  // namespace fairlead::dataplane
