#include "runtime-shim/network_driver.h"

#include <algorithm>

#include "base/log.h"
#include "runtime-shim/attachments.h"
#include "runtime-shim/docker_plugin.h"

namespace fairlead::runtime {
namespace {

constexpr Nanos kFirstLook = 100 * kMillisecond;  // after Join; doubles with each further one
constexpr Nanos kRemovalRetry = 1 * kSecond;
constexpr const char* kGeneric = "com.docker.network.generic";
constexpr const char* kMtu = "com.docker.network.driver.mtu";

std::string OptionText(const Json& options, const char* name) { return Text(options, name); }

// "10.40.0.7/24" of a field that may be "".
Status AppendAddress(const std::string& text, std::vector<InterfaceAddress>& list) {
  if (text.empty()) return OkStatus();
  ASSIGN_OR_RETURN(InterfaceAddress address, InterfaceAddress::Parse(text));
  list.push_back(address);
  return OkStatus();
}

Status ParseMtu(const std::string& text, int& mtu) {
  if (text.empty()) return OkStatus();
  auto number = ParseNumber<int>(text);
  if (!number || *number < 576 || *number > 65535) return InvalidArgument("mtu ", text, " is not between 576 and 65535");
  mtu = *number;
  return OkStatus();
}

bool Shares(const EndpointRecord& a, const EndpointRecord& b) {
  return a.network_id == b.network_id && std::ranges::any_of(a.addresses, [&](const InterfaceAddress& address) {
           return std::ranges::find(b.addresses, address) != b.addresses.end();
         });
}

}  // namespace

io::Task<Status> NetworkDriver::Restore() {
  auto present = co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [this] { return parts_.driver.ListEndpoints(); });
  if (!present.ok()) co_return present.status();
  auto unplaced = co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [this] { return parts_.driver.ListUnplaced(); });
  if (!unplaced.ok()) co_return unplaced.status();
  Records<EndpointRecord> endpoints = parts_.state.endpoints();
  std::vector<std::string> wanted;
  for (const std::string& id : *present)
    if (id.starts_with(kAttachmentEndpoints)) wanted.push_back(id);
  for (const auto& [id, endpoint] : endpoints) {
    bool joined = !endpoint.interface_name.empty();
    // One that was joined and lies in our namespace again was left while nobody was here to be told.
    bool alive = std::ranges::find(*present, id) != present->end() && std::ranges::find(*unplaced, id) == unplaced->end();
    if (!joined || alive) {
      wanted.push_back(id);
      continue;
    }
    CO_RETURN_IF_ERROR(co_await parts_.state.RemoveEndpoint(id));
    for (const InterfaceAddress& address : endpoint.addresses) {
      std::string pool = parts_.names.PoolAt(endpoint.network_id, address.address);
      if (!pool.empty()) CO_RETURN_IF_ERROR(co_await parts_.ipam_driver.Detach(pool, address.address));
    }
  }
  auto removed = co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [&] { return parts_.driver.Reconcile(wanted); });
  if (!removed.ok()) co_return removed.status();
  Records<NetworkRecord> networks = parts_.state.networks();
  for (const auto& [id, network] : networks) {
    Status ensured = co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                            [&] { return parts_.driver.EnsureNetwork(SpecOf(network)); });
    // The others' networks must not suffer; Join tries again and tells whoever starts a container there.
    if (!ensured.ok()) LOG(kError, "network not restored", {"network", network.name}, {"error", Message(ensured)});
  }
  co_return OkStatus();
}

