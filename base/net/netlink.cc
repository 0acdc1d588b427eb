#include "base/net/netlink.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace fairlead {
namespace {

// A dump that raced a change says so (NLM_F_DUMP_INTR) and is made again, this often at most.
constexpr int kMaxDumpTries = 8;

Status KernelError(int error, std::string_view what, std::string_view why) {
  Status status = ErrnoStatus(error, what);
  if (error == EPERM) return Error(status.code(), Message(status), "; Fairlead's agent needs CAP_NET_ADMIN (run it as root)");
  if (error == EOPNOTSUPP && why.empty()) return Error(status.code(), Message(status), " by this kernel");
  return why.empty() ? status : Error(status.code(), Message(status), " (", why, ")");
}

// The kernel's own words about an error (NLMSGERR_ATTR_MSG), "" when it has none.
std::string Explanation(nlmsghdr* header) {
  if (!(header->nlmsg_flags & NLM_F_ACK_TLVS)) return "";
  const auto* error = static_cast<const nlmsgerr*>(nlmsg_data(header));
  // Without NLM_F_CAPPED the request is echoed whole before the attributes.
  size_t skip = sizeof *error;
  if (!(header->nlmsg_flags & NLM_F_CAPPED)) skip += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof error->msg;
  nlattr* text = nlmsg_find_attr(header, static_cast<int>(skip), NLMSGERR_ATTR_MSG);
  return text ? std::string(nla_get_string(text)) : "";
}

IpAddress ParseAddress(int family, const nlattr* attribute) {
  const auto* bytes = static_cast<const uint8_t*>(nla_data(attribute));
  if (family == AF_INET && nla_len(attribute) == 4) {
    uint32_t network_order;
    std::memcpy(&network_order, bytes, 4);
    return IpAddress::V4(ntohl(network_order));
  }
  if (family == AF_INET6 && nla_len(attribute) == 16) return IpAddress::V6(std::span<const uint8_t, 16>(bytes, 16));
  return IpAddress();
}

MacAddress ParseMac(const nlattr* attribute) {
  std::array<uint8_t, 6> bytes{};
  if (nla_len(attribute) == 6) std::memcpy(bytes.data(), nla_data(attribute), 6);
  return MacAddress(bytes);
}

uint8_t FamilyOf(const IpAddress& address) { return address.is_v4() ? AF_INET : AF_INET6; }

ifinfomsg LinkHeader(const Link& link) {
  ifinfomsg header{};
  header.ifi_index = link.index;
  return header;
}

ifaddrmsg AddressHeader(const Link& link, const InterfaceAddress& address = {}) {
  ifaddrmsg header{};
  header.ifa_family = address.address.is_set() ? FamilyOf(address.address) : uint8_t{AF_UNSPEC};
  header.ifa_prefixlen = static_cast<uint8_t>(address.prefix_length);
  header.ifa_index = static_cast<uint32_t>(link.index);
  return header;
}

rtmsg RouteHeader(const Route& route) {
  rtmsg header{};
  header.rtm_family = FamilyOf(route.destination.network());
  header.rtm_dst_len = static_cast<uint8_t>(route.destination.length());
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = route.gateway.is_set() ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  return header;
}

std::optional<Link> ParseLink(nlmsghdr* header) {
  nlattr* at[IFLA_MAX + 1];
  if (header->nlmsg_type != RTM_NEWLINK || nlmsg_parse(header, sizeof(ifinfomsg), at, IFLA_MAX, nullptr) < 0)
    return std::nullopt;
  const auto* info = static_cast<const ifinfomsg*>(nlmsg_data(header));
  Link link;
  link.index = info->ifi_index;
  link.up = (info->ifi_flags & IFF_UP) != 0;
  if (at[IFLA_IFNAME]) link.name = nla_get_string(at[IFLA_IFNAME]);
  if (at[IFLA_IFALIAS]) link.alias = nla_get_string(at[IFLA_IFALIAS]);
  if (at[IFLA_MASTER]) link.master = static_cast<int>(nla_get_u32(at[IFLA_MASTER]));
  if (at[IFLA_GROUP]) link.group = nla_get_u32(at[IFLA_GROUP]);
  if (at[IFLA_MTU]) link.mtu = static_cast<int>(nla_get_u32(at[IFLA_MTU]));
  if (at[IFLA_ADDRESS]) link.mac = ParseMac(at[IFLA_ADDRESS]);
  nlattr* kind[IFLA_INFO_MAX + 1];
  if (at[IFLA_LINKINFO] && nla_parse_nested(kind, IFLA_INFO_MAX, at[IFLA_LINKINFO], nullptr) == 0 && kind[IFLA_INFO_KIND])
    link.kind = nla_get_string(kind[IFLA_INFO_KIND]);
  return link;
}

std::optional<LinkAddress> ParseLinkAddress(nlmsghdr* header) {
  nlattr* at[IFA_MAX + 1];
  if (header->nlmsg_type != RTM_NEWADDR || nlmsg_parse(header, sizeof(ifaddrmsg), at, IFA_MAX, nullptr) < 0)
    return std::nullopt;
  const auto* info = static_cast<const ifaddrmsg*>(nlmsg_data(header));
  // IFA_ADDRESS is the far end on a point-to-point link; IFA_LOCAL, where there is one, is ours.
  const nlattr* address = at[IFA_LOCAL] ? at[IFA_LOCAL] : at[IFA_ADDRESS];
  if (!address) return std::nullopt;
  return LinkAddress{{ParseAddress(info->ifa_family, address), info->ifa_prefixlen},
                     at[IFA_PROTO] ? nla_get_u8(at[IFA_PROTO]) : uint8_t{0}};
}

std::optional<Route> ParseRoute(nlmsghdr* header) {
  nlattr* at[RTA_MAX + 1];
  if (header->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(header, sizeof(rtmsg), at, RTA_MAX, nullptr) < 0)
    return std::nullopt;
  const auto* info = static_cast<const rtmsg*>(nlmsg_data(header));
  if (info->rtm_type != RTN_UNICAST || info->rtm_table != RT_TABLE_MAIN || !at[RTA_OIF]) return std::nullopt;
  Route route;
  route.link = static_cast<int>(nla_get_u32(at[RTA_OIF]));
  const bool v4 = info->rtm_family == AF_INET;
  const IpAddress any = v4 ? IpAddress::V4(0) : IpAddress::V6(std::array<uint8_t, 16>{});
  route.destination = Prefix(at[RTA_DST] ? ParseAddress(info->rtm_family, at[RTA_DST]) : any, info->rtm_dst_len);
  if (at[RTA_GATEWAY]) route.gateway = ParseAddress(info->rtm_family, at[RTA_GATEWAY]);
  return route;
}

std::optional<std::pair<int, Neighbour>> ParseNeighbour(nlmsghdr* header) {
  nlattr* at[NDA_MAX + 1];
  if (header->nlmsg_type != RTM_NEWNEIGH || nlmsg_parse(header, sizeof(ndmsg), at, NDA_MAX, nullptr) < 0 || !at[NDA_DST])
    return std::nullopt;
  const auto* info = static_cast<const ndmsg*>(nlmsg_data(header));
  Neighbour neighbour;
  neighbour.address = ParseAddress(info->ndm_family, at[NDA_DST]);
  neighbour.state = info->ndm_state;
  if (at[NDA_LLADDR]) neighbour.mac = ParseMac(at[NDA_LLADDR]);
  return std::pair{info->ndm_ifindex, neighbour};
}

}  // namespace

