#include "discovery/address_rules.h"

#include "base/strings.h"

namespace fairlead::discovery {

namespace {

const Address* FirstAddress(const std::vector<Address>& addresses, bool managed) {
  for (const Address& address : addresses)
    if (address.managed == managed && address.ip.is_set()) return &address;
  return nullptr;
}

}  // namespace

ChosenAddress ChooseAddress(const Reachability& where, uint16_t port, const std::string& protocol) {
  if (port == 0) return {{}, 0, "not published: no port"};
  if (const Address* address = FirstAddress(where.addresses, true))
    return {address->ip, port, Cat("address on Fairlead network ", address->network)};
  if (const Address* address = FirstAddress(where.addresses, false))
    return {address->ip, port, Cat("address on network ", address->network)};

  const IpAddress node = where.node_addresses.empty() ? IpAddress() : where.node_addresses.front();
  for (const PublishedPort& published : where.published_ports) {
    if (published.container_port != port || published.protocol != protocol || published.host_port == 0) continue;
    const bool everywhere = !published.host_ip.is_set() || published.host_ip.is_unspecified();
    const IpAddress ip = everywhere ? node : published.host_ip;
    if (ip.is_set()) return {ip, published.host_port, Cat("published port ", published.host_port)};
  }
  if (where.host_network && node.is_set()) return {node, port, "node address: --network host"};
  return {{}, 0, "not published: no address"};
}

}  // namespace fairlead::discovery
