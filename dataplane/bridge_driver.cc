// The bridge driver: a veth pair per endpoint, its host side a port of the network's bridge. No NAT: containers have
// the addresses that others see. The packet filter gets one rule per bridge of ours, and only where it would see bridged
// packets (bridge_filter.h).
//
// What a crash can leave is found again by marks in the kernel: the alias of bridges and host sides (interface_name.h),
// IFA_PROTO of addresses, the group of condemned links (reaper.h). Memory between calls holds nothing that matters.
#include <linux/neighbour.h>

#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "base/net/netlink.h"
#include "base/net/netns.h"
#include "dataplane/announce.h"
#include "dataplane/bridge_filter.h"
#include "dataplane/dataplane.h"
#include "dataplane/interface_name.h"
#include "dataplane/place.h"
#include "dataplane/probe.h"
#include "dataplane/reaper.h"

namespace fairlead::dataplane {
namespace {

constexpr uint8_t kAddressProtocol = 0xf1;  // IFA_PROTO of addresses that we put on a bridge
constexpr int kAnnouncements = 3;           // a lost frame must not leave a peer with an older MAC

Status CheckMode(const NetworkSpec& network) {
  if (network.mode == "bridge") return OkStatus();
  if (network.mode == "routed" || network.mode == "macvlan" || network.mode == "overlay")
    return Unimplemented("not yet: network mode ", network.mode, "; use mode bridge");
  return InvalidArgument("network ", network.id, ": unknown mode ", network.mode, "; use mode bridge");
}

class BridgeDriver final : public Driver {
 public:
  BridgeDriver(std::unique_ptr<Netlink> netlink, std::unique_ptr<Netlink> reapers)
      : netlink_(std::move(netlink)), reaper_(std::move(reapers)) {}

  Status EnsureNetwork(const NetworkSpec& network) override;
  Status RecheckFilter(const NetworkSpec& network) override;
  Status RemoveNetwork(const NetworkSpec& network) override;
  StatusOr<Attachment> Attach(const NetworkSpec& network, const EndpointSpec& endpoint) override;
  Status Place(const NetworkSpec& network, const EndpointSpec& endpoint, const Placement& placement) override;
  Status CheckPlaced(const EndpointSpec& endpoint, const Placement& placement) override {
    return CheckContainerSide(endpoint, placement);
  }
  StatusOr<std::optional<MacAddress>> Probe(const NetworkSpec& network, const IpAddress& address) override;
  Status Detach(const std::string& endpoint_id) override;
  Status Announce(const NetworkSpec& network, const EndpointSpec& endpoint) override;
  StatusOr<std::vector<std::string>> ListEndpoints() override;
  StatusOr<std::vector<std::string>> ListUnplaced() override;
  StatusOr<int> Reconcile(const std::vector<std::string>& wanted) override;

 private:
  StatusOr<Link> FindBridge(const NetworkSpec& network) { return FindBridge(*netlink_, network); }
  static StatusOr<Link> FindBridge(Netlink& netlink, const NetworkSpec& network);
  StatusOr<Link> FindOrMakeBridge(const NetworkSpec& network);
  Status TakeOver(const Link& bridge, const NetworkSpec& network);
  Status DropAddresses(const Link& bridge, const std::vector<LinkAddress>& there, const std::vector<InterfaceAddress>& but);
  StatusOr<Link> FindOrMakeVeth(const EndpointSpec& endpoint, int mtu);
  Status Condemn(const Link& host_side);