// One request under construction. libnl grows no message: the default of a page is far above the largest one here.
class Netlink::Message {
 public:
  template <class Family>
  Message(int type, int flags, const Family& family) : message_(nlmsg_alloc_simple(type, flags)) {
    CHECK(message_ && nlmsg_append(message_, const_cast<Family*>(&family), sizeof family, NLMSG_ALIGNTO) == 0);
  }
  ~Message() { nlmsg_free(message_); }
  Message(const Message&) = delete;

  void Put(int attribute, std::string_view text) {  // NUL-terminated, as the kernel wants it
    CHECK(nla_put_string(message_, attribute, std::string(text).c_str()) == 0);
  }
  void Put32(int attribute, uint32_t value) { CHECK(nla_put_u32(message_, attribute, value) == 0); }
  void Put8(int attribute, uint8_t value) { CHECK(nla_put_u8(message_, attribute, value) == 0); }
  void Put(int attribute, std::span<const uint8_t> bytes) {
    CHECK(nla_put(message_, attribute, static_cast<int>(bytes.size()), bytes.data()) == 0);
  }
  template <class Body>
  void Nest(int attribute, const Body& body) {
    nlattr* nest = nla_nest_start(message_, attribute);
    CHECK(nest != nullptr);
    body();
    nla_nest_end(message_, nest);
  }
  template <class Family>
  void Append(const Family& family) {  // a family header inside an attribute, as in VETH_INFO_PEER
    CHECK(nlmsg_append(message_, const_cast<Family*>(&family), sizeof family, NLMSG_ALIGNTO) == 0);
  }
  void PutVethEnd(const VethEnd& end, int mtu) {
    Put(IFLA_IFNAME, end.name);
    if (end.mac.is_set()) Put(IFLA_ADDRESS, end.mac.bytes());
    if (mtu) Put32(IFLA_MTU, static_cast<uint32_t>(mtu));
    if (end.namespace_fd) Put32(IFLA_NET_NS_FD, static_cast<uint32_t>(*end.namespace_fd));
  }
  nl_msg* raw() { return message_; }

