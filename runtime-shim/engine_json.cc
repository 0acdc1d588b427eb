#include "runtime-shim/engine_json.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "discovery/labels.h"
#include "runtime-shim/json_fields.h"
#include "runtime-shim/json_view.h"

namespace fairlead::runtime {
namespace {

constexpr size_t kMaxHealthReason = 256;
constexpr Nanos kDefaultHealthInterval = 30 * kSecond;  // of Docker and Podman

enum class Kind : uint8_t { kObject, kArray };

StatusOr<JsonDocument> Parse(std::string_view text, Kind kind, std::string_view what) {
  JsonDocument json;
  if (!json.Parse(text)) return DataLoss(what, ": the engine's answer is no JSON");
  const bool as_expected = kind == Kind::kObject ? json.root().IsObject() : json.root().IsArray();
  if (!as_expected) return DataLoss(what, ": the engine's answer is of an unexpected kind");
  return json;
}

std::string WithoutSlash(std::string name) {
  if (name.starts_with('/')) name.erase(0, 1);
  return name;
}

Labels ParseLabels(const JsonView& json) {
  Labels labels;
  json.ForEachMember([&](std::string_view key, const JsonView& value) {
    if (auto text = value.Text()) labels.insert_or_assign(std::string(key), *text);
  });
  return labels;
}

std::vector<std::string> ParseTexts(const JsonView& json) {
  std::vector<std::string> texts;
  json.ForEachItem([&](const JsonView& item) {
    if (auto text = item.Text()) texts.emplace_back(*text);
  });
  return texts;
}

InterfaceAddress ParseInterfaceAddress(const JsonView& json, std::string_view address, std::string_view length) {
  auto ip = IpAddress::Parse(json.Text(address));
  if (!ip.ok()) return {};
  return {*ip, static_cast<int>(std::clamp<int64_t>(json.Integer(length), 0, ip->bits()))};
}

NetworkAttachment AttachmentOf(std::string_view network, const JsonView& json) {
  NetworkAttachment at{.network = std::string(network), .network_id = json.Text("NetworkID"), .endpoint_id = json.Text("EndpointID")};
  const JsonView configured = json["IPAMConfig"];
  if (auto ip = IpAddress::Parse(configured.Text("IPv4Address")); ip.ok()) at.wanted = *ip;
  if (auto ip = IpAddress::Parse(configured.Text("IPv6Address")); ip.ok()) at.wanted_v6 = *ip;
  at.ipv4 = ParseInterfaceAddress(json, "IPAddress", "IPPrefixLen");
  at.ipv6 = ParseInterfaceAddress(json, "GlobalIPv6Address", "GlobalIPv6PrefixLen");
  if (auto mac = MacAddress::Parse(json.Text("MacAddress")); mac.ok()) at.mac = *mac;
  at.aliases = ParseTexts(json["Aliases"]);
  at.links = ParseTexts(json["Links"]);
  at.driver_opts = ParseLabels(json["DriverOpts"]);
  return at;
}

// By name, so that of two addresses the same one is always first.
std::vector<NetworkAttachment> ParseAttachments(const JsonView& networks) {
  std::vector<NetworkAttachment> list;
  networks.ForEachMember([&](std::string_view name, const JsonView& json) { list.push_back(AttachmentOf(name, json)); });
  std::ranges::sort(list, {}, &NetworkAttachment::network);
  return list;
}

// ["KEY=value", …]. Environments hold secrets: only what is read is kept.
Labels ParseEnvironment(const JsonView& json) {
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

void ParsePorts(const JsonView& json, ContainerDetails& container) {
  json["Config"]["ExposedPorts"].ForEachMember([&](std::string_view key, const JsonView&) {
    if (auto port = ParsePort(key)) container.exposed.push_back(*port);
  });
  std::ranges::sort(container.exposed);
  json["NetworkSettings"]["Ports"].ForEachMember([&](std::string_view key, const JsonView& bindings) {
    auto port = ParsePort(key);
    if (!port) return;
    bindings.ForEachItem([&](const JsonView& binding) {
      auto host_port = ParseNumber<uint16_t>(binding.Text("HostPort"));
      if (!host_port || *host_port == 0) return;
      auto ip = IpAddress::Parse(binding.Text("HostIp"));
      container.published.push_back({*port, ip.ok() ? *ip : IpAddress(), *host_port});
    });
  });
}

void ParseState(const JsonView& state, ContainerDetails& container) {
  container.state = state.Text("Status");
  container.pid = static_cast<int32_t>(state.Integer("Pid"));
  container.started_wall = ParseTimestamp(state.Text("StartedAt"));
  container.finished_wall = ParseTimestamp(state.Text("FinishedAt"));
  const JsonView health = state["Health"];
  container.health = health.Text("Status");
  if (container.health == "none") container.health.clear();
  JsonView last;
  health["Log"].ForEachItem([&](const JsonView& check) { last = check; });
  if (last.Integer("ExitCode") != 0)
    container.health_reason = std::string(Trim(last.Text("Output"))).substr(0, kMaxHealthReason);
}

SubnetConfig SubnetOf(const Prefix& subnet, const JsonView& json) {
  SubnetConfig config{.subnet = subnet};
  if (auto gateway = IpAddress::Parse(json.Text("Gateway")); gateway.ok()) config.gateway = *gateway;
  if (auto range = Prefix::Parse(json.Text("IPRange")); range.ok()) config.range = *range;
  for (const auto& [name, address] : ParseLabels(json["AuxiliaryAddresses"])) {
    if (auto ip = IpAddress::Parse(address); ip.ok()) config.auxiliary.push_back(*ip);
  }
  return config;
}

NetworkMember MemberOf(std::string_view key, const JsonView& json) {
  // Until the container has its sandbox, Docker's key is "ep-<endpoint>" and not the container's id.
  std::string endpoint = key.starts_with("ep-") ? std::string(key.substr(3)) : json.Text("EndpointID");
  NetworkMember member{.endpoint_id = std::move(endpoint), .name = WithoutSlash(json.Text("Name"))};
  if (auto ip = InterfaceAddress::Parse(json.Text("IPv4Address")); ip.ok()) member.ipv4 = *ip;
  if (auto ip = InterfaceAddress::Parse(json.Text("IPv6Address")); ip.ok()) member.ipv6 = *ip;
  if (auto mac = MacAddress::Parse(json.Text("MacAddress")); mac.ok()) member.mac = *mac;
  return member;
}

NetworkDetails NetworkOf(const JsonView& json) {
  NetworkDetails network{.id = json.Text("Id"), .name = json.Text("Name"), .driver = json.Text("Driver")};
  const JsonView ipam = json["IPAM"];
  network.options = ParseLabels(json["Options"]);
  network.ipam_driver = ipam.Text("Driver");
  network.ipam_options = ParseLabels(ipam["Options"]);
  ipam["Config"].ForEachItem([&](const JsonView& config) {
    auto prefix = Prefix::Parse(config.Text("Subnet"));
    if (!prefix.ok()) return;
    network.subnets.push_back(*prefix);
    network.configs.push_back(SubnetOf(*prefix, config));
  });
  json["Containers"].ForEachMember(
      [&](std::string_view key, const JsonView& member) { network.members.push_back(MemberOf(key, member)); });
  return network;
}

ContainerSummary SummaryOf(const JsonView& json) {
  ContainerSummary container{.id = json.Text("Id"), .state = json.Text("State"), .status = json.Text("Status")};
  // Legacy links add names of the form "/other/alias".
  for (std::string& name : ParseTexts(json["Names"])) {
    std::string plain = WithoutSlash(std::move(name));
    if (plain.find('/') == plain.npos) container.name = std::move(plain);
  }
  container.labels = ParseLabels(json["Labels"]);
  container.networks = ParseAttachments(json["NetworkSettings"]["Networks"]);
  return container;
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
  ASSIGN_OR_RETURN(JsonDocument json, Parse(text, Kind::kObject, "GET /version"));
  auto newest = ParseVersion(json.root().Text("ApiVersion"));
  if (!newest) return DataLoss("GET /version: the engine tells no ApiVersion");
  return EngineVersions{*newest, ParseVersion(json.root().Text("MinAPIVersion")).value_or(EngineVersion{1, 0})};
}

StatusOr<std::vector<ContainerSummary>> ParseContainerList(std::string_view text) {
  ASSIGN_OR_RETURN(JsonDocument json, Parse(text, Kind::kArray, "list of containers"));
  std::vector<ContainerSummary> list;
  json.root().ForEachItem([&](const JsonView& entry) {
    if (ContainerSummary container = SummaryOf(entry); !container.id.empty()) list.push_back(std::move(container));
  });
  return list;
}

StatusOr<ContainerDetails> ParseContainer(std::string_view text) {
  ASSIGN_OR_RETURN(JsonDocument document, Parse(text, Kind::kObject, "inspection of a container"));
  const JsonView& json = document.root();
  ContainerDetails container{.id = json.Text("Id"), .name = WithoutSlash(json.Text("Name"))};
  if (container.id.empty()) return DataLoss("inspection of a container: the engine tells no Id");
  const JsonView config = json["Config"], host_config = json["HostConfig"];
  container.created_wall = ParseTimestamp(json.Text("Created"));
  ParseState(json["State"], container);
  container.health_interval = config["Healthcheck"].Integer("Interval");
  if (container.health_interval <= 0) container.health_interval = kDefaultHealthInterval;
  ParsePorts(json, container);
  container.labels = ParseLabels(config["Labels"]);
  container.environment = ParseEnvironment(config["Env"]);
  container.networks = ParseAttachments(json["NetworkSettings"]["Networks"]);
  container.host_network = host_config.Text("NetworkMode") == "host";
  container.auto_remove = host_config.Flag("AutoRemove");
  if (std::string signal = config.Text("StopSignal"); !signal.empty()) container.stop_signal = std::move(signal);
  int64_t stop_timeout = config.Integer("StopTimeout", 10);
  container.stop_timeout_s = static_cast<uint32_t>(std::clamp<int64_t>(stop_timeout, 0, 86'400));
  return container;
}

StatusOr<std::vector<NetworkDetails>> ParseNetworkList(std::string_view text) {
  ASSIGN_OR_RETURN(JsonDocument json, Parse(text, Kind::kArray, "list of networks"));
  std::vector<NetworkDetails> list;
  json.root().ForEachItem([&](const JsonView& entry) { list.push_back(NetworkOf(entry)); });
  return list;
}

StatusOr<NetworkDetails> ParseNetwork(std::string_view text) {
  ASSIGN_OR_RETURN(JsonDocument json, Parse(text, Kind::kObject, "inspection of a network"));
  return NetworkOf(json.root());
}

StatusOr<EngineEvent> ParseEvent(std::string_view text) {
  ASSIGN_OR_RETURN(JsonDocument document, Parse(text, Kind::kObject, "event of the engine"));
  const JsonView& json = document.root();
  const JsonView actor = json["Actor"];
  EngineEvent event{.type = json.Text("Type"), .action = json.Text("Action"), .id = actor.Text("ID"),
                    .attributes = ParseLabels(actor["Attributes"]), .time_wall = json.Integer("timeNano")};
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