  const std::unique_ptr<Netlink> netlink_;
  Reaper reaper_;
  BridgeFilter filter_;
  FrameSender sender_;
};

// Containers of a bridge that is filtered still reach the host and the balancer: no reason to refuse them.
void WarnIfFiltered(const Status& status) {
  if (!status.ok()) LOG(kWarning, "the packet filter may drop what containers say to each other", {"error", Message(status)});
}

StatusOr<Link> BridgeDriver::FindBridge(Netlink& netlink, const NetworkSpec& network) {
  ASSIGN_OR_RETURN(Link bridge, netlink.FindLink(BridgeName(network)));
  if (bridge.kind == "bridge") return bridge;
  return FailedPrecondition("network ", network.id, ": interface ", bridge.name, " is no bridge; name another one");
}

StatusOr<Link> BridgeDriver::FindOrMakeBridge(const NetworkSpec& network) {
  const std::string name = BridgeName(network);
  if (name.size() > kMaxLinkName)
    return InvalidArgument("network ", network.id, ": bridge name ", name, " is longer than ", kMaxLinkName, " bytes");
  StatusOr<Link> bridge = FindBridge(network);
  if (bridge.status().code() == StatusCode::kNotFound) {
    RETURN_IF_ERROR(netlink_->CreateBridge({name, BridgeMac(network.id), network.mtu}));
    bridge = FindBridge(network);
  }
  if (!bridge.ok()) return bridge;
  // The MAC is there from the first moment, the alias is not: it tells a bridge that a crash left unmarked from a user's.
  if (!bridge->alias.empty() || bridge->mac != BridgeMac(network.id)) return bridge;
  RETURN_IF_ERROR(netlink_->ChangeLink(*bridge, {.alias = Mark(network.id)}));
  bridge->alias = Mark(network.id);
  return bridge;
}

// A bridge that we made for another network: taken over when that one is gone (it has no ports), refused otherwise.
Status BridgeDriver::TakeOver(const Link& bridge, const NetworkSpec& network) {
  ASSIGN_OR_RETURN(const std::vector<Link> ports, netlink_->ListLinks({.master = bridge.index}));
  if (!ports.empty())
    return AlreadyExists("bridge ", bridge.name, " belongs to network ", *MarkedId(bridge.alias), " and has ",
                         ports.size(), " ports; give network ", network.id, " a bridge of its own");
  ASSIGN_OR_RETURN(const std::vector<LinkAddress> there, netlink_->ListAddresses(bridge));
  RETURN_IF_ERROR(DropAddresses(bridge, there, network.gateways));
  return netlink_->ChangeLink(bridge, {.alias = Mark(network.id)});
}

// Removes those of the addresses `there` that carry our mark, all `but` some.
Status BridgeDriver::DropAddresses(const Link& bridge, const std::vector<LinkAddress>& there,
                                   const std::vector<InterfaceAddress>& but) {
  for (const LinkAddress& address : there)
    if (address.protocol == kAddressProtocol && std::ranges::find(but, address.address) == but.end())
      RETURN_IF_ERROR(netlink_->RemoveAddress(bridge, address.address));
  return OkStatus();
}

Status BridgeDriver::EnsureNetwork(const NetworkSpec& network) {
  RETURN_IF_ERROR(CheckMode(network));
  ASSIGN_OR_RETURN(const Link bridge, FindOrMakeBridge(network));
  const std::optional<std::string> owner = MarkedId(bridge.alias);
  if (owner && *owner != network.id) RETURN_IF_ERROR(TakeOver(bridge, network));
  // Only what differs is changed: a change takes the kernel's lock, which a dying interface holds for 20 ms.
  const bool other_mtu = owner && network.mtu && network.mtu != bridge.mtu;
  if (!bridge.up || other_mtu) {
    LinkChange change{.up = true};
    if (other_mtu) change.mtu = network.mtu;
    RETURN_IF_ERROR(netlink_->ChangeLink(bridge, change));
  }
  ASSIGN_OR_RETURN(const std::vector<LinkAddress> there, netlink_->ListAddresses(bridge));
  for (const InterfaceAddress& gateway : network.gateways)
    if (std::ranges::find(there, gateway, &LinkAddress::address) == there.end())
      RETURN_IF_ERROR(netlink_->AddAddress(bridge, {gateway, kAddressProtocol}));
  if (!owner) return OkStatus();
  WarnIfFiltered(filter_.AllowOnce(bridge.name));
  return DropAddresses(bridge, there, network.gateways);
}

Status BridgeDriver::RecheckFilter(const NetworkSpec& network) {
  ASSIGN_OR_RETURN(const Link bridge, FindBridge(network));
  return MarkedId(bridge.alias) ? filter_.Allow(bridge.name) : OkStatus();
}

Status BridgeDriver::RemoveNetwork(const NetworkSpec& network) {
  RETURN_IF_ERROR(CheckMode(network));
  StatusOr<Link> bridge = FindBridge(network);
  if (bridge.status().code() == StatusCode::kNotFound) return OkStatus();
  RETURN_IF_ERROR(bridge.status());
  const std::optional<std::string> owner = MarkedId(bridge->alias);
  if (owner == network.id) {
    WarnIfFiltered(filter_.Forget(bridge->name));
    return netlink_->DeleteLink(*bridge);
  }
  if (owner) return OkStatus();  // another network has taken it over
  ASSIGN_OR_RETURN(const std::vector<LinkAddress> there, netlink_->ListAddresses(*bridge));
  for (const LinkAddress& address : there)
    if (address.protocol == kAddressProtocol && std::ranges::find(network.gateways, address.address) != network.gateways.end())
      RETURN_IF_ERROR(netlink_->RemoveAddress(*bridge, address.address));
  return OkStatus();
}

// The host side of the endpoint's pair. Made without its mark, down and outside the bridge: a crash right here leaves
// something harmless that the next Attach or Reconcile replaces.
StatusOr<Link> BridgeDriver::FindOrMakeVeth(const EndpointSpec& endpoint, int mtu) {
  const VethEnd host{HostInterface(endpoint.id), HostMac(endpoint.mac)};
  VethEnd container{ContainerInterface(endpoint.id), endpoint.mac};
  std::optional<NetworkNamespace> target;
  if (!endpoint.netns.empty()) {
    ASSIGN_OR_RETURN(NetworkNamespace opened, NetworkNamespace::Open(endpoint.netns));
    target.emplace(std::move(opened));
    container.namespace_fd = target->fd();
  }
  Status made = netlink_->CreateVeth(host, container, mtu);
  if (made.code() == StatusCode::kAlreadyExists) {
    // The reaper may take a condemned pair away between any two of these steps.
    StatusOr<Link> there = netlink_->FindLink(host.name);
    if (there.ok()) {
      const std::optional<std::string> owner = MarkedId(there->alias);
      if (owner == endpoint.id && there->group != kCondemnedGroup) return there;
      const bool replaceable = there->kind == "veth" && (there->alias.empty() || owner == endpoint.id);
      if (!replaceable)
        return AlreadyExists("interface ", host.name, " of endpoint ", endpoint.id, " is taken (alias \"", there->alias, "\")");
      Status deleted = netlink_->DeleteLink(*there);
      if (!deleted.ok() && deleted.code() != StatusCode::kNotFound) return deleted;
    } else if (there.status().code() != StatusCode::kNotFound) {
      return there.status();
    }
    made = netlink_->CreateVeth(host, container, mtu);
  }
  RETURN_IF_ERROR(made);
  return netlink_->FindLink(host.name);
}

StatusOr<Attachment> BridgeDriver::Attach(const NetworkSpec& network, const EndpointSpec& endpoint) {
  RETURN_IF_ERROR(CheckMode(network));
  if (!endpoint.mac.is_set()) return InvalidArgument("endpoint ", endpoint.id, " has no MAC address");
  if (Mark(endpoint.id).size() > kMaxLinkAlias)
    return InvalidArgument("endpoint id ", endpoint.id, " is longer than an interface's alias can hold");
  ASSIGN_OR_RETURN(const Link bridge, FindBridge(network));
  if (MarkedId(bridge.alias)) WarnIfFiltered(filter_.AllowOnce(bridge.name));
  const int mtu = network.mtu ? network.mtu : bridge.mtu;
  ASSIGN_OR_RETURN(const Link host, FindOrMakeVeth(endpoint, mtu));
  LinkChange change{.up = true, .alias = Mark(endpoint.id), .no_link_local = true};
  if (host.master != bridge.index) change.master = bridge.index;
  RETURN_IF_ERROR(netlink_->ChangeLink(host, change));
  return Attachment{host.name, ContainerInterface(endpoint.id), bridge.name};
}

Status BridgeDriver::Place(const NetworkSpec& network, const EndpointSpec& endpoint, const Placement& placement) {
  RETURN_IF_ERROR(CheckMode(network));
  return PlaceContainerSide(*netlink_, endpoint, placement);
}

// With a netlink socket of its own, since the driver's belongs to another thread.
StatusOr<std::optional<MacAddress>> BridgeDriver::Probe(const NetworkSpec& network, const IpAddress& address) {
  RETURN_IF_ERROR(CheckMode(network));
  ASSIGN_OR_RETURN(const auto netlink, Netlink::Open());
  const StatusOr<Link> bridge = FindBridge(*netlink, network);
  if (bridge.status().code() == StatusCode::kNotFound) return std::nullopt;
  RETURN_IF_ERROR(bridge.status());
  ASSIGN_OR_RETURN(const std::vector<Link> ports, netlink->ListLinks({.master = bridge->index}));
  std::vector<int> lan;
  for (const Link& port : ports)
    if (port.up && !(IsHostInterface(port.name) && MarkedId(port.alias))) lan.push_back(port.index);
  if (lan.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(const auto wire, OpenPorts(lan, address));
  return ProbeOn(*wire, address, bridge->mac);
}

// Down is what makes the address unusable at once. The rest of the link's life is the reaper's.
Status BridgeDriver::Condemn(const Link& host_side) {
  return netlink_->ChangeLink(host_side, {.up = false, .master = 0, .group = kCondemnedGroup});
}

Status BridgeDriver::Detach(const std::string& endpoint_id) {
  StatusOr<Link> host = netlink_->FindLink(HostInterface(endpoint_id));
  if (host.status().code() == StatusCode::kNotFound) return OkStatus();
  RETURN_IF_ERROR(host.status());
  if (MarkedId(host->alias) != endpoint_id || host->group == kCondemnedGroup) return OkStatus();
  Status status = Condemn(*host);
  if (status.code() == StatusCode::kNotFound) return OkStatus();  // its namespace went meanwhile, and the pair with it
  reaper_.Wake();
  return status;
}

Status BridgeDriver::Announce(const NetworkSpec& network, const EndpointSpec& endpoint) {
  RETURN_IF_ERROR(CheckMode(network));
  ASSIGN_OR_RETURN(const Link bridge, FindBridge(network));
  std::vector<std::vector<uint8_t>> frames;
  for (int i = 0; i < kAnnouncements; ++i)
    for (const InterfaceAddress& address : endpoint.addresses)
      frames.push_back(AnnouncementFrame(address.address, endpoint.mac));
  RETURN_IF_ERROR(WithContext(sender_.Send(bridge.index, frames), Cat("announce ", endpoint.id, " on ", bridge.name, ": ")));
  // The host does not hear what it sends itself, and its own entry is the one that the balancer uses.
  for (const InterfaceAddress& address : endpoint.addresses)
    RETURN_IF_ERROR(netlink_->UpdateNeighbour(bridge, {address.address, endpoint.mac, NUD_STALE}));
  return OkStatus();
}

StatusOr<std::vector<std::string>> BridgeDriver::ListEndpoints() {
  ASSIGN_OR_RETURN(const std::vector<Link> veths, netlink_->ListLinks({.kind = "veth"}));
  std::vector<std::string> ids;
  for (const Link& link : veths)
    if (IsHostInterface(link.name) && link.group != kCondemnedGroup)
      if (auto id = MarkedId(link.alias)) ids.push_back(*std::move(id));
  return ids;
}

StatusOr<std::vector<std::string>> BridgeDriver::ListUnplaced() {
  ASSIGN_OR_RETURN(const std::vector<Link> veths, netlink_->ListLinks({.kind = "veth"}));
  std::unordered_set<std::string> names;
  for (const Link& link : veths) names.insert(link.name);
  ASSIGN_OR_RETURN(std::vector<std::string> ids, ListEndpoints());
  std::erase_if(ids, [&](const std::string& id) { return !names.contains(ContainerInterface(id)); });
  return ids;
}

StatusOr<int> BridgeDriver::Reconcile(const std::vector<std::string>& wanted) {
  const std::unordered_set<std::string> keep(wanted.begin(), wanted.end());
  ASSIGN_OR_RETURN(const std::vector<Link> veths, netlink_->ListLinks({.kind = "veth"}));
  int removed = 0;
  for (const Link& link : veths) {
    if (!IsHostInterface(link.name) || link.group == kCondemnedGroup) continue;
    const std::optional<std::string> id = MarkedId(link.alias);
    const bool half_made = link.alias.empty() && !link.up && link.master == 0;
    if (id ? keep.contains(*id) : !half_made) continue;
    RETURN_IF_ERROR(Condemn(link));
    LOG(kInfo, "endpoint left by an earlier run removed", {"interface", link.name}, {"endpoint", id.value_or("")});
    ++removed;
  }
  if (removed) reaper_.Wake();
  return removed;
}

// Answers every call with why the kernel could not be reached.
class BrokenDriver final : public Driver {
 public:
  explicit BrokenDriver(Status why) : why_(std::move(why)) {}
  Status EnsureNetwork(const NetworkSpec&) override { return why_; }
  Status RecheckFilter(const NetworkSpec&) override { return why_; }
  Status RemoveNetwork(const NetworkSpec&) override { return why_; }
  StatusOr<Attachment> Attach(const NetworkSpec&, const EndpointSpec&) override { return why_; }
  Status Place(const NetworkSpec&, const EndpointSpec&, const Placement&) override { return why_; }
  Status CheckPlaced(const EndpointSpec&, const Placement&) override { return why_; }
  StatusOr<std::optional<MacAddress>> Probe(const NetworkSpec&, const IpAddress&) override { return why_; }
  Status Detach(const std::string&) override { return why_; }
  Status Announce(const NetworkSpec&, const EndpointSpec&) override { return why_; }
  StatusOr<std::vector<std::string>> ListEndpoints() override { return why_; }
  StatusOr<std::vector<std::string>> ListUnplaced() override { return why_; }
  StatusOr<int> Reconcile(const std::vector<std::string>&) override { return why_; }

 private:
  const Status why_;
};

}  // namespace

std::unique_ptr<Driver> MakeBridgeDriver() {
  auto calls = Netlink::Open();
  auto reaper = Netlink::Open();
  if (!calls.ok()) return std::make_unique<BrokenDriver>(calls.status());
  if (!reaper.ok()) return std::make_unique<BrokenDriver>(reaper.status());
  return std::make_unique<BridgeDriver>(*std::move(calls), *std::move(reaper));
}

}  // namespace fairlead::dataplane
