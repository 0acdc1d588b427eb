#include "discovery/dns/row_names.h"

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "discovery/names.h"
#include "discovery/dns/wire.h"

namespace fairlead::dns {

namespace {

using discovery::EndpointRow;
using discovery::LeaseRow;
using discovery::NodeRow;
using discovery::Row;
using discovery::ServiceEntry;

// What an endpoint's name tells of it (RFC 1464).
void Attributes(const EndpointRow& row, std::string_view owner, NameSink& sink) {
  const std::pair<std::string_view, const std::string&> attributes[] = {
      {"container", row.name}, {"node", row.node}, {"release", row.release}, {"env", row.env}, {"branch", row.branch}};
  for (const auto& [name, value] : attributes) {
    if (!value.empty()) sink.Record(owner, kTxt, TxtData(Cat(name, "=", value)));
  }
}

// SERVICE.PROJECT.svc.ZONE, with its releases, and below it SRV records and the name of each endpoint. Only endpoints that
// may take traffic are named; the names stay known.
void ServiceNames(const EndpointRow& row, const ServiceEntry& entry, const ZoneNames& zones, NameSink& sink) {
  std::string service = ServiceLabel(entry.service, row.branch), project = discovery::NameLabel(entry.project);
  std::string owner = Owner({service, project, "svc"}, zones.zone);
  if (owner.empty()) return;
  sink.Known(owner);
  bool serves = row.ready(entry);
  std::string target = entry.ip.is_set() ? Owner({AddressLabel(entry.ip)}, owner) : "";
  if (serves) {
    sink.Record(owner, AddressType(entry.ip), AddressData(entry.ip));
    if (!row.release.empty()) sink.Record(owner, kTxt, TxtData(Cat("release=", row.release)));
    if (!target.empty()) {
      sink.Record(target, AddressType(entry.ip), AddressData(entry.ip));
      Attributes(row, target, sink);
    }
  }
  for (size_t i = 0; i < entry.ports.size(); i++) {
    const discovery::Port& port = entry.ports[i];
    std::string name = Cat("_", port.name.empty() ? Cat(port.number) : discovery::NameLabel(port.name));
    std::string srv = Owner({name, Cat("_", port.protocol)}, owner);
    if (srv.empty()) continue;
    sink.Known(srv);
    uint16_t reachable = ReachablePort(row, entry, i);
    if (!serves || target.empty() || reachable == 0) continue;
    auto weight = static_cast<uint16_t>(std::min<uint32_t>(entry.weight, 0xffff));
    sink.Srv(srv, SrvData(0, weight, reachable, target), entry.ip);
  }
}

// SERVICE.PROJECT.lb.ZONE.
void BalancedName(const EndpointRow& row, const ServiceEntry& entry, const ZoneNames& zones, NameSink& sink) {
  if (!entry.published()) return;
  std::string owner = Owner({ServiceLabel(entry.service, row.branch), discovery::NameLabel(entry.project), "lb"}, zones.zone);
  if (!owner.empty()) sink.Balanced(owner);
}

// It was healthy once and has not stopped: from then on its branch has names. One that fails its check keeps them, as one that drains.
bool HasAppeared(const EndpointRow& row, const ServiceEntry& entry) {
  using discovery::HealthState, discovery::RunState;
  if (!entry.published() || row.state == RunState::kCreated || row.state == RunState::kExited) return false;
  const discovery::CheckedHealth health = discovery::JointHealth(row, entry);
  return health.state != HealthState::kStarting && (health.state != HealthState::kUnhealthy || health.was_healthy);
}

// BRANCH.PROJECT.BRANCH_ZONE and below, and the forms of one label that a certificate for *.BRANCH_ZONE covers.
void BranchNames(const EndpointRow& row, const ServiceEntry& entry, const ZoneNames& zones, NameSink& sink) {
  std::string branch = discovery::BranchLabel(row.branch), project = discovery::NameLabel(entry.project);
  if (zones.branch_zone.empty() || branch.empty() || !HasAppeared(row, entry)) return;
  std::string flat = Cat(branch, "--", project);
  for (const std::string& name :
       {Owner({branch, project}, zones.branch_zone), Owner({"*", branch, project}, zones.branch_zone),
        Owner({discovery::NameLabel(flat)}, zones.branch_zone),
        Owner({discovery::NameLabel(Cat(discovery::NameLabel(entry.service), "--", flat))}, zones.branch_zone)}) {
    if (!name.empty()) sink.Balanced(name);
  }
}

// Inside a project the addresses that the other containers can reach: those on our networks if there are any. A container's
// own name is known in all of the project; an alias says what a container does, and that is its branch's matter.
void LocalNames(const EndpointRow& row, std::string_view name, NameSink& sink) {
  const AskerScope project{discovery::NameLabel(row.project)}, own{project.project, row.branch};
  const AskerScope asker{own.project, own.branch, row.env};
  bool managed = std::any_of(row.addresses.begin(), row.addresses.end(), [](const auto& a) { return a.managed; });
  bool runs = row.state == discovery::RunState::kRunning;
  std::set<std::string> aliases;
  for (const std::string& alias : row.aliases) aliases.insert(discovery::NameLabel(alias));
  sink.Local(LocalKind::kContainer, name, project, {});
  for (const std::string& alias : aliases) sink.Local(LocalKind::kAlias, alias, own, {});
  for (const discovery::Address& address : row.addresses) {
    if (address.managed != managed || !address.ip.is_set()) continue;
    sink.Local(LocalKind::kContainer, name, project, address.ip);
    if (managed) sink.Asker(address.ip, asker, true);
    if (!runs) continue;
    for (const std::string& alias : aliases) sink.Local(LocalKind::kAlias, alias, own, address.ip);
  }
}

void EndpointNames(const EndpointRow& row, std::string_view name, const ZoneNames& zones, NameSink& sink) {
  if (!name.empty()) {
    std::string node = discovery::NameLabel(row.node);
    sink.Container(name, node);
    for (const discovery::Address& address : row.addresses) {
      if (address.ip.is_set()) sink.ContainerAddress(name, node, address.ip);
    }
    LocalNames(row, name, sink);
  }
  ServiceNamesOf(row, zones, sink);
  for (const ServiceEntry& entry : row.services) {
    BalancedName(row, entry, zones, sink);
    BranchNames(row, entry, zones, sink);
  }
}

void LeaseNames(const LeaseRow& lease, std::string_view owner_node, std::string_view name, const ZoneNames& zones,
                NameSink& sink) {
  if (name.empty()) return;
  std::string node = discovery::NameLabel(owner_node);
  sink.Container(name, node);
  sink.ContainerAddress(name, node, lease.ip);
  if (std::string target = Owner({name, node, "ct"}, zones.zone); !target.empty()) sink.Reverse(lease.ip, target);
  if (lease.project.empty()) return;
  const AskerScope project{discovery::NameLabel(lease.project)};
  sink.Asker(lease.ip, project, false);
  sink.Local(LocalKind::kContainer, name, project, lease.ip);
}

void NodeNames(const NodeRow& row, const ZoneNames& zones, NameSink& sink) {
  std::string owner = Owner({discovery::NameLabel(row.name), "node"}, zones.zone);
  if (owner.empty()) return;
  sink.Known(owner);
  for (const IpAddress& ip : row.addresses) {
    if (!ip.is_set()) continue;
    sink.Record(owner, AddressType(ip), AddressData(ip));
    sink.NodeAddress(row.name, ip);
  }
}

std::string ReverseLabels(const IpAddress& ip, size_t from) {
  std::string name;
  auto bytes = ip.bytes();
  auto label = [&name](std::string_view text) {
    name.push_back(static_cast<char>(text.size()));
    name.append(text);
  };
  if (ip.is_v4()) {
    for (size_t i = bytes.size() - from; i-- > 0;) label(Cat(static_cast<unsigned>(bytes[i])));
    return name + std::string("\7in-addr\4arpa\0", 14);
  }
  for (size_t i = bytes.size() - from; i-- > 0;) {
    label(std::string_view("0123456789abcdef").substr(bytes[i] & 15, 1));
    label(std::string_view("0123456789abcdef").substr(bytes[i] >> 4, 1));
  }
  return name + std::string("\3ip6\4arpa\0", 10);
}

}  // namespace

std::string_view ContainerOf(const Row& row) {
  if (const EndpointRow* endpoint = row.endpoint()) return endpoint->name;
  // A provisional lease does not know its name yet: there is nothing to say.
  const LeaseRow* lease = row.lease();
  return lease != nullptr && !lease->provisional && lease->ip.is_set() ? std::string_view(lease->name) : "";
}

void NamesOf(const Row& row, std::string_view container, const ZoneNames& zones, NameSink& sink) {
  if (const EndpointRow* endpoint = row.endpoint()) EndpointNames(*endpoint, container, zones, sink);
  if (const LeaseRow* lease = row.lease()) LeaseNames(*lease, row.node, container, zones, sink);
  if (const NodeRow* node = row.node_row()) NodeNames(*node, zones, sink);
}

bool DifferInServicesAlone(const EndpointRow& a, const EndpointRow& b) {
  using discovery::RunState;
  auto same_name = [&](const ServiceEntry& x, const ServiceEntry& y) {
    return x.service == y.service && x.project == y.project && x.published() == y.published() &&
           (a.branch.empty() || HasAppeared(a, x) == HasAppeared(b, y));
  };
  return a.name == b.name && a.node == b.node && a.project == b.project && a.branch == b.branch && a.env == b.env &&
         (a.state == RunState::kRunning) == (b.state == RunState::kRunning) && a.addresses == b.addresses &&
         a.aliases == b.aliases && std::ranges::equal(a.services, b.services, same_name);
}

void ServiceNamesOf(const EndpointRow& row, const ZoneNames& zones, NameSink& sink) {
  for (const ServiceEntry& entry : row.services) ServiceNames(row, entry, zones, sink);
}

std::string ServiceLabel(std::string_view service, std::string_view branch) {
  return discovery::NameLabel(branch.empty() ? std::string(service) : Cat(service, "--", branch));
}

std::string AddressData(const IpAddress& ip) {
  return std::string(reinterpret_cast<const char*>(ip.bytes().data()), ip.bytes().size());
}

uint16_t AddressType(const IpAddress& ip) { return ip.is_v4() ? kA : kAaaa; }

std::string SrvData(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target) {
  std::string data;
  Append16(data, priority);
  Append16(data, weight);
  Append16(data, port);
  data.append(target);
  return data;
}

std::string TxtData(std::string_view text) {
  std::string data;
  do {
    std::string_view piece = text.substr(0, 255);
    data.push_back(static_cast<char>(piece.size()));
    data.append(piece);
    text.remove_prefix(piece.size());
  } while (!text.empty());
  return data;
}

std::string AddressLabel(const IpAddress& ip) {
  std::string label;
  auto bytes = ip.bytes();
  if (ip.is_v4()) {
    for (uint8_t byte : bytes) label += Cat(label.empty() ? "" : "-", static_cast<unsigned>(byte));
    return label;
  }
  for (size_t i = 0; i < bytes.size(); i += 2) {
    char text[8];
    auto [end, error] = std::to_chars(text, text + sizeof text, Load16(&bytes[i]), 16);
    if (i > 0) label += '-';
    label.append(text, end);
  }
  return label;
}

std::string ReverseName(const IpAddress& ip) { return ReverseLabels(ip, 0); }
std::string ReverseZone(const IpAddress& ip) { return ReverseLabels(ip, ip.is_v4() ? 1 : 8); }

uint16_t ReachablePort(const EndpointRow& row, const ServiceEntry& entry, size_t i) {
  if (i == 0) return entry.port;
  const discovery::Port& port = entry.ports[i];
  bool direct = std::any_of(row.addresses.begin(), row.addresses.end(), [&](const auto& a) { return a.ip == entry.ip; });
  if (direct) return port.number;
  for (const discovery::PublishedPort& p : row.published_ports) {
    if (p.container_port == port.number && p.protocol == port.protocol) return p.host_port;
  }
  return 0;
}

}  // namespace fairlead::dns
