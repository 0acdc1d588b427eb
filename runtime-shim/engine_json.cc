#include "runtime-shim/engine_json.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "discovery/labels.h"
#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {
namespace {

constexpr size_t kMaxHealthReason = 256;

StatusOr<Json> Parse(std::string_view text, Json::value_t kind, std::string_view what) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return DataLoss(what, ": the engine's answer is no JSON");
  if (json.type() != kind) return DataLoss(what, ": the engine's answer is of an unexpected kind");
  return json;
}

std::string WithoutSlash(std::string name) {
  if (name.starts_with('/')) name.erase(0, 1);
  return name;
}

Labels ParseLabels(const Json& json) {
  Labels labels;
  if (!json.is_object()) return labels;
  for (const auto& [key, value] : json.items()) {
    if (value.is_string()) labels.emplace(key, value.get<std::string>());
  }
  return labels;
}

std::vector<std::string> ParseTexts(const Json& json) {
  std::vector<std::string> texts;
  if (!json.is_array()) return texts;
  for (const Json& text : json) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

InterfaceAddress ParseInterfaceAddress(const Json& json, const char* address, const char* length) {
  auto ip = IpAddress::Parse(Text(json, address));
  if (!ip.ok()) return {};
  return {*ip, static_cast<int>(std::clamp<int64_t>(Integer(json, length), 0, ip->bits()))};
}

std::vector<NetworkAttachment> ParseAttachments(const Json& networks) {
  std::vector<NetworkAttachment> list;
  if (!networks.is_object()) return list;
  for (const auto& [name, json] : networks.items()) {
    NetworkAttachment at{.network = name, .network_id = Text(json, "NetworkID"), .endpoint_id = Text(json, "EndpointID")};
    const Json& configured = Member(json, "IPAMConfig");
    if (auto ip = IpAddress::Parse(Text(configured, "IPv4Address")); ip.ok()) at.wanted = *ip;
    if (auto ip = IpAddress::Parse(Text(configured, "IPv6Address")); ip.ok()) at.wanted_v6 = *ip;
    at.ipv4 = ParseInterfaceAddress(json, "IPAddress", "IPPrefixLen");
    at.ipv6 = ParseInterfaceAddress(json, "GlobalIPv6Address", "GlobalIPv6PrefixLen");
    if (auto mac = MacAddress::Parse(Text(json, "MacAddress")); mac.ok()) at.mac = *mac;
    at.aliases = ParseTexts(Member(json, "Aliases"));
    at.links = ParseTexts(Member(json, "Links"));
    at.driver_opts = ParseLabels(Member(json, "DriverOpts"));
    list.push_back(std::move(at));
  }
  return list;
}

// ["KEY=value", …]. Environments hold secrets: only what is read is kept.
Labels ParseEnvironment(const Json& json) {
  Labels environment;
  for (const std::string& variable : ParseTexts(json)) {
    const size_t equals = variable.find('=');
    std::string name = variable.substr(0, equals);
    if (equals != variable.npos && discovery::IsDialectVariable(name)) environment.emplace(std::move(name), variable.substr(equals + 1));
  }
  return environment;
}

// "80/tcp"
std::optional<ContainerPort> ParsePort(std::string_view text) {
  size_t slash = text.find('/');
  auto number = ParseNumber<uint16_t>(text.substr(0, slash));
  if (!number) return std::nullopt;
  ContainerPort port{.number = *number};
  if (slash != text.npos) port.protocol = text.substr(slash + 1);
  return port;
}

void ParsePorts(const Json& json, ContainerDetails& container) {
  if (const Json& exposed = Member(Member(json, "Config"), "ExposedPorts"); exposed.is_object()) {
    for (const auto& [key, unused] : exposed.items()) {
      if (auto port = ParsePort(key)) container.exposed.push_back(*port);
    }
  }
  std::ranges::sort(container.exposed);
  const Json& ports = Member(Member(json, "NetworkSettings"), "Ports");
  if (!ports.is_object()) return;
  for (const auto& [key, bindings] : ports.items()) {
    auto port = ParsePort(key);
    if (!port || !bindings.is_array()) continue;
    for (const Json& binding : bindings) {
      auto host_port = ParseNumber<uint16_t>(Text(binding, "HostPort"));
      if (!host_port || *host_port == 0) continue;
      auto ip = IpAddress::Parse(Text(binding, "HostIp"));
      container.published.push_back({*port, ip.ok() ? *ip : IpAddress(), *host_port});
    }
  }
}

void ParseState(const Json& state, ContainerDetails& container) {
  container.state = Text(state, "Status");
  container.pid = static_cast<int32_t>(Integer(state, "Pid"));
  container.started_wall = ParseTimestamp(Text(state, "StartedAt"));
  container.finished_wall = ParseTimestamp(Text(state, "FinishedAt"));
  const Json& health = Member(state, "Health");
  container.health = Text(health, "Status");
  if (container.health == "none") container.health.clear();
  if (const Json& log = Member(health, "Log"); log.is_array() && !log.empty()) {
    if (Integer(log.back(), "ExitCode") != 0) {
      container.health_reason = std::string(Trim(Text(log.back(), "Output"))).substr(0, kMaxHealthReason);
    }
  }
}

SubnetConfig SubnetOf(const Prefix& subnet, const Json& json) {
  SubnetConfig config{.subnet = subnet};
  if (auto gateway = IpAddress::Parse(Text(json, "Gateway")); gateway.ok()) config.gateway = *gateway;
  if (auto range = Prefix::Parse(Text(json, "IPRange")); range.ok()) config.range = *range;
  for (const auto& [name, address] : ParseLabels(Member(json, "AuxiliaryAddresses"))) {
    if (auto ip = IpAddress::Parse(address); ip.ok()) config.auxiliary.push_back(*ip);
  }
  return config;
}

NetworkDetails NetworkOf(const Json& json) {
  NetworkDetails network{.id = Text(json, "Id"), .name = Text(json, "Name"), .driver = Text(json, "Driver")};
  const Json& ipam = Member(json, "IPAM");
  network.options = ParseLabels(Member(json, "Options"));
  network.ipam_driver = Text(ipam, "Driver");
  network.ipam_options = ParseLabels(Member(ipam, "Options"));
  if (const Json& configs = Member(ipam, "Config"); configs.is_array()) {
    for (const Json& config : configs) {
      auto prefix = Prefix::Parse(Text(config, "Subnet"));
      if (!prefix.ok()) continue;
      network.subnets.push_back(*prefix);
      network.configs.push_back(SubnetOf(*prefix, config));
    }
  }
  if (const Json& members = Member(json, "Containers"); members.is_object()) {
    for (const auto& [key, member] : members.items()) {
      // Until the container has its sandbox, Docker's key is "ep-<endpoint>" and not the container's id.
      std::string endpoint = key.starts_with("ep-") ? key.substr(3) : Text(member, "EndpointID");
      NetworkMember there{.endpoint_id = std::move(endpoint), .name = WithoutSlash(Text(member, "Name"))};
      if (auto ip = InterfaceAddress::Parse(Text(member, "IPv4Address")); ip.ok()) there.ipv4 = *ip;
      if (auto ip = InterfaceAddress::Parse(Text(member, "IPv6Address")); ip.ok()) there.ipv6 = *ip;
      if (auto mac = MacAddress::Parse(Text(member, "MacAddress")); mac.ok()) there.mac = *mac;
      network.members.push_back(std::move(there));
    }
  }
  return network;
}

}  // namespace