StatusOr<NetworkRecord> NetworkDriver::ParseNetwork(const Json& request) const {
  NetworkRecord network{.id = Text(request, "NetworkID")};
  if (network.id.empty()) return InvalidArgument("CreateNetwork without NetworkID");
  const Json& options = Member(request, "Options");
  network.internal = Flag(options, "com.docker.network.internal");
  const Json& generic = Member(options, kGeneric);
  if (generic.is_object()) {
    for (const auto& [key, unused] : generic.items()) {
      if (key == "mode" || key == "bridge" || key == "mtu" || key == kMtu || key.starts_with("com.docker.")) continue;
      return InvalidArgument("option ", key, " is not known; there are: mode, bridge, mtu");
    }
  }
  if (std::string mode = OptionText(generic, "mode"); !mode.empty()) network.mode = std::move(mode);
  if (network.mode != "bridge") return Unimplemented("mode ", network.mode, ": not yet; there is: bridge");
  network.bridge = OptionText(generic, "bridge");
  RETURN_IF_ERROR(ParseMtu(OptionText(generic, kMtu), network.mtu));
  RETURN_IF_ERROR(ParseMtu(OptionText(generic, "mtu"), network.mtu));
  for (const char* family : {"IPv4Data", "IPv6Data"}) {
    const Json& data = Member(request, family);
    if (!data.is_array()) continue;
    for (const Json& subnet : data) RETURN_IF_ERROR(AppendAddress(Text(subnet, "Gateway"), network.gateways));
  }
  return network;
}

io::Task<StatusOr<Json>> NetworkDriver::CreateNetwork(const Json& request, Nanos) {
  CO_ASSIGN_OR_RETURN(NetworkRecord network, ParseNetwork(request));
  if (auto known = parts_.state.FindNetwork(network.id)) {
    network.name = known->name;
  } else {
    CO_RETURN_IF_ERROR(parts_.neighbours.may_make(SpecOf(network)));
  }
  for (const char* family : {"IPv4Data", "IPv6Data"}) {
    const Json& data = Member(request, family);
    if (!data.is_array()) continue;
    for (const Json& subnet : data) {
      auto prefix = Prefix::Parse(Text(subnet, "Pool"));
      if (!prefix.ok() || Text(subnet, "AddressSpace") != kLocalSpace) continue;  // of Docker's own IPAM
      Records<PoolRecord> pools = parts_.state.pools();
      for (auto& [id, pool] : pools) {
        if (pool.subnet != *prefix || (!pool.network_id.empty() && pool.network_id != network.id)) continue;
        pool.network_id = network.id;
        CO_RETURN_IF_ERROR(co_await parts_.state.Put(pool));
      }
    }
  }
  CO_RETURN_IF_ERROR(co_await parts_.state.Put(network));
  Status ensured = co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                          [&] { return parts_.driver.EnsureNetwork(SpecOf(network)); });
  if (ensured.ok()) co_return Json::object();
  CO_RETURN_IF_ERROR(co_await parts_.state.RemoveNetwork(network.id));
  co_return ensured;
}

io::Task<StatusOr<Json>> NetworkDriver::DeleteNetwork(const Json& request, Nanos) {
  auto network = parts_.state.FindNetwork(Text(request, "NetworkID"));
  if (!network) co_return Json::object();
  // Podman's containers may be on its bridge.
  CO_ASSIGN_OR_RETURN(const bool kept, co_await parts_.neighbours.keep_network(SpecOf(*network)));
  if (!kept)
    CO_RETURN_IF_ERROR(co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                              [&] { return parts_.driver.RemoveNetwork(SpecOf(*network)); }));
  CO_RETURN_IF_ERROR(co_await parts_.state.RemoveNetwork(network->id));
  CO_RETURN_IF_ERROR(co_await parts_.ipam_driver.NetworkGone(network->id));
  co_return Json::object();
}

StatusOr<EndpointRecord> NetworkDriver::ParseEndpoint(const Json& request) const {
  EndpointRecord endpoint{.id = Text(request, "EndpointID"), .network_id = Text(request, "NetworkID")};
  if (endpoint.id.empty()) return InvalidArgument("CreateEndpoint without EndpointID");
  const Json& interface = Member(request, "Interface");
  RETURN_IF_ERROR(AppendAddress(Text(interface, "Address"), endpoint.addresses));
  RETURN_IF_ERROR(AppendAddress(Text(interface, "AddressIPv6"), endpoint.addresses));
  if (endpoint.addresses.empty()) return InvalidArgument("the endpoint has no address: --ipam-driver fairlead or default is needed");
  if (std::string mac = Text(interface, "MacAddress"); !mac.empty()) {
    ASSIGN_OR_RETURN(endpoint.mac, MacAddress::Parse(mac));
  }
  return endpoint;
}

