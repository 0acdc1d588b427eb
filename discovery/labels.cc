#include "discovery/labels.h"

#include <algorithm>
#include <array>
#include <span>
#include <optional>
#include <set>
#include <string_view>

#include "base/strings.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kPrefix = "fairlead.";
constexpr std::string_view kComposeProject = "com.docker.compose.project";
constexpr std::string_view kComposeService = "com.docker.compose.service";
constexpr std::string_view kComposeOneOff = "com.docker.compose.oneoff";

// Of a service: plain, or as fairlead.service.ID.KEY.
constexpr std::array<std::string_view, 6> kServiceKeys = {"port", "protocol", "host", "path", "listener", "weight"};
// Of the container.
constexpr std::array<std::string_view, 5> kContainerKeys = {"service", "project", "branch", "env", "release"};
// Read by the network plugin, when the container is attached.
constexpr std::array<std::string_view, 2> kElsewhereKeys = {"pool", "ip"};
constexpr std::array<std::string_view, 13> kLaterKeys = {
    "rule",  "listen", "drain", "hold",  "release.weight", "mirror",     "fallback",
    "sleep", "rate",   "spread", "owner", "public",         "policy.url"};

template <size_t N>
bool In(const std::array<std::string_view, N>& keys, std::string_view key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

std::string NotUnderstood(std::string_view label, std::string_view key) {
  std::vector<std::string_view> known;
  for (const auto& keys : {std::span<const std::string_view>(kServiceKeys), std::span<const std::string_view>(kContainerKeys),
                           std::span<const std::string_view>(kElsewhereKeys), std::span<const std::string_view>(kLaterKeys)})
    known.insert(known.end(), keys.begin(), keys.end());
  known.push_back("check");
  const std::string_view nearest = Nearest(key, known);
  // The label is the user's text: what is shown of it has a limit.
  std::string problem = Cat("label ", label.substr(0, 100), " is not understood");
  if (!nearest.empty()) problem += Cat(" (did you mean ", label.substr(0, std::min<size_t>(100, label.size() - key.size())), nearest, "?)");
  return problem;
}

// The labels of one service, by key; `prefix` is what stands before the key in the label's name.
struct ServiceLabels {
  std::string prefix;
  std::map<std::string, std::string, std::less<>> values;
  std::vector<std::string> problems;

  const std::string* Find(std::string_view key) const {
    auto at = values.find(key);
    return at != values.end() ? &at->second : nullptr;
  }
  void Bad(std::string_view key, std::string_view why) {
    problems.push_back(Cat("label ", prefix, key, ": ", why));
  }
};

// What the labels say, sorted by whom it concerns.
struct Sorted {
  std::map<std::string, std::string, std::less<>> container;  // service, project, branch, env, release
  ServiceLabels plain{"fairlead.", {}, {}};
  std::map<std::string, ServiceLabels> by_id;
  std::vector<std::string> problems;
};

// fairlead.service.ID.KEY; an ID may hold dots, a KEY does not.
void SortServiceLabel(const std::string& label, std::string_view rest, const std::string& value, Sorted& sorted) {
  const size_t dot = rest.rfind('.');
  const std::string_view id = dot == std::string_view::npos ? "" : rest.substr(0, dot);
  const std::string_view key = dot == std::string_view::npos ? rest : rest.substr(dot + 1);
  if (id.empty() || !In(kServiceKeys, key)) {
    sorted.problems.push_back(NotUnderstood(label, key));
    return;
  }
  ServiceLabels& labels = sorted.by_id[std::string(id)];
  labels.prefix = Cat("fairlead.service.", id, ".");
  labels.values.emplace(key, value);
}

Sorted Sort(const std::map<std::string, std::string>& labels) {
  Sorted sorted;
  for (const auto& [label, value] : labels) {
    if (!label.starts_with(kPrefix)) continue;
    const std::string_view key = std::string_view(label).substr(kPrefix.size());
    if (key.starts_with("service.")) {
      SortServiceLabel(label, key.substr(8), value, sorted);
    } else if (In(kServiceKeys, key)) {
      sorted.plain.values.emplace(key, value);
    } else if (In(kContainerKeys, key)) {
      sorted.container.emplace(key, value);
    } else if (In(kLaterKeys, key) || (key == "check" && value != "none")) {
      sorted.problems.push_back(Cat("label ", label, " is not yet supported: it has no effect"));
    } else if (!In(kElsewhereKeys, key) && key != "check") {
      sorted.problems.push_back(NotUnderstood(label, key));
    }
  }
  return sorted;
}

std::vector<std::string> List(std::string_view value) {
  std::vector<std::string> items;
  for (std::string_view item : Split(value, ','))
    if (!Trim(item).empty()) items.emplace_back(Trim(item));
  return items;
}

bool IsHost(std::string_view host) {
  if (host == "*") return true;
  if (host.starts_with("*.")) host.remove_prefix(2);
  if (host.empty() || host.size() > 253) return false;
  return std::all_of(host.begin(), host.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

std::string TransportOf(std::string_view protocol) { return protocol == "udp" ? "udp" : "tcp"; }

// "8080", or "http=8080,metrics=9090".
std::vector<Port> PortsOf(ServiceLabels& labels, const std::string& value, const std::string& transport) {
  std::vector<Port> ports;
  for (const std::string& item : List(value)) {
    const size_t equals = item.find('=');
    const std::string name = equals == std::string::npos ? "" : NameLabel(Trim(std::string_view(item).substr(0, equals)));
    const std::string_view number = equals == std::string::npos ? item : Trim(std::string_view(item).substr(equals + 1));
    const auto port = ParseNumber<uint16_t>(number);
    if (!port || *port == 0) {
      labels.Bad("port", Cat("\"", item.substr(0, 100), "\" is no port (8080, or http=8080,metrics=9090)"));
      continue;
    }
    ports.push_back({name, *port, transport});
  }
  return ports;
}

// Without a label: the sole or first exposed one. Engines keep them by number, so the lowest is the first.
std::vector<Port> DefaultPort(const ContainerFacts& facts, const std::string& transport) {
  std::optional<uint16_t> lowest;
  for (const auto& [number, protocol] : facts.exposed_ports)
    if (protocol == transport && number != 0 && (!lowest || number < *lowest)) lowest = number;
  if (!lowest) return {};
  return {{"", *lowest, transport}};
}

std::vector<RouteRule> RoutesOf(ServiceLabels& labels) {
  const std::string* host = labels.Find("host");
  const std::string* path = labels.Find("path");
  const std::string* listener = labels.Find("listener");
  if (host == nullptr && path == nullptr) {
    if (listener != nullptr) labels.Bad("listener", "has no effect without a host or path");
    return {};
  }
  RouteRule rule;
  for (const std::string& raw : List(host != nullptr ? *host : "*")) {
    std::string name = LowerAscii(raw);
    if (name.size() > 1 && name.ends_with('.')) name.pop_back();
    if (IsHost(name)) {
      rule.hosts.push_back(std::move(name));
    } else {
      labels.Bad("host", Cat("\"", raw.substr(0, 100), "\" is no host name"));
    }
  }
  if (rule.hosts.empty()) return {};
  if (listener != nullptr) rule.listeners = List(*listener);

  std::vector<RouteRule> rules;
  for (const std::string& prefix : List(path != nullptr ? *path : "/")) {
    if (!prefix.starts_with('/')) {
      labels.Bad("path", Cat("\"", prefix.substr(0, 100), "\" does not begin with /"));
      continue;
    }
    rule.path_prefix = prefix;
    rules.push_back(rule);
  }
  if (rules.size() * rule.hosts.size() > kMaxRoutesPerService) {
    labels.Bad("host", Cat("more than ", kMaxRoutesPerService, " routes of one service: none is used"));
    return {};
  }
  return rules;
}

ServiceEntry MakeService(const ContainerFacts& facts, ServiceLabels labels, std::string name, const std::string& project) {
  ServiceEntry entry;
  entry.service = std::move(name);
  entry.project = project;
  if (const std::string* protocol = labels.Find("protocol")) {
    static constexpr std::array<std::string_view, 4> kProtocols = {"http", "h2c", "tcp", "udp"};
    if (In(kProtocols, *protocol)) {
      entry.protocol = *protocol;
    } else {
      labels.Bad("protocol", Cat("\"", protocol->substr(0, 100), "\" is none of http, h2c, tcp, udp"));
    }
  }
  if (const std::string* weight = labels.Find("weight")) {
    const auto number = ParseNumber<uint32_t>(*weight);
    if (number && *number <= kMaxWeight) {
      entry.weight = *number;
    } else {
      labels.Bad("weight", Cat("\"", weight->substr(0, 100), "\" is no number from 0 to ", kMaxWeight));
    }
  }
  const std::string transport = TransportOf(entry.protocol);
  // A port label that says nothing valid is not replaced by a guess.
  const std::string* port = labels.Find("port");
  entry.ports = port != nullptr ? PortsOf(labels, *port, transport) : DefaultPort(facts, transport);
  entry.routes = RoutesOf(labels);

  ChosenAddress chosen = ChooseAddress(facts.where, entry.ports.empty() ? 0 : entry.ports.front().number, transport);
  entry.ip = chosen.ip;
  entry.port = chosen.port;
  entry.address_rule = std::move(chosen.rule);
  entry.problems = std::move(labels.problems);
  if (!entry.published()) entry.problems.push_back(entry.address_rule);
  return entry;
}

const std::string* Find(const std::map<std::string, std::string>& labels, std::string_view key) {
  auto at = labels.find(std::string(key));
  return at != labels.end() && !at->second.empty() ? &at->second : nullptr;
}

std::string First(std::initializer_list<const std::string*> candidates, std::string_view otherwise) {
  for (const std::string* candidate : candidates)
    if (candidate != nullptr && !candidate->empty()) return *candidate;
  return std::string(otherwise);
}

// The fairlead.* dialect. Without any label of it, it gives the defaults.
void DescribeFairlead(const ContainerFacts& facts, Sorted& sorted, LabelTable& names, ContainerServices& out) {
  auto value = [&](std::string_view key) -> const std::string* {
    auto at = sorted.container.find(key);
    return at != sorted.container.end() ? &at->second : nullptr;
  };
  const bool only_ids = !sorted.by_id.empty() && sorted.plain.values.empty() && value("service") == nullptr;
  if (!only_ids) {
    const std::string raw = First({value("service"), Find(facts.labels, kComposeService)}, facts.name);
    out.services.push_back(MakeService(facts, std::move(sorted.plain), names.Name(raw), out.project));
  }
  for (auto& [id, labels] : sorted.by_id) {
    if (out.services.size() == kMaxServicesPerContainer) {
      sorted.problems.push_back(Cat("more than ", kMaxServicesPerContainer, " services of one container: the rest is left out"));
      break;
    }
    out.services.push_back(MakeService(facts, std::move(labels), names.Name(id), out.project));
  }
}

// Compose's `run`: part of no service that others use.
void KeepFromTraffic(ContainerServices& services, std::string_view why) {
  for (ServiceEntry& entry : services.services) {
    entry.ip = IpAddress();
    entry.port = 0;
    entry.address_rule = why;
    entry.problems.emplace_back(why);
  }
}

constexpr size_t kMaxProblems = 64;

}  // namespace

ContainerServices DescribeServices(const ContainerFacts& facts, NameTables& names) {
  Sorted sorted = Sort(facts.labels);
  auto value = [&](std::string_view key) {
    auto at = sorted.container.find(key);
    return at != sorted.container.end() ? at->second : std::string();
  };
  ContainerServices out;
  const std::string project = First({Find(facts.labels, "fairlead.project"), Find(facts.labels, kComposeProject)}, "default");
  out.project = names.projects.Name(project);
  out.env = value("env");
  out.release = value("release");
  if (const std::string branch = value("branch"); !branch.empty()) {
    out.branch = names.branches[out.project].Branch(branch);
    if (out.branch.empty()) sorted.problems.push_back("label fairlead.branch holds no letter or digit");
  }

  // Dialects in order (conventions, A1): each later one would fill only the ports that the former left.
  DescribeFairlead(facts, sorted, names.services[out.project], out);

  if (const std::string* one_off = Find(facts.labels, kComposeOneOff); one_off != nullptr && EqualsIgnoreCase(*one_off, "true"))
    KeepFromTraffic(out, "not routed: compose one-off container");
  std::vector<std::string>& problems = out.services.front().problems;
  problems.insert(problems.begin(), sorted.problems.begin(), sorted.problems.end());
  if (problems.size() > kMaxProblems) {
    problems.resize(kMaxProblems);
    problems.push_back("further problems are left out");
  }
  return out;
}

}  // namespace fairlead::discovery
