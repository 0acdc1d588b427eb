#include "discovery/labels.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "base/strings.h"
#include "discovery/labels_dialect.h"
#include "discovery/nginx_proxy.h"
#include "discovery/registrator.h"
#include "discovery/rule.h"
#include "discovery/traefik_labels.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kPrefix = "fairlead.";
constexpr std::string_view kComposeOneOff = "com.docker.compose.oneoff";

// Of a service: plain, or as fairlead.service.ID.KEY.
constexpr std::array<std::string_view, 9> kServiceKeys = {"port", "protocol", "host",   "path", "rule",
                                                          "listener", "listen", "weight", "check"};
// Of the container.
constexpr std::array<std::string_view, 5> kContainerKeys = {"service", "project", "branch", "env", "release"};
// Read by the network plugin, when the container is attached.
constexpr std::array<std::string_view, 2> kElsewhereKeys = {"pool", "ip"};
constexpr std::array<std::string_view, 11> kLaterKeys = {
    "drain", "hold", "release.weight", "mirror", "fallback", "sleep", "rate", "spread", "owner", "public", "policy.url"};

std::string NotUnderstood(std::string_view label, std::string_view key) {
  std::vector<std::string_view> known;
  for (const auto& keys : {std::span<const std::string_view>(kServiceKeys), std::span<const std::string_view>(kContainerKeys),
                           std::span<const std::string_view>(kElsewhereKeys), std::span<const std::string_view>(kLaterKeys)})
    known.insert(known.end(), keys.begin(), keys.end());
  return NotKnown("label", label, key, known);
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
    } else if (In(kLaterKeys, key)) {
      sorted.problems.push_back(NotYet("label", label));
    } else if (!In(kElsewhereKeys, key)) {
      sorted.problems.push_back(NotUnderstood(label, key));
    }
  }
  return sorted;
}

// "8080", or "http=8080,metrics=9090".
std::vector<Port> PortsOf(ServiceLabels& labels, const std::string& value, const std::string& transport) {
  std::vector<Port> ports;
  for (const std::string& item : ListOf(value)) {
    const size_t equals = item.find('=');
    const std::string name = equals == std::string::npos ? "" : NameLabel(Trim(std::string_view(item).substr(0, equals)));
    const std::string_view number = equals == std::string::npos ? item : Trim(std::string_view(item).substr(equals + 1));
    const auto port = PortOf(number);
    if (!port) {
      labels.Bad("port", Cat("\"", Shown(item), "\" is no port (8080, or http=8080,metrics=9090)"));
      continue;
    }
    ports.push_back({name, *port, transport});
  }
  return ports;
}

// Without a label: the sole or first exposed one. Engines keep them by number, so the lowest is the first.
std::vector<Port> DefaultPort(const ContainerFacts& facts, const std::string& transport) {
  const auto lowest = LowestExposed(facts, transport);
  if (!lowest) return {};
  return {{"", *lowest, transport}};
}

// A rule that cannot be read makes no route; the service stays, and what else it has.
void AddRuleOf(ServiceLabels& labels, const std::string& text, RouteRule route, std::vector<RouteRule>& out) {
  StatusOr<ParsedRule> parsed = ParseRule(text);
  if (!parsed.ok()) return labels.Bad("rule", Message(parsed.status()));
  for (const std::string& warning : parsed->warnings) labels.Bad("rule", warning);
  route.rule = text;
  out.push_back(std::move(route));
}

std::vector<RouteRule> RoutesOf(ServiceLabels& labels) {
  const std::string* host = labels.Find("host");
  const std::string* path = labels.Find("path");
  const std::string* listener = labels.Find("listener");
  const std::string* text = labels.Find("rule");
  std::vector<RouteRule> rules;
  RouteRule rule;
  if (listener != nullptr) rule.listeners = ListOf(*listener);
  if (text != nullptr) AddRuleOf(labels, *text, rule, rules);
  if (host == nullptr && path == nullptr) {
    if (listener != nullptr && text == nullptr) labels.Bad("listener", "has no effect without a host, path or rule");
    return rules;
  }
  for (const std::string& raw : ListOf(host != nullptr ? *host : "*")) {
    std::string name = LowerAscii(raw);
    if (name.size() > 1 && name.ends_with('.')) name.pop_back();
    if (IsHost(name)) {
      rule.hosts.push_back(std::move(name));
    } else {
      labels.Bad("host", Cat("\"", Shown(raw), "\" is no host name"));
    }
  }
  if (rule.hosts.empty()) return rules;
  for (const std::string& prefix : ListOf(path != nullptr ? *path : "/")) {
    if (!prefix.starts_with('/')) {
      labels.Bad("path", Cat("\"", Shown(prefix), "\" does not begin with /"));
      continue;
    }
    rule.path_prefix = prefix;
    rules.push_back(rule);
  }
  return rules;
}

