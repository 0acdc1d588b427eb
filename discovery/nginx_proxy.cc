#include "discovery/nginx_proxy.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "base/strings.h"
#include "discovery/names.h"
#include "discovery/nginx_multiports.h"
#include "discovery/rule.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kVariable = "variable";
constexpr std::string_view kLabelPrefix = "com.github.nginx-proxy.nginx-proxy.";

// VIRTUAL_HOST_MULTIPORTS stands above these.
constexpr std::array<std::string_view, 5> kBeaten = {"VIRTUAL_HOST", "VIRTUAL_PORT", "VIRTUAL_PATH", "VIRTUAL_PROTO", "VIRTUAL_DEST"};
constexpr std::array<std::string_view, 7> kRead = {"VIRTUAL_HOST", "VIRTUAL_PORT", "VIRTUAL_PATH", "VIRTUAL_PROTO", "VIRTUAL_DEST",
                                                   "VIRTUAL_HOST_MULTIPORTS", "NETWORK_ACCESS"};
constexpr std::array<std::string_view, 11> kLater = {
    "VIRTUAL_ROOT", "HTTPS_METHOD",       "ENABLE_HTTP_ON_MISSING_CERT", "HSTS",             "CERT_NAME",        "SSL_POLICY",
    "EXTERNAL_HTTP_PORT", "EXTERNAL_HTTPS_PORT", "LETSENCRYPT_HOST",     "LETSENCRYPT_EMAIL", "ACME_HTTP_CHALLENGE_LOCATION"};
constexpr std::array<std::string_view, 7> kLabels = {"loadbalance",      "keepalive",        "http2.enable", "http3.enable",
                                                     "ssl_verify_client", "non-get-redirect", "trust-default-cert"};

// As a part of a regular expression.
std::string Quoted(std::string_view text) {
  std::string quoted;
  for (char c : text) {
    if (std::string_view("\\.+*?()|[]{}^$").contains(c)) quoted += '\\';
    quoted += c;
  }
  return quoted;
}

// A rule of the matchers, printed: it need not be quoted here.
RouteRule ByRule(std::vector<Rule> parts) {
  Rule rule = parts.size() == 1 ? parts.front() : Rule{.op = Rule::Op::kAll, .literals = {}, .parts = std::move(parts)};
  // nginx asks regular expressions after names, wildcards too.
  return {.hosts = {}, .listeners = {}, .rule = PrintRule(rule), .priority = 1};
}

Rule Match(Matcher matcher, std::string literal) {
  return {.matcher = matcher, .literals = {std::move(literal)}, .parts = {}};
}

const std::string* Find(const ContainerFacts& facts, const std::string& key) {
  auto at = facts.environment.find(key);
  return at != facts.environment.end() && !Trim(at->second).empty() ? &at->second : nullptr;
}

// Hosts with what they share. Of VIRTUAL_HOST all of them, of VIRTUAL_HOST_MULTIPORTS one.
struct Place {
  std::vector<std::string> hosts;
  VirtualPath at = {};           // without its host
  bool multiports = false;
};

// Makes a service of a place.
struct Reader {
  const ContainerFacts& facts;
  const Place& place;
  std::vector<Middleware>& middlewares;
  DialectService service = {};
  std::string path = "/";

  void Complain(std::string_view key, std::string_view why) {
    service.problems.push_back(Bad(kVariable, place.multiports ? "VIRTUAL_HOST_MULTIPORTS" : key, why));
  }

  void ReadPort() {
    uint16_t number = 80;
    std::vector<uint16_t> exposed;
    for (const auto& [port, protocol] : facts.exposed_ports)
      if (protocol == "tcp") exposed.push_back(port);
    if (exposed.size() == 1) number = exposed.front();
    if (!place.at.port.empty()) {
      const auto port = PortOf(place.at.port);
      if (!port) return Complain("VIRTUAL_PORT", Cat("\"", Shown(place.at.port), "\" is no port"));
      number = *port;
    } else if (facts.where.host_network) {
      return Complain("VIRTUAL_PORT", place.multiports ? "a port is needed with --network host" : "is needed with --network host");
    }
    service.ports = {{"", number, "tcp"}};
  }

  // False: it cannot be routed as asked.
  bool ReadProtocol() {
    const std::string& text = place.at.proto;
    if (text.empty() || text == "http") return true;
    if (text == "grpc") {
      service.protocol = "h2c";
      return true;
    }
    const bool known = text == "https" || text == "grpcs" || text == "fastcgi" || text == "uwsgi";
    Complain("VIRTUAL_PROTO", Cat("\"", Shown(text), "\" is ", known ? "not yet supported" : "none of http, grpc", ": not routed"));
    return false;
  }

