#include "discovery/traefik_labels.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/strings.h"
#include "discovery/rule.h"
#include "discovery/sticky.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kLabel = "label";

constexpr std::array<std::string_view, 5> kRouterKeys = {"rule", "entrypoints", "service", "priority", "tls"};
constexpr std::array<std::string_view, 3> kRouterTaken = {"middlewares", "rulesyntax", "tls.options"};
constexpr std::array<std::string_view, 5> kRouterLater = {"tls.certresolver", "tls.domains", "observability.accesslogs",
                                                          "observability.metrics", "observability.tracing"};
constexpr std::array<std::string_view, 19> kServiceKeys = {
    "sticky", "sticky.cookie", "sticky.cookie.name", "sticky.cookie.secure", "sticky.cookie.httponly", "sticky.cookie.samesite",
    "sticky.cookie.maxage", "sticky.cookie.path", "sticky.cookie.domain",
    "server.port",        "server.scheme",       "server.weight",        "healthcheck.path", "healthcheck.interval",
    "healthcheck.timeout", "healthcheck.port", "healthcheck.hostname", "healthcheck.mode", "healthcheck.scheme"};
constexpr std::array<std::string_view, 15> kServiceLater = {"server.url",
                                                            "server.preservepath",
                                                            "passhostheader",
                                                            "serverstransport",
                                                            "strategy",
                                                            "healthcheck.method",
                                                            "healthcheck.status",
                                                            "healthcheck.unhealthyinterval",
                                                            "healthcheck.followredirects",
                                                            "healthcheck.headers",
                                                            "passivehealthcheck.failurewindow",
                                                            "passivehealthcheck.maxfailedattempts",
                                                            "responseforwarding.flushinterval",
                                                            "responseforwarding",
                                                            "healthcheck"};
constexpr std::array<std::string_view, 6> kTop = {"enable", "docker.network", "docker.allownonrunning", "http", "tcp", "udp"};

struct Option {
  std::string label;  // as it was written
  std::string value;
};
using Options = std::map<std::string, Option, std::less<>>;  // by key in lower case

// The labels by what they are of. Ids are in lower case, as the keys that hold them.
struct Sorted {
  Options container;                       // enable, docker.…
  std::map<std::string, Options> routers, services;
  std::map<std::string, Middleware> middlewares;
  std::map<std::string, std::string> middleware_labels;  // the first of each id
  bool any = false, http = false, other_protocols = false;
  std::vector<std::string> problems;
};

std::string_view TakePart(std::string_view& rest) {
  const size_t dot = std::min(rest.find('.'), rest.size());
  const std::string_view part = rest.substr(0, dot);
  rest.remove_prefix(std::min(dot + 1, rest.size()));
  return part;
}

template <size_t... N>
std::vector<std::string_view> All(const std::array<std::string_view, N>&... keys) {
  std::vector<std::string_view> all;
  (all.insert(all.end(), keys.begin(), keys.end()), ...);
  return all;
}

// A part in the middle of the label.
std::string Misspelt(const std::string& label, std::string_view part, const std::vector<std::string_view>& known) {
  const std::string_view nearest = Nearest(part, known);
  std::string problem = Cat(kLabel, " ", Shown(label), " is not understood: \"", Shown(part), "\"");
  if (!nearest.empty()) problem += Cat(" (did you mean ", nearest, "?)");
  return problem;
}

void Add(Options& options, std::string_view key, const std::string& label, const std::string& value, Sorted& sorted) {
  if (!options.emplace(key, Option{label, value}).second)
    sorted.problems.push_back(Bad(kLabel, label, "is given twice, in capitals and without: the first holds"));
}

void SortRouter(std::string_view id, std::string_view key, const std::string& label, const std::string& value, Sorted& sorted) {
  Options& router = sorted.routers[std::string(id)];
  if (In(kRouterKeys, key) || In(kRouterTaken, key)) {
    Add(router, key, label, value, sorted);
  } else if (In(kRouterLater, key) || key.starts_with("tls.domains[")) {
    sorted.problems.push_back(NotYet(kLabel, label));
  } else {
    sorted.problems.push_back(NotKnown(kLabel, label, key, All(kRouterKeys, kRouterTaken, kRouterLater)));
  }
}