std::optional<HealthCheck> CheckOf(ServiceLabels& labels) {
  const std::string* label = labels.Find("check");
  if (label == nullptr) return std::nullopt;
  StatusOr<HealthCheck> check = ParseCheck(*label);
  if (check.ok()) return *check;
  labels.Bad("check", Message(check.status()));
  return std::nullopt;
}

std::optional<uint32_t> WeightOf(ServiceLabels& labels) {
  const std::string* weight = labels.Find("weight");
  if (weight == nullptr) return std::nullopt;
  if (const auto number = discovery::WeightOf(*weight)) return number;
  labels.Bad("weight", Cat("\"", Shown(*weight), "\" is no number from 0 to ", kMaxWeight));
  return std::nullopt;
}

// A TCP port that balancers open for the service. Whoever asks for one speaks tcp, unless it says otherwise: by its
// protocol, or by routes, which are of HTTP.
uint16_t ListenOf(ServiceLabels& labels, std::string& protocol) {
  const std::string* listen = labels.Find("listen");
  if (listen == nullptr) return 0;
  const auto port = PortOf(*listen);
  if (!port) {
    labels.Bad("listen", Cat("\"", Shown(*listen), "\" is no port, as in 25432"));
    return 0;
  }
  const bool routed = labels.Find("host") != nullptr || labels.Find("path") != nullptr || labels.Find("rule") != nullptr;
  if (labels.Find("protocol") == nullptr && !routed) protocol = "tcp";
  if (protocol == "tcp") return *port;
  labels.Bad("listen", Cat("passes bytes of tcp on, and the service speaks ", protocol, "; give it fairlead.protocol=tcp, or a listener of the file"));
  return 0;
}

DialectService MakeService(const ContainerFacts& facts, ServiceLabels labels, std::string name) {
  DialectService service{.name = std::move(name)};
  if (const std::string* protocol = labels.Find("protocol")) {
    static constexpr std::array<std::string_view, 4> kProtocols = {"http", "h2c", "tcp", "udp"};
    if (In(kProtocols, *protocol)) {
      service.protocol = *protocol;
    } else {
      labels.Bad("protocol", Cat("\"", Shown(*protocol), "\" is none of http, h2c, tcp, udp"));
    }
  }
  service.listen = ListenOf(labels, service.protocol);
  service.weight = WeightOf(labels).value_or(1);
  const std::string transport = TransportOf(service.protocol);
  // A port label that says nothing valid is not replaced by a guess.
  const std::string* port = labels.Find("port");
  service.ports = port != nullptr ? PortsOf(labels, *port, transport) : DefaultPort(facts, transport);
  service.routes = RoutesOf(labels);
  service.check = CheckOf(labels);
  service.problems = std::move(labels.problems);
  return service;
}

// A host of a route counts as one.
void LimitRoutes(DialectService& service) {
  size_t routes = 0;
  for (const RouteRule& route : service.routes) routes += std::max<size_t>(1, route.hosts.size());
  if (routes <= kMaxRoutesPerService) return;
  service.routes.clear();
  service.problems.push_back(Cat("more than ", kMaxRoutesPerService, " routes of one service: none is used"));
}

// Where it is reached and how it is looked at.
ServiceEntry EntryOf(const ContainerFacts& facts, DialectService service, std::string name, const std::string& project) {
  const std::string transport = TransportOf(service.protocol);
  LimitRoutes(service);
  ServiceEntry entry;
  entry.service = std::move(name);
  entry.project = project;
  entry.ports = std::move(service.ports);
  entry.protocol = std::move(service.protocol);
  entry.routes = std::move(service.routes);
  entry.weight = service.weight;
  entry.sticky = std::move(service.sticky);
  entry.listen = service.listen;
  ChosenAddress chosen = ChooseAddress(facts.where, entry.ports.empty() ? 0 : entry.ports.front().number, transport);
  entry.ip = chosen.ip;
  entry.port = chosen.port;
  entry.address_rule = std::move(chosen.rule);
  // Unasked: what the engine checks needs no other look; anything else must be reachable once.
  const bool left_alone = facts.engine_checks || transport != "tcp";
  entry.check = service.check.value_or(HealthCheck{.kind = left_alone ? CheckKind::kNone : CheckKind::kReachable});
  entry.problems = std::move(service.problems);
  if (!entry.published()) entry.problems.push_back(entry.address_rule);
  return entry;
}