  bool ReadPath() {
    if (!place.at.path.empty()) path = place.at.path;
    if (path.starts_with('/') || path.starts_with('~')) return true;
    Complain("VIRTUAL_PATH", Cat("\"", Shown(path), "\" is neither a path that begins with / nor ~regex: not routed"));
    return false;
  }

  // What stands before the rest of the path towards the container. nginx puts it in place of the prefix, byte for byte;
  // that would make //x of /app/x for `/app` and `/`, which nobody means.
  bool ReadDest() {
    const std::string& dest = place.at.dest;
    if (dest.empty() || dest == path) return true;
    if (path.starts_with('~') || !IsTarget(dest)) {
      Complain("VIRTUAL_DEST", path.starts_with('~') ? "goes with no regular expression for a path: not routed"
                                                     : Cat("\"", Shown(dest), "\" is no path that begins with /: not routed"));
      return false;
    }
    const bool doubled = dest.ends_with('/') && !path.ends_with('/');
    std::string replacement;
    for (char c : dest) replacement += c == '$' ? "$$" : std::string(1, c);
    Guard({.id = {}, .kind = "replacepathregex",
           .options = {{"regex", Cat("^", Quoted(path), doubled ? "/?" : "", "(.*)$")}, {"replacement", Cat(replacement, "${1}")}}});
    return true;
  }

  void ReadAccess() {
    const std::string* text = Find(facts, "NETWORK_ACCESS");
    if (text == nullptr || *text == "external") return;
    if (*text != "internal") service.problems.push_back(Bad(kVariable, "NETWORK_ACCESS", Cat("\"", Shown(*text), "\" is none of external, internal: taken for internal")));
    Guard({.id = {}, .kind = "ipallowlist", .options = {{"sourcerange", "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"}}});
  }

  // All routes of the service pass through it. Its name says what it does, so that equal ones of many containers are one.
  void Guard(Middleware middleware) {
    std::string raw = middleware.kind;
    for (const auto& [key, value] : middleware.options) raw += Cat("\n", key, "=", value);
    middleware.id = Cat("nginx-proxy-", HashDigits(Hash::kSha1, raw, 10));
    passing.push_back(Cat(middleware.id, "@docker"));
    if (std::ranges::find(middlewares, middleware) == middlewares.end()) middlewares.push_back(std::move(middleware));
  }

  void Add(RouteRule route, std::string_view host) {
    if (!route.rule.empty()) {
      if (StatusOr<ParsedRule> parsed = ParseRule(route.rule); !parsed.ok())
        return Complain(host.starts_with('~') ? "VIRTUAL_HOST" : "VIRTUAL_PATH", Message(parsed.status()));
    }
    route.middlewares = passing;
    service.routes.push_back(std::move(route));
  }

  void AddHost(const std::string& raw, RouteRule& plain) {
    std::string host = LowerAscii(raw);
    std::string pattern;
    if (raw.starts_with('~')) {
      pattern = raw.substr(1);
    } else if (host.ends_with(".*") && IsHost(host.substr(0, host.size() - 2))) {
      pattern = Cat("^", Quoted(host.substr(0, host.size() - 2)), "\\..+$");
    } else if (!IsHost(host)) {
      return Complain("VIRTUAL_HOST", Cat("\"", Shown(raw), "\" is no host name"));
    }
    const bool path_pattern = path.starts_with('~');
    if (pattern.empty() && !path_pattern) {
      plain.hosts.push_back(std::move(host));
      return;
    }
    std::vector<Rule> parts;
    if (!pattern.empty()) {
      parts.push_back(Match(Matcher::kHostRegexp, std::move(pattern)));
    } else if (host.starts_with("*.")) {
      // nginx's *.x takes any number of labels, the rule language's one.
      parts.push_back(Match(Matcher::kHostRegexp, Cat("^.+", Quoted(host.substr(1)), "$")));
    } else {
      parts.push_back(Match(Matcher::kHost, std::move(host)));
    }
    if (path_pattern) parts.push_back(Match(Matcher::kPathRegexp, path.substr(1)));
    if (!path_pattern && path != "/") parts.push_back(Match(Matcher::kPathPrefix, path));
    Add(ByRule(std::move(parts)), raw);
  }

  void ReadHosts() {
    RouteRule plain{.hosts = {}, .path_prefix = path, .listeners = {}, .middlewares = passing};
    for (const std::string& host : place.hosts) AddHost(host, plain);
    if (!plain.hosts.empty()) service.routes.insert(service.routes.begin(), std::move(plain));
  }

  std::vector<std::string> passing = {};  // middlewares that all routes pass through
};

// Containers of one host and path are one pool; those of compose are already, by their service. Patterns name none.
std::string PoolName(const std::vector<std::string>& hosts, std::string_view path) {
  if (path.starts_with('~')) return "";
  while (path.ends_with('/')) path.remove_suffix(1);
  for (const std::string& host : hosts)
    if (IsHost(LowerAscii(host)) && !host.starts_with('*')) return Cat(LowerAscii(host), path);
  return "";
}