// The lease's, so that a name keeps its MAC; of an address from Docker's own IPAM the address decides.
MacAddress NetworkDriver::MacFor(const EndpointRecord& endpoint) const {
  const IpAddress& ip = endpoint.addresses.front().address;
  if (auto lease = parts_.ipam.FindByAddress(parts_.names.PoolAt(endpoint.network_id, ip), ip)) return lease->mac;
  return ipam::MacOf({endpoint.network_id, node_, ip.ToString(), false});
}

// An address of another pool than the network's own (label fairlead.pool) brings its gateway along.
io::Task<Status> NetworkDriver::EnsureGateways(const EndpointRecord& endpoint) {
  auto network = parts_.state.FindNetwork(endpoint.network_id);
  if (!network) co_return NotFound("network ", endpoint.network_id, " is not known; remove it and create it again");
  for (const InterfaceAddress& address : endpoint.addresses) {
    bool known = std::ranges::any_of(network->gateways, [&](const InterfaceAddress& gateway) { return gateway.prefix().Contains(address.address); });
    auto lease = parts_.ipam.FindByAddress(parts_.names.PoolAt(endpoint.network_id, address.address), address.address);
    if (!known && lease && lease->gateway.is_set()) network->gateways.push_back({lease->gateway, lease->prefix_length});
  }
  co_return co_await parts_.state.Put(*std::move(network));
}

io::Task<StatusOr<Json>> NetworkDriver::CreateEndpoint(const Json& request, Nanos) {
  CO_ASSIGN_OR_RETURN(EndpointRecord endpoint, ParseEndpoint(request));
  CO_RETURN_IF_ERROR(co_await EnsureGateways(endpoint));
  for (const auto& [id, other] : parts_.state.endpoints()) {
    if (id != endpoint.id && Shares(endpoint, other)) {
      co_return AlreadyExists("address ", endpoint.addresses.front().ToString(), " is in use by endpoint ", id);
    }
  }
  bool mac_given = endpoint.mac.is_set();
  if (auto known = parts_.state.FindEndpoint(endpoint.id)) {
    endpoint.mac = mac_given ? endpoint.mac : known->mac;
    endpoint.interface_name = known->interface_name;
  } else if (!mac_given) {
    endpoint.mac = MacFor(endpoint);
  }
  CO_RETURN_IF_ERROR(co_await parts_.state.Put(endpoint));
  for (const InterfaceAddress& address : endpoint.addresses) {
    parts_.names.Claimed(parts_.names.PoolAt(endpoint.network_id, address.address), address.address);
  }
  Json interface = Json::object();
  if (!mac_given) interface["MacAddress"] = endpoint.mac.ToString();  // docker refuses what it has given itself
  co_return Json{{"Interface", std::move(interface)}};
}

io::Task<Status> NetworkDriver::DetachFromKernel(std::string endpoint_id) {
  co_return co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                   [&] { return parts_.driver.Detach(endpoint_id); });
}

io::Task<StatusOr<Json>> NetworkDriver::DeleteEndpoint(const Json& request, Nanos) {
  std::string id = Text(request, "EndpointID");
  if (!parts_.state.FindEndpoint(id)) co_return Json::object();
  CO_RETURN_IF_ERROR(co_await DetachFromKernel(id));
  parts_.tasks.Spawn(KeepRemoved(std::move(id)));
  co_return Json::object();
}