std::string ValueOf(const Sorted& sorted, std::string_view key) {
  auto at = sorted.container.find(key);
  return at != sorted.container.end() ? at->second : "";
}

// What the fairlead.* labels describe; nothing without any that tells a name, a port or a route.
std::vector<DialectService> DescribeFairlead(const ContainerFacts& facts, Sorted& sorted) {
  static constexpr std::array<std::string_view, 6> kDescribing = {"port", "protocol", "host", "path", "rule", "listen"};
  std::vector<DialectService> services;
  const std::string name = ValueOf(sorted, "service");
  const bool plain = !name.empty() || (!sorted.by_id.empty() && !sorted.plain.values.empty()) ||
                     std::ranges::any_of(kDescribing, [&](auto key) { return sorted.plain.Find(key) != nullptr; });
  if (plain) services.push_back(MakeService(facts, std::move(sorted.plain), name));
  for (auto& [id, labels] : sorted.by_id) services.push_back(MakeService(facts, std::move(labels), id));
  return services;
}

// Puts what the dialects describe into the container's services: in the order they are added, each fills only the ports
// that the former left.
class Merger {
 public:
  Merger(const ContainerFacts& facts, LabelTable& names, ContainerServices& out) : facts_(facts), names_(names), out_(out) {}

  void Add(std::string_view dialect, std::vector<DialectService> services) {
    std::map<uint16_t, std::string> mine;
    for (DialectService& service : services) {
      const uint16_t port = service.ports.empty() ? 0 : service.ports.front().number;
      if (auto at = holders_.find(port); at != holders_.end()) {
        // Its problems would be about what has no effect.
        problems_.push_back(Cat(dialect, " is ignored for port ", port, ": ", at->second, " describes it"));
        continue;
      }
      for (const Port& other : service.ports) mine.emplace(other.number, dialect);
      if (service.ports.empty()) mine.emplace(0, dialect);
      Put(std::move(service));
    }
    holders_.merge(mine);
  }
  void Put(DialectService service) {
    if (out_.services.size() == kMaxServicesPerContainer) {
      if (!std::exchange(full_, true)) problems_.push_back(Cat("more than ", kMaxServicesPerContainer, " services of one container: the rest is left out"));
      return;
    }
    std::string raw = Cat(service.name.empty() ? OwnName() : service.name, service.suffix);
    if (!raw_names_.insert(raw).second) {
      problems_.push_back(Cat("service ", Shown(raw), " is described twice: the first holds"));
      return;
    }
    const std::string name = names_.Name(raw);
    out_.services.push_back(EntryOf(facts_, std::move(service), name, out_.project));
  }
  std::vector<std::string>& problems() { return problems_; }

 private:
  std::string OwnName() const {
    std::string compose = ComposeService(facts_);
    return compose.empty() ? facts_.name : compose;
  }

  const ContainerFacts& facts_;
  LabelTable& names_;
  ContainerServices& out_;
  std::map<uint16_t, std::string> holders_;  // by port: the dialect that describes it
  std::set<std::string> raw_names_;
  std::vector<std::string> problems_;
  bool full_ = false;
};

// Compose's `run`: part of no service that others use.
void KeepFromTraffic(ContainerServices& services, std::string_view why) {
  for (ServiceEntry& entry : services.services) {
    entry.ip = IpAddress();
    entry.port = 0;
    entry.address_rule = why;
    entry.problems.emplace_back(why);
  }
}

struct Dialect {
  std::string_view name;
  DialectResult (*describe)(const ContainerFacts& facts);
};
constexpr std::array<Dialect, 3> kDialects{
    {{"traefik", DescribeTraefik}, {"nginx-proxy", DescribeNginxProxy}, {"registrator", DescribeRegistrator}}};

