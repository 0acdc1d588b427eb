#include "runtime-shim/netavark.h"

#include "base/log.h"

namespace fairlead::runtime {
namespace {

// Podman writes every option as text: `podman network create -o pool=shop-prod`.
StatusOr<AttachNetwork> NetworkOf(const Json& network) {
  AttachNetwork wish{.name = Text(network, "name")};
  if (wish.name.empty()) return InvalidArgument("the network has no name");
  wish.bridge = Text(network, "network_interface");
  wish.internal = Flag(network, "internal");
  const Json& options = Member(network, "options");
  if (!options.is_object()) return wish;
  for (const auto& [key, value] : options.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (key == "pool") {
      wish.pool = text;
    } else if (key == "bridge") {
      wish.bridge = text;
    } else if (key == "isGateway") {
      if (text != "true" && text != "false") return InvalidArgument("option isGateway=", text, " is neither true nor false");
      wish.gateway_on_bridge = text == "true";
    } else if (key == "mtu") {
      auto number = ParseNumber<int>(text);
      if (!number || *number < 576 || *number > 65535) return InvalidArgument("mtu ", text, " is not between 576 and 65535");
      wish.mtu = *number;
    } else {
      return InvalidArgument("option ", key, " is not known; there are: pool, bridge, mtu, isGateway");
    }
  }
  return wish;
}

}  // namespace

io::Task<StatusOr<Json>> NetavarkPlugin::Handle(Json request) {
  auto done = co_await Run(std::move(request));
  if (done.ok()) co_return Json{{"result", *std::move(done)}};
  co_return Json{{"error", std::string(Message(done.status()))}};
}

io::Task<StatusOr<Json>> NetavarkPlugin::Run(Json request) {
  const std::string command = Text(request, "command");
  Json input = Member(request, "input");
  if (command == "create") co_return Create(std::move(input));
  if (command == "setup") co_return co_await Setup(std::move(input), Text(request, "netns"));
  if (command != "teardown") co_return InvalidArgument("command \"", command, "\" is none of create, setup, teardown");
  // A stop must pass whatever happened: the next start of the name or of the agent makes up for it.
  Status gone = co_await attachments_.Detach(Text(input, "container_id"), Text(Member(input, "network_options"), "interface_name"),
                                             Text(Member(input, "network"), "name"), Text(input, "container_name"));
  if (!gone.ok()) LOG(kWarning, "attachment not removed yet", {"container", Text(input, "container_id")}, {"error", Message(gone)});
  co_return Json::object();
}

// Podman checks --ip against the subnets of the network, so they are the pool's. Given ones must be among them.
StatusOr<Json> NetavarkPlugin::Create(Json network) const {
  ASSIGN_OR_RETURN(const AttachNetwork wish, NetworkOf(network));
  ASSIGN_OR_RETURN(const ipam::PoolSpec pool, attachments_.PoolOf(wish));
  const Json& given = Member(network, "subnets");
  if (given.is_array())
    for (const Json& subnet : given) {
      const std::string text = Text(subnet, "subnet");
      bool known = false;
      for (const ipam::PrefixSpec& prefix : pool.prefixes) known = known || prefix.prefix.ToString() == text;
      if (!known) return InvalidArgument("pool ", pool.name, " has no subnet ", text, "; it has ", pool.PrefixList());
    }
  Json subnets = Json::array();
  for (const ipam::PrefixSpec& prefix : pool.prefixes) {
    Json subnet{{"subnet", prefix.prefix.ToString()}};
    if (prefix.Gateway().is_set()) subnet["gateway"] = prefix.Gateway().ToString();
    subnets.push_back(std::move(subnet));
  }
  network["subnets"] = std::move(subnets);
  return network;
}

io::Task<StatusOr<Json>> NetavarkPlugin::Setup(Json input, std::string netns) {
  const Json& options = Member(input, "network_options");
  AttachRequest request{.container_id = Text(input, "container_id"), .interface = Text(options, "interface_name"), .netns = std::move(netns)};
  CO_ASSIGN_OR_RETURN(request.network, NetworkOf(Member(input, "network")));
  if (request.container_id.empty() || request.interface.empty() || request.netns.empty())
    co_return InvalidArgument("setup needs container_id, network_options.interface_name and the path of a namespace");
  request.name = ipam::CanonicalName(Text(input, "container_name"), false);
  if (request.name.empty()) {
    request.name = request.container_id;
    request.ephemeral = true;
  }
  if (const Json& ips = Member(options, "static_ips"); ips.is_array())
    for (const Json& ip : ips) {
      CO_ASSIGN_OR_RETURN(IpAddress wanted, IpAddress::Parse(ip.is_string() ? ip.get<std::string>() : ""));
      request.wanted.push_back(wanted);
    }
  if (std::string mac = Text(options, "static_mac"); !mac.empty()) {
    CO_ASSIGN_OR_RETURN(request.mac, MacAddress::Parse(mac));
  }
  const std::string interface = request.interface;
  CO_ASSIGN_OR_RETURN(const Attached attached, co_await attachments_.Attach(std::move(request)));
  Json subnets = Json::array();
  for (size_t i = 0; i < attached.record.addresses.size(); ++i) {
    Json subnet{{"ipnet", attached.record.addresses[i].ToString()}};
    if (attached.gateways[i].is_set()) subnet["gateway"] = attached.gateways[i].ToString();
    subnets.push_back(std::move(subnet));
  }
  Json servers = Json::array();
  if (dns_address_.is_set()) servers.push_back(dns_address_.ToString());
  co_return Json{{"dns_search_domains", Json::array()},
                 {"dns_server_ips", std::move(servers)},
                 {"interfaces", {{interface, {{"mac_address", attached.record.mac.ToString()}, {"subnets", std::move(subnets)}}}}}};
}

}  // namespace fairlead::runtime