// What Join and DeleteEndpoint change is written behind their answers: dockerd holds the container's lock meanwhile. A
// crash before it is written leaves a record that Restore judges by the kernel, as it does after a reboot. A removal is
// tried until it is written: until then its address would be taken.
io::Task<void> NetworkDriver::KeepJoined(EndpointRecord endpoint) {
  const std::string id = endpoint.id;
  Status kept = co_await parts_.state.Put(std::move(endpoint));
  if (!kept.ok()) LOG(kWarning, "endpoint's interface not kept", {"endpoint", id}, {"error", Message(kept)});
}

io::Task<void> NetworkDriver::KeepRemoved(std::string endpoint_id) {
  for (;;) {
    Status removed = co_await parts_.state.RemoveEndpoint(endpoint_id);
    if (removed.ok()) co_return;
    LOG(kWarning, "endpoint's record not removed", {"endpoint", endpoint_id}, {"error", Message(removed)});
    if (!(co_await io::Sleep(parts_.proactor, kRemovalRetry)).ok()) co_return;
  }
}

Json NetworkDriver::JoinReply(const NetworkRecord& network, const EndpointRecord& endpoint) const {
  Json reply{{"InterfaceName", {{"SrcName", endpoint.interface_name}, {"DstPrefix", "eth"}}}};
  for (const InterfaceAddress& address : endpoint.addresses) {
    for (const InterfaceAddress& gateway : network.gateways) {
      if (network.internal || !gateway.prefix().Contains(address.address)) continue;
      reply[address.address.is_v4() ? "Gateway" : "GatewayIPv6"] = gateway.address.ToString();
    }
  }
  // Without a gateway docker would add an interface on docker_gwbridge, and with it a way around this network.
  if (!reply.contains("Gateway") && !reply.contains("GatewayIPv6")) reply["DisableGatewayService"] = true;
  if (dns_address_.is_set()) {
    constexpr int kOnLink = 1;
    reply["StaticRoutes"] = Json::array({{{"Destination", Cat(dns_address_.ToString(), "/", dns_address_.bits())},
                                          {"RouteType", kOnLink},
                                          {"NextHop", ""}}});
  }
  return reply;
}

io::Task<StatusOr<Json>> NetworkDriver::Join(const Json& request, Nanos) {
  auto endpoint = parts_.state.FindEndpoint(Text(request, "EndpointID"));
  if (!endpoint) co_return NotFound("endpoint ", Text(request, "EndpointID"), " is not known; start the container again");
  auto network = parts_.state.FindNetwork(endpoint->network_id);
  if (!network) co_return NotFound("network ", endpoint->network_id, " is not known; remove it and create it again");
  auto attachment = co_await io::OffloadTo(parts_.network_thread, parts_.proactor, [&]() -> StatusOr<dataplane::Attachment> {
    RETURN_IF_ERROR(parts_.driver.EnsureNetwork(SpecOf(*network)));
    return parts_.driver.Attach(SpecOf(*network), SpecOf(*endpoint));
  });
  if (!attachment.ok()) co_return attachment.status();
  endpoint->interface_name = attachment->container_interface;
  parts_.tasks.Spawn(KeepJoined(*endpoint));
  joined_.insert(network->id);
  parts_.tasks.Spawn(AfterJoin(*endpoint));
  co_return JoinReply(*network, *endpoint);
}

io::Task<StatusOr<Json>> NetworkDriver::Leave(const Json& request, Nanos) {
  CO_RETURN_IF_ERROR(co_await DetachFromKernel(Text(request, "EndpointID")));
  co_return Json::object();
}

io::Task<StatusOr<Json>> NetworkDriver::EndpointInfo(const Json& request, Nanos) {
  Json value = Json::object();
  if (auto endpoint = parts_.state.FindEndpoint(Text(request, "EndpointID")); endpoint && endpoint->mac.is_set()) {
    value["com.docker.network.endpoint.macaddress"] = endpoint->mac.ToString();
  }
  co_return Json{{"Value", std::move(value)}};
}

