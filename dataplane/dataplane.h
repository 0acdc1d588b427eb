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
  std::vector<InterfaceAddress> gateways;  // per subnet: put on the bridge
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
  // Makes the bridge and its addresses, or checks that they are as wanted.
  virtual Status EnsureNetwork(const NetworkSpec& network) = 0;
  // Removes what EnsureNetwork made; a bridge that was there before stays.
  virtual Status RemoveNetwork(const NetworkSpec& network) = 0;
  virtual StatusOr<Attachment> Attach(const NetworkSpec& network, const EndpointSpec& endpoint) = 0;
  // Returns when the address is unusable and the link down; the kernel's slow deletion goes on behind. Gone is fine.
  virtual Status Detach(const std::string& endpoint_id) = 0;
  // Gratuitous ARP and unsolicited neighbour advertisement (three of each), so that peers forget an older MAC.
  virtual Status Announce(const NetworkSpec& network, const EndpointSpec& endpoint) = 0;
  virtual StatusOr<std::vector<std::string>> ListEndpoints() = 0;  // ids' prefixes, as the kernel's interface names tell
};

// `dns_address` (169.254.53.53) is put on a dummy-free place of the host (the loopback device) so that containers of
// every network reach it by a route on-link.
std::unique_ptr<Driver> MakeBridgeDriver();
Status EnsureHostAddress(const IpAddress& dns_address);
Status RemoveHostAddress(const IpAddress& dns_address);

}  // namespace fairlead::dataplane
