#include "runtime-shim/cni_config.h"

#include <algorithm>

namespace fairlead::runtime {
namespace {

constexpr size_t kMaxContainerId = 128;  // the endpoint's mark in the kernel has room for so many, and for ours
constexpr const char* kValidAttachments = "cni.dev/valid-attachments";

// Of a network whose main plugin is fairlead-cni. Keys with a "/" are of conventions beyond the specification.
constexpr std::string_view kNetworkKeys[] = {
    "cniVersion", "cniVersions", "name", "type", "network", "pool", "bridge", "mtu", "internal", "isGateway", "socket",
    "state_dir", "dns", "capabilities", "runtimeConfig", "prevResult", "args", "ipam"};
constexpr std::string_view kIpamKeys[] = {"type", "network", "pool", "routes", "socket", "state_dir", "dns"};

struct Fault {
  CniCode code;
  std::string message;
};
using MaybeFault = std::optional<Fault>;

bool IsOurs(const Json& config) {
  const std::string type = Text(config, "type");
  return type == "fairlead" || type == "fairlead-cni";
}

template <size_t N>
MaybeFault UnknownKey(const Json& object, const std::string_view (&known)[N], std::string_view where) {
  for (const auto& [key, unused] : object.items()) {
    if (key.find('/') != key.npos || std::ranges::find(known, key) != std::end(known)) continue;
    const std::string_view near = Nearest(key, {std::begin(known), std::end(known)});
    return Fault{CniCode::kConfig, Cat("key \"", key, "\" of ", where, " is not known",
                                       near.empty() ? "" : Cat("; do you mean \"", near, "\"?"))};
  }
  return std::nullopt;
}

// CNI_CONTAINERID: letters, digits, '_', '.', '-', the first a letter or digit.
bool IsContainerId(std::string_view id) {
  auto alnum = [](char c) { return (c >= '0' && c <= '9') || (LowerAscii(c) >= 'a' && LowerAscii(c) <= 'z'); };
  return !id.empty() && id.size() <= kMaxContainerId && alnum(id[0]) &&
         std::ranges::all_of(id, [&](char c) { return alnum(c) || c == '_' || c == '.' || c == '-'; });
}

MaybeFault AddWanted(std::string_view text, CniCall& call) {
  text = text.substr(0, text.find('/'));
  auto ip = IpAddress::Parse(text);
  if (!ip.ok()) return Fault{CniCode::kConfig, Cat("address ", text, ": ", Message(ip.status()))};
  auto same = [&](const IpAddress& other) { return other.is_v6() == ip->is_v6(); };
  if (std::ranges::any_of(call.wanted, [&](const IpAddress& other) { return same(other) && other != *ip; }))
    return Fault{CniCode::kConfig, Cat("address ", text, " is the second one of its family")};
  if (std::ranges::none_of(call.wanted, same)) call.wanted.push_back(*ip);
  return std::nullopt;
}

MaybeFault SetMac(const std::string& text, CniCall& call) {
  auto mac = MacAddress::Parse(text);
  if (!mac.ok()) return Fault{CniCode::kConfig, Cat("MAC address ", text, ": ", Message(mac.status()))};
  call.mac = *mac;
  return std::nullopt;
}

// "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.40.0.7"
MaybeFault ReadArgs(const std::string& args, CniCall& call) {
  for (std::string_view pair : Split(args, ';')) {
    const size_t at = pair.find('=');
    if (at == pair.npos) continue;
    const std::string_view key = pair.substr(0, at), value = pair.substr(at + 1);
    if (value.empty()) continue;
    if (key == "K8S_POD_NAME") call.pod_name = value;
    if (key == "MAC")
      if (auto fault = SetMac(std::string(value), call)) return fault;
    if (key == "IP")
      for (std::string_view ip : Split(value, ','))
        if (auto fault = AddWanted(ip, call)) return fault;
  }
  return std::nullopt;
}

MaybeFault ReadRuntimeConfig(const Json& runtime, CniCall& call) {
  if (const Json& ips = Member(runtime, "ips"); ips.is_array())
    for (const Json& ip : ips)
      if (auto fault = AddWanted(ip.is_string() ? ip.get<std::string>() : ip.dump(), call)) return fault;
  if (std::string mac = Text(runtime, "mac"); !mac.empty())
    if (auto fault = SetMac(mac, call)) return fault;
  return std::nullopt;
}

MaybeFault ReadMtu(const Json& config, int& mtu) {
  const Json& value = Member(config, "mtu");
  if (value.is_null()) return std::nullopt;
  const int64_t number = Integer(config, "mtu", -1);
  if (number != 0 && (number < 576 || number > 65535))
    return Fault{CniCode::kConfig, Cat("mtu ", value.dump(), " is not between 576 and 65535")};
  mtu = static_cast<int>(number);
  return std::nullopt;
}

MaybeFault ReadNetwork(const Json& config, CniCall& call) {
  const Json& ipam = Member(config, "ipam");
  call.as_ipam = !IsOurs(config) && IsOurs(ipam);
  if (call.as_ipam) {
    if (auto fault = UnknownKey(ipam, kIpamKeys, "ipam")) return fault;
  } else {
    if (auto fault = UnknownKey(config, kNetworkKeys, "the network")) return fault;
    if (ipam.is_object() && !ipam.empty() && !IsOurs(ipam))
      return Fault{CniCode::kConfig, Cat("ipam ", Text(ipam, "type"), " below fairlead: Fairlead gives the addresses; leave ipam out")};
  }
  const Json& ours = call.as_ipam ? ipam : config;
  call.network.name = Text(ours, "network").empty() ? Text(config, "name") : Text(ours, "network");
  if (call.network.name.empty()) return Fault{CniCode::kConfig, "the network has no name"};
  call.network.pool = Text(ours, "pool");
  call.network.bridge = Text(config, "bridge");  // below `bridge` as well: its LAN is the one to probe
  call.dns = Member(ours, "dns");
  call.routes = Member(ipam, "routes");
  if (call.as_ipam) return std::nullopt;
  call.network.internal = Flag(config, "internal");
  call.network.gateway_on_bridge = !config.contains("isGateway") || Flag(config, "isGateway");
  return ReadMtu(config, call.network.mtu);
}

MaybeFault ReadVersion(const Json& config, CniCall& call) {
  const std::string version = Text(config, "cniVersion");
  if (version.empty()) return Fault{CniCode::kConfig, "the configuration has no cniVersion"};
  if (std::ranges::find(CniVersions(), version) == CniVersions().end())
    return Fault{CniCode::kVersion, Cat("CNI version ", version, " is not spoken; there are: ", Join(CniVersions(), ", "))};
  call.version = version;
  return std::nullopt;
}

MaybeFault ReadEnvironment(const Json& request, CniCall& call) {
  call.container_id = Text(request, "container_id");
  call.interface = Text(request, "ifname");
  call.netns = Text(request, "netns");
  if (call.command != "ADD" && call.command != "DEL" && call.command != "CHECK") return std::nullopt;
  if (!IsContainerId(call.container_id))
    return Fault{CniCode::kEnvironment, Cat("CNI_CONTAINERID \"", call.container_id, "\" is no container id")};
  const bool named = !call.interface.empty() && call.interface.size() <= 15 && call.interface.find_first_of("/: \t") == std::string::npos;
  if (!named) return Fault{CniCode::kEnvironment, Cat("CNI_IFNAME \"", call.interface, "\" is no interface name")};
  if (call.netns.empty() && call.command != "DEL") return Fault{CniCode::kEnvironment, "CNI_NETNS is not set"};
  return std::nullopt;
}

MaybeFault ReadValid(const Json& config, CniCall& call) {
  const Json& list = Member(config, kValidAttachments);
  if (call.command != "GC") return std::nullopt;
  // Without the list everything would go.
  if (!list.is_array()) return Fault{CniCode::kConfig, Cat("GC needs the list \"", kValidAttachments, "\"")};
  for (const Json& entry : list) {
    const std::string container = Text(entry, "containerID"), interface = Text(entry, "ifname");
    if (container.empty() || interface.empty())
      return Fault{CniCode::kConfig, Cat("an entry of ", kValidAttachments, " has no containerID or no ifname")};
    call.valid.insert(Cat(container, "/", interface));
  }
  return std::nullopt;
}

MaybeFault Read(const Json& request, CniCall& call) {
  const Json& config = Member(request, "config");
  if (!config.is_object()) return Fault{CniCode::kDecode, "the network configuration is no JSON object"};
  if (auto fault = ReadVersion(config, call)) return fault;
  if (auto fault = ReadEnvironment(request, call)) return fault;
  if (auto fault = ReadNetwork(config, call)) return fault;
  if (auto fault = ReadArgs(Text(request, "args"), call)) return fault;
  if (auto fault = ReadRuntimeConfig(Member(config, "runtimeConfig"), call)) return fault;
  return ReadValid(config, call);
}

}  // namespace

const std::vector<std::string>& CniVersions() {
  static const std::vector<std::string> kVersions{"0.3.1", "0.4.0", "1.0.0", "1.1.0"};
  return kVersions;
}

ParsedCni ParseCni(const Json& request) {
  ParsedCni parsed;
  parsed.call.command = Text(request, "command");
  if (auto fault = Read(request, parsed.call)) {
    parsed.ok = false;
    parsed.error = {fault->code, std::move(fault->message)};
  }
  return parsed;
}

}  // namespace fairlead::runtime