// Weight and check of fairlead.* hold for what other dialects describe too: they stand first, value by value.
void DescribeOthers(const ContainerFacts& facts, Sorted& sorted, Merger& merger, ContainerServices& out) {
  std::optional<HealthCheck> check;
  std::optional<uint32_t> weight;
  const bool described = !out.services.empty();
  if (!described) {
    ServiceLabels copy = sorted.plain;  // what is wrong in them is said once, below
    check = CheckOf(copy);
    weight = WeightOf(copy);
  }
  std::string withheld;
  for (const Dialect& dialect : kDialects) {
    if (std::ranges::find(facts.dialects, dialect.name) == facts.dialects.end()) continue;
    DialectResult result = dialect.describe(facts);
    for (std::string& problem : result.problems) merger.problems().push_back(std::move(problem));
    for (DialectService& service : result.services) {
      if (check) service.check = check;
      if (weight) service.weight = *weight;
    }
    merger.Add(dialect.name, std::move(result.services));
    std::ranges::move(result.middlewares, std::back_inserter(out.middlewares));
    if (withheld.empty()) withheld = std::move(result.withheld);
  }
  if (out.services.empty()) {
    merger.Put(MakeService(facts, std::move(sorted.plain), ""));
    if (!withheld.empty()) KeepFromTraffic(out, withheld);
  } else if (!described && !sorted.plain.values.empty()) {
    (void)CheckOf(sorted.plain);
    (void)WeightOf(sorted.plain);
    if (sorted.plain.Find("listener") != nullptr) sorted.plain.Bad("listener", "has no effect without a host, path or rule");
    for (std::string& problem : sorted.plain.problems) merger.problems().push_back(std::move(problem));
  }
}

constexpr size_t kMaxProblems = 64;

}  // namespace

StatusOr<HealthCheck> ParseCheck(std::string_view value) {
  const size_t colon = value.find(':');
  const std::string_view kind = value.substr(0, colon);
  const std::string_view target = colon == value.npos ? "" : value.substr(colon + 1);
  HealthCheck check{.target = std::string(target)};
  check.tls = kind == "https" || kind == "grpcs";
  if ((kind == "http" || kind == "https") && (colon == value.npos || target.starts_with('/'))) {
    check.kind = CheckKind::kHttp;
    if (target.empty()) check.target = "/";
  } else if (kind == "grpc" || kind == "grpcs") {
    check.kind = CheckKind::kGrpc;
  } else if (value == "tcp") {
    check.kind = CheckKind::kTcp;
  } else if (value != "none") {
    return InvalidArgument("\"", Shown(value), "\" is none of http:/PATH, https:/PATH, tcp, grpc, grpc:SERVICE, grpcs, grpcs:SERVICE, none");
  }
  const bool printable = std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable) return InvalidArgument("\"", Shown(value), "\" has blanks or bytes that a request cannot carry");
  return check;
}

std::vector<std::string> AllDialects() {
  std::vector<std::string> names;
  for (const Dialect& dialect : kDialects) names.emplace_back(dialect.name);
  return names;
}

bool IsDialectVariable(std::string_view name) { return IsNginxProxyKey(name) || IsRegistratorKey(name); }

ContainerServices DescribeServices(const ContainerFacts& facts, NameTables& names) {
  Sorted sorted = Sort(facts.labels);
  ContainerServices out;
  std::string project = ValueOf(sorted, "project");
  if (project.empty()) project = ComposeProject(facts);
  if (project.empty()) project = "default";
  out.project = names.projects.Name(project);
  out.env = ValueOf(sorted, "env");
  out.release = ValueOf(sorted, "release");
  if (const std::string branch = ValueOf(sorted, "branch"); !branch.empty()) {
    out.branch = names.branches[out.project].Branch(branch);
    if (out.branch.empty()) sorted.problems.push_back("label fairlead.branch holds no letter or digit");
  }

  Merger merger(facts, names.services[out.project], out);
  std::vector<std::string> problems = std::move(sorted.problems);
  merger.Add("fairlead.*", DescribeFairlead(facts, sorted));
  DescribeOthers(facts, sorted, merger, out);

  const auto one_off = facts.labels.find(std::string(kComposeOneOff));
  if (one_off != facts.labels.end() && EqualsIgnoreCase(one_off->second, "true"))
    KeepFromTraffic(out, "not routed: compose one-off container");
  std::ranges::move(merger.problems(), std::back_inserter(problems));
  std::vector<std::string>& shown = out.services.front().problems;
  shown.insert(shown.begin(), problems.begin(), problems.end());
  if (shown.size() > kMaxProblems) {
    shown.resize(kMaxProblems);
    shown.emplace_back("further problems are left out");
  }
  return out;
}

}  // namespace fairlead::discovery
