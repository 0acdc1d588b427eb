// Netlink speaks rtnetlink to the kernel of one network namespace: links, addresses, routes and neighbours.
// It uses libnl's message layer and not its objects: those dump every link to find one, hide which attributes go out,
// and can neither delete a group nor filter a dump. Blocking; used by one thread at a time. Works in the namespace that
// its thread was in at Open, wherever that thread goes later.
//
// Errors name link and operation: "create veth flh1a2b3c4d5e6f: Operation not permitted; Fairlead's agent needs
// CAP_NET_ADMIN (run it as root)". A link that is not there is kNotFound.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"

struct nl_sock;
struct nlmsghdr;

namespace fairlead {

inline constexpr size_t kMaxLinkName = 15;   // IFNAMSIZ - 1
inline constexpr size_t kMaxLinkAlias = 255; // IFALIASZ - 1

struct Link {
  int index = 0;
  std::string name;
  std::string kind;        // "bridge", "veth", …; "" for a physical device and lo
  std::string alias;
  int master = 0;          // index of the bridge it is a port of; 0: none
  uint32_t group = 0;
  int mtu = 0;
  MacAddress mac;
  bool up = false;         // administratively
};

// What a dump is narrowed to, by the kernel where it can.
struct LinkFilter {
  std::string kind = {};   // "": every kind
  int master = 0;          // 0: any
};

struct NewBridge {
  std::string name;
  MacAddress mac;          // unset: the kernel's choice, which follows the ports
  int mtu = 0;             // 0: the kernel's default; once set it no longer follows the ports
};

struct VethEnd {
  std::string name;
  MacAddress mac;          // unset: random
  std::optional<int> namespace_fd = {};  // of the second end: made there. Moving it later waits some 30 ms in the kernel
};

// Unset members stay as they are. All set ones go in one message, so they are applied under one lock.
struct LinkChange {
  std::optional<bool> up = {};
  std::optional<int> master = {};          // 0: leave the bridge
  std::optional<std::string> name = {};    // an interface that is up may refuse
  std::optional<std::string> alias = {};
  std::optional<MacAddress> mac = {};
  std::optional<int> mtu = {};
  std::optional<uint32_t> group = {};
  std::optional<int> namespace_fd = {};    // moves the link
  bool no_link_local = false;              // no IPv6 link-local address: a bridge port needs none
};

struct LinkAddress {
  InterfaceAddress address;
  uint8_t protocol = 0;    // IFA_PROTO, who put it there (kernel 5.18; 0 before): lets an owner find its own again
};

enum class AddressScope { kGlobal, kHost };

struct Route {
  Prefix destination;
  int link = 0;            // index of the outgoing link
  IpAddress gateway;       // unset: on-link
};

struct Neighbour {
  IpAddress address;
  MacAddress mac;
  uint16_t state = 0;      // NUD_* of linux/neighbour.h
};

class Netlink {
 public:
  static StatusOr<std::unique_ptr<Netlink>> Open();
  ~Netlink();
  Netlink(const Netlink&) = delete;

  StatusOr<Link> FindLink(std::string_view name);
  StatusOr<std::vector<Link>> ListLinks(const LinkFilter& filter);
  Status CreateBridge(const NewBridge& bridge);
  Status CreateVeth(const VethEnd& a, const VethEnd& b, int mtu);  // both ends down; mtu 0: the default
  Status ChangeLink(const Link& link, const LinkChange& change);
  Status DeleteLink(const Link& link);                             // gone is fine
  // Deletes every link of the group at once: the kernel waits once for all of them. None is fine.
  Status DeleteGroup(uint32_t group);

  StatusOr<std::vector<LinkAddress>> ListAddresses(const Link& link);
  // There already (with whatever protocol) is fine. IPv6 goes without duplicate detection: leases say whose it is.
  Status AddAddress(const Link& link, const LinkAddress& address, AddressScope scope = AddressScope::kGlobal);
  Status RemoveAddress(const Link& link, const InterfaceAddress& address);  // gone is fine

  StatusOr<std::vector<Route>> ListRoutes(const Link& link);       // unicast routes of the main table
  Status AddRoute(const Link& link, const Route& route);           // the same route there already is fine
  Status RemoveRoute(const Link& link, const Route& route);        // gone is fine

  StatusOr<std::vector<Neighbour>> ListNeighbours(const Link& link, int family);  // AF_INET, AF_INET6
  // Gives the entry of that address a MAC and state, as a gratuitous ARP would. No entry: nothing is made.
  Status UpdateNeighbour(const Link& link, const Neighbour& neighbour);
  Status SetNeighbour(const Link& link, const Neighbour& neighbour);              // made if absent

 private:
  class Message;
  explicit Netlink(nl_sock* socket) : socket_(socket) {}
  // Sends, hands every answer to `on_item` and waits for the acknowledgement or the end of the dump.
  Status Transact(Message& message, std::string_view what, const std::function<void(nlmsghdr*)>& on_item = {});
  template <class Item>
  StatusOr<std::vector<Item>> Dump(Message& message, std::string_view what, std::optional<Item> (*parse)(nlmsghdr*));
  Status ChangeRoute(Message& message, const Link& link, const Route& route, std::string_view verb);
  Status PutNeighbour(int flags, const Link& link, const Neighbour& neighbour);

  nl_sock* const socket_;
};

}  // namespace fairlead
