// Every step looks first whether it is done already, so a repetition goes on where the last one failed. The alias tells
// the endpoint's own interface from others inside, also under the name it had on its way.
#include "dataplane/place.h"

#include <algorithm>
#include <fstream>

#include "base/net/netns.h"
#include "dataplane/interface_name.h"

namespace fairlead::dataplane {
namespace {

constexpr uint8_t kPlacedProtocol = 0xf2;  // IFA_PROTO of addresses inside: an older lease's goes when a newer one comes

class Placer {
 public:
  Placer(Netlink& inside, const EndpointSpec& endpoint, const Placement& placement, const std::function<Status()>& step)
      : inside_(inside), endpoint_(endpoint), placement_(placement), step_(step) {}

  Status Run() {
    ASSIGN_OR_RETURN(const Link link, Named());
    RETURN_IF_ERROR(step_());
    RETURN_IF_ERROR(inside_.ChangeLink(link, {.up = true, .mac = endpoint_.mac}));
    RETURN_IF_ERROR(PutAddresses(link));
    if (placement_.name_server.is_set()) {
      const Prefix only(placement_.name_server, placement_.name_server.bits());
      RETURN_IF_ERROR(step_());
      RETURN_IF_ERROR(inside_.AddRoute(link, {only, 0, {}}));
    }
    for (const IpAddress& gateway : placement_.gateways) RETURN_IF_ERROR(PutDefaultRoute(link, gateway));
    return OkStatus();
  }

 private:
  // The endpoint's interface under its name.
  StatusOr<Link> Named() {
    const std::string& name = placement_.interface;
    StatusOr<Link> there = inside_.FindLink(name);
    if (there.ok() && MarkedId(there->alias) == endpoint_.id) return there;
    if (there.ok())
      return AlreadyExists("namespace ", placement_.netns, " has an interface ", name, " already; name another one");
    if (there.status().code() != StatusCode::kNotFound) return there;
    ASSIGN_OR_RETURN(const Link waiting, inside_.FindLink(ContainerInterface(endpoint_.id)));
    RETURN_IF_ERROR(step_());  // the mark first: under its new name nothing else tells whose the interface is
    RETURN_IF_ERROR(inside_.ChangeLink(waiting, {.alias = Mark(endpoint_.id)}));
    RETURN_IF_ERROR(step_());
    RETURN_IF_ERROR(inside_.ChangeLink(waiting, {.up = false, .name = name}));
    return inside_.FindLink(name);
  }

  Status PutAddresses(const Link& link) {
    AllowIpv6();
    ASSIGN_OR_RETURN(const std::vector<LinkAddress> there, inside_.ListAddresses(link));
    for (const LinkAddress& old : there)
      if (old.protocol == kPlacedProtocol && std::ranges::find(endpoint_.addresses, old.address) == endpoint_.addresses.end()) {
        RETURN_IF_ERROR(step_());
        RETURN_IF_ERROR(inside_.RemoveAddress(link, old.address));
      }
    for (const InterfaceAddress& address : endpoint_.addresses) {
      RETURN_IF_ERROR(step_());
      RETURN_IF_ERROR(inside_.AddAddress(link, {address, kPlacedProtocol}));
    }
    return OkStatus();
  }

  // Some engines make namespaces without IPv6. The lease says that this interface has it; where /proc/sys is read-only
  // adding the address says so.
  void AllowIpv6() const {
    if (!std::ranges::any_of(endpoint_.addresses, [](const InterfaceAddress& a) { return a.address.is_v6(); })) return;
    const std::string path = Cat("/proc/sys/net/ipv6/conf/", placement_.interface, "/disable_ipv6");
    int disabled = 0;
    std::ifstream(path) >> disabled;
    if (disabled) std::ofstream(path) << 0;
  }

  Status PutDefaultRoute(const Link& link, const IpAddress& gateway) {
    const bool on_link = std::ranges::any_of(endpoint_.addresses, [&](const InterfaceAddress& address) {
      return address.prefix().Contains(gateway);
    });
    if (!on_link) return OkStatus();
    const IpAddress any = gateway.is_v4() ? IpAddress::V4(0) : IpAddress::V6(std::array<uint8_t, 16>{});
    RETURN_IF_ERROR(step_());
    const Status added = inside_.AddRoute(link, {Prefix(any, 0), 0, gateway});
    // The container's first network is its way out; further ones reach their own subnets.
    return added.code() == StatusCode::kAlreadyExists ? OkStatus() : added;
  }

  Netlink& inside_;
  const EndpointSpec& endpoint_;
  const Placement& placement_;
  const std::function<Status()>& step_;
};

}  // namespace

Status PlaceContainerSide(Netlink& host, const EndpointSpec& endpoint, const Placement& placement,
                          const BeforeStep& before_step) {
  if (placement.interface.empty() || placement.interface.size() > kMaxLinkName)
    return InvalidArgument("interface name \"", placement.interface, "\" is not of 1 to ", kMaxLinkName, " bytes");
  int steps = 0;
  const std::function<Status()> step = [&] { return before_step ? before_step(steps++) : OkStatus(); };
  ASSIGN_OR_RETURN(const NetworkNamespace target, NetworkNamespace::Open(placement.netns));
  // Made here by an Attach that did not name the namespace.
  const StatusOr<Link> waiting = host.FindLink(ContainerInterface(endpoint.id));
  if (waiting.ok()) {
    RETURN_IF_ERROR(step());
    RETURN_IF_ERROR(host.ChangeLink(*waiting, {.namespace_fd = target.fd()}));
  } else if (waiting.status().code() != StatusCode::kNotFound) {
    return waiting.status();
  }
  return WithContext(target.Run([&]() -> Status {
    ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
    return Placer(*inside, endpoint, placement, step).Run();
  }), Cat("namespace ", placement.netns, ": "));
}

Status CheckContainerSide(const EndpointSpec& endpoint, const Placement& placement) {
  ASSIGN_OR_RETURN(const NetworkNamespace target, NetworkNamespace::Open(placement.netns));
  return WithContext(target.Run([&]() -> Status {
    ASSIGN_OR_RETURN(const auto inside, Netlink::Open());
    ASSIGN_OR_RETURN(const Link link, inside->FindLink(placement.interface));
    if (!link.up) return FailedPrecondition(link.name, " is down");
    if (link.mac != endpoint.mac)
      return FailedPrecondition(link.name, " has MAC ", link.mac.ToString(), ", not ", endpoint.mac.ToString());
    ASSIGN_OR_RETURN(const std::vector<LinkAddress> there, inside->ListAddresses(link));
    for (const InterfaceAddress& address : endpoint.addresses)
      if (std::ranges::find(there, address, &LinkAddress::address) == there.end())
        return NotFound(link.name, " has lost its address ", address.ToString());
    return OkStatus();
  }), Cat("namespace ", placement.netns, ": "));
}

}  // namespace fairlead::dataplane