// A guard that is not built must not turn into a way past it.
bool MayBeRouted(const ContainerFacts& facts, std::vector<std::string>& problems) {
  const std::string label = Cat(kLabelPrefix, "ssl_verify_client");
  auto at = facts.labels.find(label);
  if (at == facts.labels.end() || at->second == "off") return true;
  problems.push_back(Bad("label", label, "is not yet supported: not routed, because it would be open to all"));
  return false;
}

// Whatever else the dialect knows and we do not do, and what it does not know.
void ComplainOfOthers(const ContainerFacts& facts, bool multiports, std::vector<std::string>& problems) {
  std::vector<std::string_view> known(kRead.begin(), kRead.end());
  known.insert(known.end(), kLater.begin(), kLater.end());
  for (const auto& [key, text] : facts.environment) {
    if (!IsNginxProxyKey(key)) continue;
    if (In(kRead, key)) {
      const bool beaten = multiports && In(kBeaten, key);
      if (beaten) problems.push_back(Bad(kVariable, key, "has no effect beside VIRTUAL_HOST_MULTIPORTS"));
      continue;
    }
    if (key == "HTTPS_METHOD" && text == "noredirect") continue;  // as it is
    problems.push_back(In(kLater, key) ? NotYet(kVariable, key) : NotKnown(kVariable, key, key, known));
  }
  for (const auto& [key, text] : facts.labels) {
    if (!key.starts_with(kLabelPrefix)) continue;
    const std::string_view option = std::string_view(key).substr(kLabelPrefix.size());
    if (option == "ssl_verify_client") continue;
    problems.push_back(In(kLabels, option) ? NotYet("label", key) : NotKnown("label", key, option, {kLabels.begin(), kLabels.end()}));
  }
}

std::vector<Place> PlacesOf(const ContainerFacts& facts, std::vector<std::string>& problems) {
  std::vector<Place> places;
  if (const std::string* multiports = Find(facts, "VIRTUAL_HOST_MULTIPORTS")) {
    auto paths = ParseMultiports(*multiports, problems);
    if (!paths.ok()) problems.push_back(Bad(kVariable, "VIRTUAL_HOST_MULTIPORTS", Cat(Message(paths.status()), ": nothing is routed")));
    if (!paths.ok()) return places;
    for (VirtualPath& path : *paths) places.push_back({.hosts = {path.host}, .at = std::move(path), .multiports = true});
  } else if (const std::string* hosts = Find(facts, "VIRTUAL_HOST")) {
    auto text = [&](const char* key) {
      const std::string* found = Find(facts, key);
      return found == nullptr ? std::string() : std::string(Trim(*found));
    };
    places.push_back({.hosts = ListOf(*hosts), .at = {.host = {}, .path = text("VIRTUAL_PATH"), .port = text("VIRTUAL_PORT"),
                                                      .proto = text("VIRTUAL_PROTO"), .dest = text("VIRTUAL_DEST")}});
  }
  return places;
}

// A container's paths to one port are one service.
void Join(DialectService service, std::vector<DialectService>& services) {
  auto same = std::ranges::find_if(services, [&](const DialectService& other) {
    return other.ports == service.ports && other.protocol == service.protocol;
  });
  if (same == services.end()) return services.push_back(std::move(service));
  std::ranges::move(service.routes, std::back_inserter(same->routes));
  for (std::string& problem : service.problems)
    if (std::ranges::find(same->problems, problem) == same->problems.end()) same->problems.push_back(std::move(problem));
}

}  // namespace

bool IsNginxProxyKey(std::string_view key) {
  return In(kRead, key) || In(kLater, key) ||
         key.starts_with("VIRTUAL_");
}

DialectResult DescribeNginxProxy(const ContainerFacts& facts) {
  DialectResult result;
  const std::vector<Place> places = PlacesOf(facts, result.problems);
  if (places.empty()) return result;
  const bool open = MayBeRouted(facts, result.problems), of_compose = !ComposeService(facts).empty();
  for (const Place& place : places) {
    Reader reader{.facts = facts, .place = place, .middlewares = result.middlewares};
    reader.ReadPort();
    reader.ReadAccess();
    const bool spoken = reader.ReadProtocol(), placed = reader.ReadPath() && reader.ReadDest();
    if (spoken && placed && open) reader.ReadHosts();
    if (!of_compose) reader.service.name = PoolName(place.hosts, reader.path);
    Join(std::move(reader.service), result.services);
  }
  if (of_compose && result.services.size() > 1)
    for (DialectService& service : result.services)
      if (!service.ports.empty()) service.suffix = Cat("-", service.ports.front().number);
  ComplainOfOthers(facts, places.front().multiports, result.problems);
  return result;
}

}  // namespace fairlead::discovery