io::Task<StatusOr<Json>> NetworkDriver::Nothing(const Json&, Nanos) { co_return Json::object(); }

void NetworkDriver::Named(const std::string& endpoint_id) {
  if (unnamed_.erase(endpoint_id) != 0) stats_.named++;
}

io::Task<void> NetworkDriver::RecheckFilters() {
  const std::set<std::string, std::less<>> joined = std::exchange(joined_, {});
  for (const std::string& id : joined) {
    auto network = parts_.state.FindNetwork(id);
    if (!network) continue;
    Status checked = co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                            [&] { return parts_.driver.RecheckFilter(SpecOf(*network)); });
    if (!checked.ok()) LOG(kWarning, "packet filter not checked", {"network", network->name}, {"error", Message(checked)});
  }
}

io::Task<void> NetworkDriver::AfterJoin(EndpointRecord endpoint) {
  co_await LearnName(endpoint);
  unnamed_.erase(endpoint.id);
  auto network = parts_.state.FindNetwork(endpoint.network_id);
  if (!network || !parts_.state.FindEndpoint(endpoint.id)) co_return;  // gone again
  Status announced = co_await io::OffloadTo(parts_.network_thread, parts_.proactor,
                                            [&] { return parts_.driver.Announce(SpecOf(*network), SpecOf(endpoint)); });
  if (!announced.ok()) LOG(kWarning, "address not announced", {"endpoint", endpoint.id}, {"error", Message(announced)});
}

// The name is certain once the container is inspected, which the events bring about with every start. While they are
// behind, or nobody follows them, the network's members tell it. They are asked once Join's answer is out, since the
// engine holds its locks until then; each question costs it a millisecond.
io::Task<void> NetworkDriver::LearnName(const EndpointRecord& endpoint) {
  unnamed_.insert(endpoint.id);
  Nanos pause = kFirstLook;
  for (int i = 0; i < kVerifyTries; i++, pause *= 2) {
    io::IoResult slept = co_await io::Sleep(parts_.proactor, pause);
    if (!slept.ok() || !unnamed_.contains(endpoint.id) || !parts_.state.FindEndpoint(endpoint.id)) co_return;
    if (i == 0) continue;
    stats_.asked++;
    if (co_await Verify(endpoint)) co_return;
  }
}

io::Task<bool> NetworkDriver::Verify(EndpointRecord endpoint) {
  Nanos deadline = parts_.proactor.Now() + kEngineTimeout;
  auto network = co_await parts_.engine.InspectNetwork(endpoint.network_id, deadline);
  if (!network.ok()) co_return false;
  auto member = std::ranges::find(network->members, endpoint.id, &NetworkMember::endpoint_id);
  if (member == network->members.end() || member->name.empty()) co_return false;
  TrueName who{.name = member->name};
  if (ipam::CanonicalName(who.name, true) != who.name) {
    // Perhaps a temporary name of compose: its labels tell.
    auto list = co_await parts_.engine.ListContainers(deadline);
    if (!list.ok()) co_return false;
    auto container = std::ranges::find(*list, who.name, &ContainerSummary::name);
    if (container != list->end()) who = TrueNameOf(container->name, container->labels);
  }
  if (!parts_.state.FindEndpoint(endpoint.id)) co_return true;  // stopped meanwhile: the address may be another's
  Status settled = co_await SettleAll(endpoint, network->name, who);
  if (!settled.ok()) LOG(kWarning, "lease keeps its name", {"container", who.name}, {"error", Message(settled)});
  co_return true;
}

io::Task<Status> NetworkDriver::SettleAll(EndpointRecord endpoint, std::string network, TrueName who) {
  for (const InterfaceAddress& address : endpoint.addresses) {
    std::string pool = parts_.names.PoolAt(endpoint.network_id, address.address);
    CO_RETURN_IF_ERROR(co_await parts_.names.Settle(pool, address.address, network, who));
  }
  co_return OkStatus();
}

}  // namespace fairlead::runtime
