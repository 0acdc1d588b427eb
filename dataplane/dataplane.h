// Drivers put endpoints on the wire: idempotent attach, detach and list, reconciled against what the kernel has.
// Calls block on netlink; the agent makes them on an Offload thread. A Driver is used by one thread at a time, but for Probe.
#pragma once

#include <memory>
#include <optional>
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
  friend bool operator==(const NetworkSpec&, const NetworkSpec&) = default;
};

struct EndpointSpec {
  std::string id;                          // the engine's endpoint id
  std::string network_id;
  std::vector<InterfaceAddress> addresses;
  MacAddress mac;
  // Path of the namespace in which the container's side is made, for Place; "": in the host's, for the engine to take.
  std::string netns = {};
};

// Where the container's side of a new endpoint waits for the engine to take it.
struct Attachment {
  std::string host_interface;              // stays, in the bridge
  std::string container_interface;         // the engine moves and renames it
  std::string bridge = {};                 // that the host's side is in
};

// Where an endpoint is to live, for engines that leave this to the plugin (CNI, netavark).
struct Placement {
  std::string netns;                       // path of the network namespace: /run/netns/NAME, /proc/PID/ns/net
  std::string interface;                   // its name inside
  std::vector<IpAddress> gateways;         // a default route by each that is on a subnet of the endpoint
  IpAddress name_server;                   // a route to it on-link; unset: none
};

class Driver {
 public:
  virtual ~Driver() = default;
  // Makes the bridge and its addresses, or checks that they are as wanted. kUnimplemented for a mode not built yet.
  // Cheap where it is all there: it is called before every attach. The packet filter is looked at once per bridge.
  virtual Status EnsureNetwork(const NetworkSpec& network) = 0;
  // Looks again whether the packet filter lets the network's containers reach each other, and mends it: whoever reloads a
  // firewall takes our rule away. Runs a program for each family (10 ms), so not for every attach.
  virtual Status RecheckFilter(const NetworkSpec& network) = 0;
  // Removes what EnsureNetwork made; a bridge that was there before stays.
  virtual Status RemoveNetwork(const NetworkSpec& network) = 0;
  // Safe to repeat, also when the container's side has moved into its namespace.
  virtual StatusOr<Attachment> Attach(const NetworkSpec& network, const EndpointSpec& endpoint) = 0;
  // Moves the container's side of an attached endpoint into its namespace and gives it name, MAC, addresses and routes, up.
  // Safe to repeat, after a failure at any step too. A default route by another interface stays. AlreadyExists: somebody
  // else's interface has the name; NotFound: namespace or container's side is gone (the latter: detach, attach again).
  virtual Status Place(const NetworkSpec& network, const EndpointSpec& endpoint, const Placement& placement) = 0;
  // Whether the namespace still has what Place put there; the error names what is missing. Changes nothing.
  virtual Status CheckPlaced(const EndpointSpec& endpoint, const Placement& placement) = 0;
  // Who outside answers at the address: an ARP probe (RFC 5227 §2.1.1) or a neighbour solicitation (RFC 4862 §5.4) out of
  // the bridge's ports that are not ours. Nobody, at once, where there is no such port or no bridge yet; ~100 ms
  // otherwise. Waits, so it may run on any thread beside the other calls.
  virtual StatusOr<std::optional<MacAddress>> Probe(const NetworkSpec& network, const IpAddress& address) = 0;
  // Returns when the address is unusable and the link down; the kernel's slow deletion goes on behind. Gone is fine.
  virtual Status Detach(const std::string& endpoint_id) = 0;
  // Gratuitous ARP and unsolicited neighbour advertisement (three of each), so that peers forget an older MAC. Not
  // while the container's kernel still probes an IPv6 address for duplicates: it would take the advertisement for one.
  virtual Status Announce(const NetworkSpec& network, const EndpointSpec& endpoint) = 0;
  virtual StatusOr<std::vector<std::string>> ListEndpoints() = 0;  // ids, as the kernel's interfaces are marked
  // Those whose container side is in our namespace: the engine has yet to take it, or it has put it back (that is how it
  // takes a container off) and its Leave did not reach us.
  virtual StatusOr<std::vector<std::string>> ListUnplaced() = 0;
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