void SortService(std::string_view id, std::string_view key, const std::string& label, const std::string& value, Sorted& sorted) {
  constexpr std::string_view kBalancer = "loadbalancer";
  Options& service = sorted.services[std::string(id)];
  std::string_view option = key;
  if (const std::string_view kind = TakePart(option); kind != kBalancer) {
    const bool later = kind == "weighted" || kind == "mirroring" || kind == "failover";
    sorted.problems.push_back(later ? NotYet(kLabel, label) : Misspelt(label, kind, {kBalancer}));
  } else if (In(kServiceKeys, option)) {
    Add(service, option, label, value, sorted);
  } else if (option == "passhostheader" && BoolOf(value) == true) {
    return;  // as it is
  } else if (In(kServiceLater, option) || option.starts_with("healthcheck.headers.")) {
    sorted.problems.push_back(NotYet(kLabel, label));
  } else {
    sorted.problems.push_back(NotKnown(kLabel, label, option, All(kServiceKeys, kServiceLater)));
  }
}

// ID.KIND.OPTION, or ID.KIND=true. Behind the kind names of fields keep their capitals.
void SortMiddleware(std::string_view id, std::string_view rest, const std::string& label, const std::string& value, Sorted& sorted) {
  const std::string kind(TakePart(rest));
  Middleware& middleware = sorted.middlewares[std::string(id)];
  sorted.middleware_labels.emplace(id, label);
  if (middleware.id.empty()) {
    middleware.id = id;
    middleware.kind = kind;
  } else if (const auto kinds = Split(middleware.kind, '+'); std::ranges::find(kinds, kind) == kinds.end()) {
    middleware.kind += Cat("+", kind);  // one of them may be a guard
  }
  if (rest.empty()) return;
  std::string option(rest);
  if (const size_t dot = rest.find('.'); dot != rest.npos)
    if (const std::string_view group = rest.substr(0, dot); group.ends_with("headers"))
      option = Cat(group, std::string_view(label).substr(label.size() - rest.size() + dot));
  middleware.options.emplace_back(std::move(option), value);
}

// traefik.http.(routers | services | middlewares).ID.KEY
void SortHttp(std::string_view rest, const std::string& label, const std::string& value, Sorted& sorted) {
  static const std::vector<std::string_view> kKinds = {"routers", "services", "middlewares"};
  const std::string_view kind = TakePart(rest), id = TakePart(rest);
  if (std::ranges::find(kKinds, kind) == kKinds.end()) {
    sorted.problems.push_back(Misspelt(label, kind, kKinds));
    return;
  }
  if (id.empty() || rest.empty() || id.contains('@')) {
    sorted.problems.push_back(Bad(kLabel, label, "is not traefik.http.KIND.NAME.OPTION, NAME without @"));
    return;
  }
  sorted.http = true;
  if (kind == "routers") return SortRouter(id, rest, label, value, sorted);
  if (kind == "services") return SortService(id, rest, label, value, sorted);
  SortMiddleware(id, rest, label, value, sorted);
}

Sorted Sort(const std::map<std::string, std::string>& labels) {
  Sorted sorted;
  for (const auto& [label, value] : labels) {
    const std::string key = LowerAscii(label);
    if (!key.starts_with("traefik.")) continue;
    sorted.any = true;
    std::string_view rest = std::string_view(key).substr(8);
    const std::string_view option = rest;
    const std::string_view protocol = TakePart(rest);
    if (protocol == "http" && !rest.empty()) {
      SortHttp(rest, label, value, sorted);
    } else if ((protocol == "tcp" || protocol == "udp") && !rest.empty()) {
      sorted.other_protocols |= rest.starts_with("routers.") || rest.starts_with("services.");
      sorted.problems.push_back(NotYet(kLabel, label));
    } else if (option == "docker.lbswarm" || option.starts_with("swarm.")) {
      sorted.problems.push_back(NotYet(kLabel, label));
    } else if (In(kTop, option) && protocol != "http") {
      Add(sorted.container, option, label, value, sorted);
    } else {
      sorted.problems.push_back(rest.empty() || protocol == "docker" ? NotKnown(kLabel, label, option, All(kTop))
                                                                     : Misspelt(label, protocol, All(kTop)));
    }
  }
  return sorted;
}

// "name@docker" is "name"; what other providers define is not here.
struct Reference {
  std::string name;      // in lower case
  std::string provider;  // "" of this container's
};

Reference ReferenceOf(std::string_view text) {
  const std::string lower = LowerAscii(Trim(text));
  const size_t at = lower.find('@');
  Reference reference{.name = lower.substr(0, at), .provider = at == lower.npos ? "" : lower.substr(at + 1)};
  if (reference.provider == "docker") reference.provider.clear();
  return reference;
}

const Option* Find(const Options& options, std::string_view key) {
  auto at = options.find(key);
  return at != options.end() ? &at->second : nullptr;
}