std::string EngineVersion::ToString() const { return Cat(major, ".", minor); }

std::optional<EngineVersion> ParseVersion(std::string_view text) {
  size_t dot = text.find('.');
  if (dot == text.npos) return std::nullopt;
  auto major = ParseNumber<uint16_t>(text.substr(0, dot));
  auto minor = ParseNumber<uint16_t>(text.substr(dot + 1));
  if (!major || !minor) return std::nullopt;
  return EngineVersion{*major, *minor};
}

StatusOr<EngineVersions> ParseVersions(std::string_view text) {
  ASSIGN_OR_RETURN(Json json, Parse(text, Json::value_t::object, "GET /version"));
  auto newest = ParseVersion(Text(json, "ApiVersion"));
  if (!newest) return DataLoss("GET /version: the engine tells no ApiVersion");
  return EngineVersions{*newest, ParseVersion(Text(json, "MinAPIVersion")).value_or(EngineVersion{1, 0})};
}

StatusOr<std::vector<ContainerSummary>> ParseContainerList(std::string_view text) {
  ASSIGN_OR_RETURN(Json json, Parse(text, Json::value_t::array, "list of containers"));
  std::vector<ContainerSummary> list;
  for (const Json& entry : json) {
    ContainerSummary container{.id = Text(entry, "Id"), .state = Text(entry, "State"), .status = Text(entry, "Status")};
    if (container.id.empty()) continue;
    if (const Json& names = Member(entry, "Names"); names.is_array()) {
      // Legacy links add names of the form "/other/alias".
      for (const Json& name : names) {
        if (!name.is_string()) continue;
        std::string plain = WithoutSlash(name.get<std::string>());
        if (plain.find('/') == plain.npos) container.name = std::move(plain);
      }
    }
    container.labels = ParseLabels(Member(entry, "Labels"));
    container.networks = ParseAttachments(Member(Member(entry, "NetworkSettings"), "Networks"));
    list.push_back(std::move(container));
  }
  return list;
}