 private:
  nl_msg* const message_;
};

StatusOr<std::unique_ptr<Netlink>> Netlink::Open() {
  nl_sock* socket = nl_socket_alloc();
  if (!socket) return ErrnoStatus(ENOMEM, "open netlink socket");
  std::unique_ptr<Netlink> netlink(new Netlink(socket));
  if (nl_connect(socket, NETLINK_ROUTE) < 0) return ErrnoStatus(errno, "open netlink socket");
  nl_socket_disable_auto_ack(socket);  // NLM_F_ACK is set where it belongs
  // Strict checking makes the kernel honour a dump's filters; both options are best effort (kernel 4.12 and 4.20).
  const int on = 1;
  setsockopt(nl_socket_get_fd(socket), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  setsockopt(nl_socket_get_fd(socket), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return netlink;
}

Netlink::~Netlink() { nl_socket_free(socket_); }

Status Netlink::Transact(Message& message, std::string_view what, const std::function<void(nlmsghdr*)>& on_item) {
  if (const int sent = nl_send_auto(socket_, message.raw()); sent < 0) return Internal(what, ": ", nl_geterror(sent));
  const uint32_t sequence = nlmsg_hdr(message.raw())->nlmsg_seq;
  bool interrupted = false;
  while (true) {
    sockaddr_nl from{};
    unsigned char* raw = nullptr;
    const int received = nl_recv(socket_, &from, &raw, nullptr);
    if (received <= 0) return Internal(what, ": ", received < 0 ? nl_geterror(received) : "netlink socket closed");
    const std::unique_ptr<unsigned char, decltype(&std::free)> buffer(raw, &std::free);
    int left = received;
    for (auto* header = reinterpret_cast<nlmsghdr*>(raw); nlmsg_ok(header, left); header = nlmsg_next(header, &left)) {
      if (header->nlmsg_seq != sequence) continue;  // the rest of an exchange that ended in an error
      interrupted |= (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (header->nlmsg_type == NLMSG_DONE) return interrupted ? Aborted(what, ": links changed meanwhile") : OkStatus();
      if (header->nlmsg_type == NLMSG_ERROR) {
        const int error = -static_cast<const nlmsgerr*>(nlmsg_data(header))->error;
        return error == 0 ? OkStatus() : KernelError(error, what, Explanation(header));
      }
      if (on_item) on_item(header);
    }
  }
}

template <class Item>
StatusOr<std::vector<Item>> Netlink::Dump(Message& message, std::string_view what,
                                          std::optional<Item> (*parse)(nlmsghdr*)) {
  for (int tries = 1;; ++tries) {
    std::vector<Item> items;
    nlmsg_hdr(message.raw())->nlmsg_seq = NL_AUTO_SEQ;
    Status status = Transact(message, what, [&](nlmsghdr* header) {
      if (auto item = parse(header)) items.push_back(*std::move(item));
    });
    if (status.ok()) return items;
    if (status.code() != StatusCode::kAborted || tries == kMaxDumpTries) return status;
  }
}

StatusOr<Link> Netlink::FindLink(std::string_view name) {
  Message message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, ifinfomsg{});
  message.Put(IFLA_IFNAME, name);
  message.Put32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  std::optional<Link> link;
  RETURN_IF_ERROR(Transact(message, Cat("find link ", name), [&](nlmsghdr* header) { link = ParseLink(header); }));
  if (!link) return Internal("find link ", name, ": the kernel's answer holds no link");
  return *std::move(link);
}

StatusOr<std::vector<Link>> Netlink::ListLinks(const LinkFilter& filter) {
  Message message(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, ifinfomsg{});
  message.Put32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  if (filter.master) message.Put32(IFLA_MASTER, static_cast<uint32_t>(filter.master));
  if (!filter.kind.empty()) message.Nest(IFLA_LINKINFO, [&] { message.Put(IFLA_INFO_KIND, filter.kind); });
  ASSIGN_OR_RETURN(std::vector<Link> links, Dump<Link>(message, "list links", &ParseLink));
  // A kernel that knows no link of that kind yet ignores the filter.
  std::erase_if(links, [&](const Link& link) {
    return (!filter.kind.empty() && link.kind != filter.kind) || (filter.master && link.master != filter.master);
  });
  return links;
}

Status Netlink::CreateBridge(const NewBridge& bridge) {
  Message message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  message.Put(IFLA_IFNAME, bridge.name);
  if (bridge.mac.is_set()) message.Put(IFLA_ADDRESS, bridge.mac.bytes());
  if (bridge.mtu) message.Put32(IFLA_MTU, static_cast<uint32_t>(bridge.mtu));
  message.Nest(IFLA_LINKINFO, [&] { message.Put(IFLA_INFO_KIND, "bridge"); });
  return Transact(message, Cat("create bridge ", bridge.name));
}

Status Netlink::CreateVeth(const VethEnd& a, const VethEnd& b, int mtu) {
  Message message(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
  message.PutVethEnd(a, mtu);
  message.Nest(IFLA_LINKINFO, [&] {
    message.Put(IFLA_INFO_KIND, "veth");
    message.Nest(IFLA_INFO_DATA, [&] {
      message.Nest(VETH_INFO_PEER, [&] {
        message.Append(ifinfomsg{});
        message.PutVethEnd(b, mtu);
      });
    });
  });
  return Transact(message, Cat("create veth ", a.name));
}

Status Netlink::ChangeLink(const Link& link, const LinkChange& change) {
  ifinfomsg info = LinkHeader(link);
  if (change.up) {
    info.ifi_change = IFF_UP;
    info.ifi_flags = *change.up ? IFF_UP : 0;
  }
  Message message(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, info);
  if (change.master) message.Put32(IFLA_MASTER, static_cast<uint32_t>(*change.master));
  if (change.name) message.Put(IFLA_IFNAME, *change.name);
  if (change.alias) message.Put(IFLA_IFALIAS, *change.alias);
  if (change.mac) message.Put(IFLA_ADDRESS, change.mac->bytes());
  if (change.mtu) message.Put32(IFLA_MTU, static_cast<uint32_t>(*change.mtu));
  if (change.group) message.Put32(IFLA_GROUP, *change.group);
  if (change.namespace_fd) message.Put32(IFLA_NET_NS_FD, static_cast<uint32_t>(*change.namespace_fd));
  if (change.no_link_local) {
    message.Nest(IFLA_AF_SPEC, [&] {
      message.Nest(AF_INET6, [&] { message.Put8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); });
    });
  }
  return Transact(message, Cat("change link ", link.name));
}

Status Netlink::DeleteLink(const Link& link) {
  Message message(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, LinkHeader(link));
  Status status = Transact(message, Cat("delete link ", link.name));
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

Status Netlink::DeleteGroup(uint32_t group) {
  CHECK(group != 0);  // group 0 is every link that nobody grouped
  Message message(RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, ifinfomsg{});
  message.Put32(IFLA_GROUP, group);
  Status status = Transact(message, Cat("delete links of group ", group));
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

StatusOr<std::vector<LinkAddress>> Netlink::ListAddresses(const Link& link) {
  Message message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, AddressHeader(link));
  return Dump<LinkAddress>(message, Cat("list addresses of ", link.name), &ParseLinkAddress);
}

Status Netlink::AddAddress(const Link& link, const LinkAddress& address, AddressScope scope) {
  const IpAddress& ip = address.address.address;
  ifaddrmsg header = AddressHeader(link, address.address);
  header.ifa_flags = ip.is_v6() ? IFA_F_NODAD : 0;
  header.ifa_scope = scope == AddressScope::kHost ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
  Message message(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header);
  message.Put(IFA_LOCAL, ip.bytes());
  message.Put(IFA_ADDRESS, ip.bytes());
  if (address.protocol) message.Put8(IFA_PROTO, address.protocol);
  Status status = Transact(message, Cat("add address ", address.address.ToString(), " to ", link.name));
  return status.code() == StatusCode::kAlreadyExists ? OkStatus() : status;
}

Status Netlink::RemoveAddress(const Link& link, const InterfaceAddress& address) {
  Message message(RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK, AddressHeader(link, address));
  message.Put(IFA_LOCAL, address.address.bytes());
  Status status = Transact(message, Cat("remove address ", address.ToString(), " from ", link.name));
  // EADDRNOTAVAIL has no code of its own; whether the address is gone is what was asked.
  if (status.ok() || status.code() == StatusCode::kNotFound) return OkStatus();
  ASSIGN_OR_RETURN(const std::vector<LinkAddress> left, ListAddresses(link));
  for (const LinkAddress& other : left)
    if (other.address == address) return status;
  return OkStatus();
}

StatusOr<std::vector<Route>> Netlink::ListRoutes(const Link& link) {
  Message message(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, rtmsg{});
  ASSIGN_OR_RETURN(std::vector<Route> routes, Dump<Route>(message, Cat("list routes of ", link.name), &ParseRoute));
  std::erase_if(routes, [&](const Route& route) { return route.link != link.index; });
  return routes;
}

Status Netlink::ChangeRoute(Message& message, const Link& link, const Route& route, std::string_view verb) {
  if (route.destination.length() > 0) message.Put(RTA_DST, route.destination.network().bytes());
  if (route.gateway.is_set()) message.Put(RTA_GATEWAY, route.gateway.bytes());
  message.Put32(RTA_OIF, static_cast<uint32_t>(link.index));
  return Transact(message, Cat(verb, " route ", route.destination.ToString(), " dev ", link.name));
}

Status Netlink::AddRoute(const Link& link, const Route& route) {
  Message message(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, RouteHeader(route));
  Status status = ChangeRoute(message, link, route, "add");
  if (status.code() != StatusCode::kAlreadyExists) return status;
  ASSIGN_OR_RETURN(const std::vector<Route> there, ListRoutes(link));
  for (const Route& other : there)
    if (other.destination == route.destination && other.gateway == route.gateway) return OkStatus();
  return status;
}

Status Netlink::RemoveRoute(const Link& link, const Route& route) {
  rtmsg header = RouteHeader(route);
  header.rtm_protocol = RTPROT_UNSPEC;  // whoever made it
  Message message(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, header);
  Status status = ChangeRoute(message, link, route, "remove");
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

StatusOr<std::vector<Neighbour>> Netlink::ListNeighbours(const Link& link, int family) {
  ndmsg header{};
  header.ndm_family = static_cast<uint8_t>(family);
  Message message(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, header);
  using Entry = std::pair<int, Neighbour>;
  ASSIGN_OR_RETURN(const std::vector<Entry> entries, Dump<Entry>(message, Cat("list neighbours of ", link.name), &ParseNeighbour));
  std::vector<Neighbour> neighbours;
  for (const auto& [index, neighbour] : entries)
    if (index == link.index) neighbours.push_back(neighbour);
  return neighbours;
}

Status Netlink::PutNeighbour(int flags, const Link& link, const Neighbour& neighbour) {
  ndmsg header{};
  header.ndm_family = FamilyOf(neighbour.address);
  header.ndm_ifindex = link.index;
  header.ndm_state = neighbour.state;
  Message message(RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_ACK | NLM_F_REPLACE | flags, header);
  message.Put(NDA_DST, neighbour.address.bytes());
  message.Put(NDA_LLADDR, neighbour.mac.bytes());
  return Transact(message, Cat("set neighbour ", neighbour.address.ToString(), " dev ", link.name));
}

Status Netlink::SetNeighbour(const Link& link, const Neighbour& neighbour) {
  return PutNeighbour(NLM_F_CREATE, link, neighbour);
}

Status Netlink::UpdateNeighbour(const Link& link, const Neighbour& neighbour) {
  Status status = PutNeighbour(0, link, neighbour);
  return status.code() == StatusCode::kNotFound ? OkStatus() : status;
}

}  // namespace fairlead