// Runs of letters and digits, joined with '-': "web_1" is "web-1".
std::string Normalize(std::string_view name) {
  std::string out;
  for (char c : name) {
    const char lower = LowerAscii(c);
    const bool kept = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
    if (kept) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  if (out.ends_with('-')) out.pop_back();
  return out;
}

std::string DefaultRule(const ContainerFacts& facts) {
  const std::string service = ComposeService(facts);
  return Cat("Host(`", Normalize(service.empty() ? facts.name : Cat(service, "_", ComposeProject(facts))), "`)");
}

// One service: its server's port, its check, its weight.
struct ServiceReader {
  const ContainerFacts& facts;
  const Options& options;
  DialectService service = {};
  bool routable = true;

  void Complain(const Option& option, std::string_view why) { service.problems.push_back(Bad(kLabel, option.label, why)); }
  void Unfit(const Option& option, std::string_view what) {
    Complain(option, Cat("\"", Shown(option.value), "\" is no ", what));
  }

  void ReadPort() {
    const Option* option = Find(options, "server.port");
    auto port = option != nullptr ? PortOf(option->value) : LowestExposed(facts, "tcp");
    if (port) service.ports = {{"", *port, "tcp"}};
    if (option != nullptr && !port) Unfit(*option, "port");
  }
  void ReadScheme() {
    const Option* option = Find(options, "server.scheme");
    if (option == nullptr || option->value == "http") return;
    if (option->value == "h2c") {
      service.protocol = "h2c";
      return;
    }
    Complain(*option, Cat("\"", Shown(option->value), "\" is ", option->value == "https" ? "not yet supported" : "none of http, h2c",
                          ": not routed"));
    routable = false;
  }
  void ReadWeight() {
    const Option* option = Find(options, "server.weight");
    if (option == nullptr) return;
    if (const auto weight = WeightOf(option->value)) {
      service.weight = *weight;
    } else {
      Unfit(*option, Cat("number from 0 to ", kMaxWeight));
    }
  }
  void ReadTime(std::string_view key, Nanos& time) {
    const Option* option = Find(options, key);
    if (option == nullptr) return;
    if (const auto value = DurationOf(option->value)) {
      time = *value;
    } else {
      Unfit(*option, "duration (10s)");
    }
  }
  // Traefik changes its mind at the first answer.
  void ReadCheck() {
    HealthCheck check{.kind = CheckKind::kHttp, .interval = 30 * kSecond, .timeout = 5 * kSecond, .rise = 1, .fall = 1};
    const Option* mode = Find(options, "healthcheck.mode");
    const Option* path = Find(options, "healthcheck.path");
    const bool grpc = mode != nullptr && mode->value == "grpc";
    if (mode != nullptr && !grpc && mode->value != "http") Complain(*mode, "is neither http nor grpc");
    if (path == nullptr && !grpc) {
      for (const auto& [key, option] : options)
        if (key.starts_with("healthcheck.")) Complain(option, "has no effect without a healthcheck.path");
      return;
    }
    if (grpc) {
      check.kind = CheckKind::kGrpc;
      if (path != nullptr) Complain(*path, "has no effect with mode grpc");
    } else if (IsTarget(path->value)) {
      check.target = path->value;
    } else {
      return Unfit(*path, "path");
    }
    if (const Option* host = Find(options, "healthcheck.hostname")) {
      if (IsHost(LowerAscii(host->value)) && !host->value.starts_with('*')) {
        check.host = host->value;
      } else {
        Unfit(*host, "host name");
      }
    }
    if (const Option* port = Find(options, "healthcheck.port")) {
      check.port = PortOf(port->value).value_or(0);
      if (check.port == 0) Unfit(*port, "port");
    }
    if (const Option* scheme = Find(options, "healthcheck.scheme")) {
      check.tls = scheme->value == "https";
      if (!check.tls && scheme->value != "http") Complain(*scheme, "is neither http nor https");
    }
    ReadTime("healthcheck.interval", check.interval);
    ReadTime("healthcheck.timeout", check.timeout);
    service.check = check;
  }
  // Any key of it asks for the cookie, but a false one.
  void ReadSticky() {
    StickyOptions said;
    for (const auto& [key, option] : options)
      if (key.starts_with("sticky")) said.emplace_back(key == "sticky" ? "" : std::string_view(key).substr(7), option.value);
    std::string fault_key;
    const StatusOr<StickyCookie> cookie = ParseSticky(said, fault_key);
    if (cookie.ok()) {
      service.sticky = *cookie;
    } else if (const Option* option = Find(options, fault_key.empty() ? "sticky" : Cat("sticky.", fault_key))) {
      Complain(*option, Cat(Message(cookie.status()), ": no cookie is set"));
    }
  }
  void Read() {
    ReadPort();
    ReadSticky();
    ReadScheme();
    ReadWeight();
    ReadCheck();
  }
};

// What the container's labels make, router by router.
class Translation {
 public:
  Translation(const ContainerFacts& facts, Sorted& sorted) : facts_(facts), sorted_(sorted) {}

  DialectResult Run() {
    if (sorted_.services.empty()) sorted_.services[""];  // Traefik makes one
    for (const auto& [id, options] : sorted_.services) {
      ServiceReader reader{.facts = facts_, .options = options};
      reader.service.name = id;
      reader.Read();
      if (!reader.routable) not_routable_.insert(id);
      services_.emplace(id, std::move(reader.service));
    }
    if (sorted_.routers.empty()) AddDefaultRouter();
    for (const auto& [id, options] : sorted_.routers) AddRouter(id, options);
    DialectResult result;
    for (auto& [id, service] : services_) result.services.push_back(std::move(service));
    TakeMiddlewares(result);
    result.problems = std::move(sorted_.problems);
    return result;
  }

 private:
  // All of them go on: another container's router may refer to one. What cannot be built is shown here, and keeps the
  // routes shut that refer to it.
  void TakeMiddlewares(DialectResult& result) {
    for (auto& [id, middleware] : sorted_.middlewares) {
      const std::string& label = sorted_.middleware_labels[id];
      if (result.middlewares.size() == kMaxMiddlewaresOfRow) {
        sorted_.problems.push_back(Bad(kLabel, label, Cat("more than ", kMaxMiddlewaresOfRow, " middlewares of one container: the rest is left out")));
        return;
      }
      std::ranges::sort(middleware.options);
      const StatusOr<ParsedMiddleware> parsed = ParseMiddleware(middleware);
      if (parsed.ok()) {
        for (const std::string& warning : parsed->warnings) sorted_.problems.push_back(Bad(kLabel, label, warning));
      } else {
        const bool feature = IsFeatureNotBuilt(middleware.kind);
        sorted_.problems.push_back(Bad(kLabel, label, Cat(Message(parsed.status()), feature ? ": requests pass without it" : ": routes with it answer 503")));
      }
      result.middlewares.push_back(std::move(middleware));
    }
  }

  void AddDefaultRouter() {
    if (services_.size() > 1) {
      sorted_.problems.emplace_back("traefik: no router is made of itself, for there are several services: say which in traefik.http.routers.NAME.service");
      return;
    }
    sorted_.routers[""];
  }

  // The service that the router leads to; null, and why is said.
  DialectService* Target(const std::string& id, const Options& options) {
    const Option* option = Find(options, "service");
    if (option == nullptr) {
      if (services_.size() == 1) return &services_.begin()->second;
      sorted_.problems.push_back(Cat("traefik router ", Shown(id), ": several services and none named: not routed"));
      return nullptr;
    }
    const Reference reference = ReferenceOf(option->value);
    if (!reference.provider.empty()) {
      sorted_.problems.push_back(Bad(kLabel, option->label, Cat("services of provider ", Shown(reference.provider), " are not yet supported: not routed")));
      return nullptr;
    }
    auto at = services_.find(reference.name);
    if (at != services_.end()) return &at->second;
    sorted_.problems.push_back(Bad(kLabel, option->label, Cat("service ", Shown(option->value), " is not defined at this container: not routed")));
    return nullptr;
  }

  // A guard that is not built must not turn into a way past it.
  bool IsOpen(const Options& options) {
    bool open = true;
    auto shut = [&](const Option& option, std::string_view what) {
      sorted_.problems.push_back(Bad(kLabel, option.label, Cat(what, " is not yet supported: not routed, because it may be a guard")));
      open = false;
    };
    if (const Option* tls = Find(options, "tls.options"); tls != nullptr && ReferenceOf(tls->value).name != "default")
      shut(*tls, Shown(tls->value));
    return open;
  }

  // Where they are defined, and whether they can be built, the balancer knows: at any container, or in its file.
  void ReadMiddlewares(const Options& options, RouteRule& route) {
    const Option* option = Find(options, "middlewares");
    if (option == nullptr) return;
    for (const std::string& name : ListOf(option->value)) {
      route.middlewares.push_back(QualifiedMiddleware(name, "docker"));
      const std::string_view provider = std::string_view(route.middlewares.back()).substr(route.middlewares.back().find('@') + 1);
      if (provider != "docker" && provider != "file")
        sorted_.problems.push_back(Bad(kLabel, option->label, Cat("middlewares of provider ", Shown(provider), " are not known, only of docker and file: the route answers 503")));
    }
  }

  void AddRouter(const std::string& id, const Options& options) {
    RouteRule route;
    const Option* rule = Find(options, "rule");
    route.rule = rule != nullptr && !Trim(rule->value).empty() ? rule->value : DefaultRule(facts_);
    DialectService* service = Target(id, options);
    const bool open = IsOpen(options), understood = ReadRule(rule, route);
    ReadPriority(options, route);
    ReadMiddlewares(options, route);
    if (const Option* entrypoints = Find(options, "entrypoints")) route.listeners = ListOf(entrypoints->value);
    ReadTls(options, route);
    if (const Option* syntax = Find(options, "rulesyntax"); syntax != nullptr && !EqualsIgnoreCase(syntax->value, "v3"))
      sorted_.problems.push_back(Bad(kLabel, syntax->label, "rules are read as v3; v2's forms are taken as what they mean"));
    if (service == nullptr || !open || !understood || not_routable_.contains(service->name)) return;
    service->routes.push_back(std::move(route));
  }

  bool ReadRule(const Option* option, const RouteRule& route) {
    const std::string label = option != nullptr ? option->label : "traefik's default rule";
    StatusOr<ParsedRule> parsed = ParseRule(route.rule);
    if (!parsed.ok()) {
      sorted_.problems.push_back(Bad(kLabel, label, Cat(Message(parsed.status()), ": not routed")));
      return false;
    }
    for (const std::string& warning : parsed->warnings) sorted_.problems.push_back(Bad(kLabel, label, warning));
    if (parsed->protocol != RuleProtocol::kTcp) return true;
    sorted_.problems.push_back(Bad(kLabel, label, "asks for what only TCP has: not routed"));
    return false;
  }

  void ReadPriority(const Options& options, RouteRule& route) {
    const Option* option = Find(options, "priority");
    if (option == nullptr) return;
    const bool negative = option->value.starts_with('-');
    const auto number = ParseNumber<int64_t>(std::string_view(option->value).substr(negative ? 1 : 0));
    if (number) {
      route.priority = negative ? -*number : *number;
    } else {
      sorted_.problems.push_back(Bad(kLabel, option->label, Cat("\"", Shown(option->value), "\" is no whole number")));
    }
  }

  // Which listeners speak TLS is the balancer's configuration: a router is bound to them by name.
  void ReadTls(const Options& options, const RouteRule& route) {
    const Option* option = Find(options, "tls");
    if (option == nullptr) return;
    const auto on = BoolOf(option->value);
    if (!on) sorted_.problems.push_back(Bad(kLabel, option->label, Cat("\"", Shown(option->value), "\" is neither true nor false")));
    if (on == true && route.listeners.empty())
      sorted_.problems.push_back(Bad(kLabel, option->label, "binds the route to no listener: name those with TLS in entrypoints"));
  }

  const ContainerFacts& facts_;
  Sorted& sorted_;
  std::map<std::string, DialectService> services_;
  std::set<std::string> not_routable_;
};

void CheckNetwork(const ContainerFacts& facts, Sorted& sorted) {
  const Option* option = Find(sorted.container, "docker.network");
  if (option == nullptr || facts.where.addresses.empty()) return;
  if (std::ranges::any_of(facts.where.addresses, [&](const Address& at) { return at.network == option->value; })) return;
  sorted.problems.push_back(Bad(kLabel, option->label, Cat("the container is not on network ", Shown(option->value), "; it is reached all the same")));
}

}  // namespace

DialectResult DescribeTraefik(const ContainerFacts& facts) {
  Sorted sorted = Sort(facts.labels);
  DialectResult result;
  if (!sorted.any) return result;
  if (const Option* enable = Find(sorted.container, "enable")) {
    const auto on = BoolOf(enable->value);
    if (on == false) return result;
    if (!on) {
      result.problems.push_back(Bad(kLabel, enable->label, Cat("\"", Shown(enable->value), "\" is neither true nor false: no label of Traefik has effect")));
      return result;
    }
  }
  CheckNetwork(facts, sorted);
  if (sorted.other_protocols && !sorted.http) {
    result.problems = std::move(sorted.problems);
    return result;
  }
  return Translation(facts, sorted).Run();
}

}  // namespace fairlead::discovery