StatusOr<ContainerDetails> ParseContainer(std::string_view text) {
  ASSIGN_OR_RETURN(Json json, Parse(text, Json::value_t::object, "inspection of a container"));
  ContainerDetails container{.id = Text(json, "Id"), .name = WithoutSlash(Text(json, "Name"))};
  if (container.id.empty()) return DataLoss("inspection of a container: the engine tells no Id");
  const Json& config = Member(json, "Config");
  const Json& host_config = Member(json, "HostConfig");
  container.created_wall = ParseTimestamp(Text(json, "Created"));
  ParseState(Member(json, "State"), container);
  ParsePorts(json, container);
  container.labels = ParseLabels(Member(config, "Labels"));
  container.environment = ParseEnvironment(Member(config, "Env"));
  container.networks = ParseAttachments(Member(Member(json, "NetworkSettings"), "Networks"));
  container.host_network = Text(host_config, "NetworkMode") == "host";
  container.auto_remove = Flag(host_config, "AutoRemove");
  if (std::string signal = Text(config, "StopSignal"); !signal.empty()) container.stop_signal = std::move(signal);
  int64_t stop_timeout = Integer(config, "StopTimeout", 10);
  container.stop_timeout_s = static_cast<uint32_t>(std::clamp<int64_t>(stop_timeout, 0, 86'400));
  return container;
}

StatusOr<std::vector<NetworkDetails>> ParseNetworkList(std::string_view text) {
  ASSIGN_OR_RETURN(Json json, Parse(text, Json::value_t::array, "list of networks"));
  std::vector<NetworkDetails> list;
  for (const Json& entry : json) list.push_back(NetworkOf(entry));
  return list;
}

StatusOr<NetworkDetails> ParseNetwork(std::string_view text) {
  ASSIGN_OR_RETURN(Json json, Parse(text, Json::value_t::object, "inspection of a network"));
  return NetworkOf(json);
}

StatusOr<EngineEvent> ParseEvent(std::string_view text) {
  ASSIGN_OR_RETURN(Json json, Parse(text, Json::value_t::object, "event of the engine"));
  const Json& actor = Member(json, "Actor");
  EngineEvent event{.type = Text(json, "Type"), .action = Text(json, "Action"), .id = Text(actor, "ID"),
                    .attributes = ParseLabels(Member(actor, "Attributes")), .time_wall = Integer(json, "timeNano")};
  // "health_status: healthy", "exec_start: sh -c …"
  event.action = event.action.substr(0, event.action.find(':'));
  return event;
}

std::string DisconnectBody(const std::string& container) {
  return DumpJson({{"Container", container}, {"Force", true}});
}

std::string ConnectBody(const std::string& container, const EndpointSettings& settings) {
  Json ipam = Json::object();
  if (settings.ipv4.is_set()) ipam["IPv4Address"] = settings.ipv4.ToString();
  if (settings.ipv6.is_set()) ipam["IPv6Address"] = settings.ipv6.ToString();
  Json endpoint{{"IPAMConfig", std::move(ipam)}};
  if (!settings.aliases.empty()) endpoint["Aliases"] = settings.aliases;
  if (!settings.links.empty()) endpoint["Links"] = settings.links;
  if (!settings.driver_opts.empty()) endpoint["DriverOpts"] = settings.driver_opts;
  if (settings.mac.is_set()) endpoint["MacAddress"] = settings.mac.ToString();
  return DumpJson({{"Container", container}, {"EndpointConfig", std::move(endpoint)}});
}

std::string CreateNetworkBody(const NetworkDetails& network) {
  Json subnets = Json::array();
  bool v4 = network.configs.empty(), v6 = false;
  for (const SubnetConfig& config : network.configs) {
    Json subnet{{"Subnet", config.subnet.ToString()}};
    if (config.gateway.is_set()) subnet["Gateway"] = config.gateway.ToString();
    if (config.range) subnet["IPRange"] = config.range->ToString();
    for (const IpAddress& ip : config.auxiliary) subnet["AuxiliaryAddresses"][Cat("aux", subnet["AuxiliaryAddresses"].size())] = ip.ToString();
    (config.subnet.network().is_v6() ? v6 : v4) = true;
    subnets.push_back(std::move(subnet));
  }
  Json body{{"Name", network.name},
            {"CheckDuplicate", true},
            {"Driver", network.driver},
            {"EnableIPv6", v6},
            {"Options", network.options},
            {"IPAM", {{"Driver", network.ipam_driver}, {"Options", network.ipam_options}, {"Config", std::move(subnets)}}}};
  if (!v4) body["EnableIPv4"] = false;  // from Docker 28 on; older engines add an IPv4 subnet of their own all the same
  return DumpJson(body);
}

std::string ParseErrorMessage(std::string_view text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  std::string message = Text(json, "message");
  return message.empty() ? std::string(Trim(text.substr(0, 256))) : message;
}

Nanos ParseTimestamp(std::string_view text) {
  // 2026-11-21T02:32:18[.fraction](Z|+hh:mm)
  auto digits = [&](size_t at, size_t count) -> int {
    return text.size() < at + count ? -1 : static_cast<int>(ParseNumber<uint16_t>(text.substr(at, count)).value_or(9999));
  };
  std::tm tm{};
  tm.tm_year = digits(0, 4) - 1900;
  tm.tm_mon = digits(5, 2) - 1;
  tm.tm_mday = digits(8, 2);
  tm.tm_hour = digits(11, 2);
  tm.tm_min = digits(14, 2);
  tm.tm_sec = digits(17, 2);
  if (text.size() < 20 || tm.tm_year < 70 || tm.tm_year > 300 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_sec > 60) return 0;
  Nanos nanos = static_cast<Nanos>(timegm(&tm)) * kSecond;
  size_t at = 19;
  if (text[at] == '.') {
    Nanos unit = kSecond;
    for (at++; at < text.size() && text[at] >= '0' && text[at] <= '9'; at++) {
      unit /= 10;
      nanos += (text[at] - '0') * unit;
    }
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    Nanos offset = digits(at + 1, 2) * kHour + digits(at + 4, 2) * kMinute;
    nanos += text[at] == '+' ? -offset : offset;
  }
  return nanos;
}

bool IsOneOff(const Labels& labels) {
  auto found = labels.find("com.docker.compose.oneoff");
  return found != labels.end() && EqualsIgnoreCase(found->second, "true");
}

std::string ProjectOf(const Labels& labels) {
  for (const char* key : {"fairlead.project", "com.docker.compose.project"}) {
    if (auto found = labels.find(key); found != labels.end() && !found->second.empty()) return found->second;
  }
  return "default";
}

}  // namespace fairlead::runtime
