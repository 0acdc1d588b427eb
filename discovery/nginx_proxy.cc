#include "discovery/nginx_proxy.h"

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "discovery/rule.h"

namespace fairlead::discovery {

namespace {

constexpr std::string_view kVariable = "variable";
constexpr std::string_view kLabelPrefix = "com.github.nginx-proxy.nginx-proxy.";

constexpr std::array<std::string_view, 4> kRead = {"VIRTUAL_HOST", "VIRTUAL_PORT", "VIRTUAL_PATH", "VIRTUAL_PROTO"};
constexpr std::array<std::string_view, 14> kLater = {
    "VIRTUAL_DEST",       "VIRTUAL_HOST_MULTIPORTS", "VIRTUAL_ROOT",        "HTTPS_METHOD", "ENABLE_HTTP_ON_MISSING_CERT",
    "HSTS",               "CERT_NAME",               "SSL_POLICY",          "NETWORK_ACCESS", "EXTERNAL_HTTP_PORT",
    "EXTERNAL_HTTPS_PORT", "LETSENCRYPT_HOST",       "LETSENCRYPT_EMAIL",   "ACME_HTTP_CHALLENGE_LOCATION"};
constexpr std::array<std::string_view, 7> kLabels = {"loadbalance",      "keepalive",        "http2.enable", "http3.enable",
                                                     "ssl_verify_client", "non-get-redirect", "trust-default-cert"};

std::string Quoted(std::string text) {
  for (size_t at = 0; (at = text.find('.', at)) != text.npos; at += 2) text.insert(at, "\\");
  return text;
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

struct Reader {
  const ContainerFacts& facts;
  DialectService service = {};
  std::string path = "/";

  const std::string* Find(const std::string& key) const {
    auto at = facts.environment.find(key);
    return at != facts.environment.end() && !Trim(at->second).empty() ? &at->second : nullptr;
  }
  void Complain(std::string_view key, std::string_view why) { service.problems.push_back(Bad(kVariable, key, why)); }

  void ReadPort() {
    uint16_t number = 80;
    std::vector<uint16_t> exposed;
    for (const auto& [port, protocol] : facts.exposed_ports)
      if (protocol == "tcp") exposed.push_back(port);
    if (exposed.size() == 1) number = exposed.front();
    if (const std::string* text = Find("VIRTUAL_PORT")) {
      const auto port = PortOf(*text);
      if (!port) return Complain("VIRTUAL_PORT", Cat("\"", Shown(*text), "\" is no port"));
      number = *port;
    } else if (facts.where.host_network) {
      return Complain("VIRTUAL_PORT", "is needed with --network host");
    }
    service.ports = {{"", number, "tcp"}};
  }

  // False: it cannot be routed as asked.
  bool ReadProtocol() {
    const std::string* text = Find("VIRTUAL_PROTO");
    if (text == nullptr || *text == "http") return true;
    if (*text == "grpc") {
      service.protocol = "h2c";
      return true;
    }
    const bool known = *text == "https" || *text == "grpcs" || *text == "fastcgi" || *text == "uwsgi";
    Complain("VIRTUAL_PROTO", Cat("\"", Shown(*text), "\" is ", known ? "not yet supported" : "none of http, grpc", ": not routed"));
    return false;
  }

  bool ReadPath() {
    const std::string* text = Find("VIRTUAL_PATH");
    if (text == nullptr) return true;
    path = Trim(*text);
    if (path.starts_with('/') || path.starts_with('~')) return true;
    Complain("VIRTUAL_PATH", Cat("\"", Shown(path), "\" is neither a path that begins with / nor ~regex: not routed"));
    return false;
  }

  // A guard that is not built must not turn into a way past it.
  bool ReadGuards() {
    bool open = true;
    if (const std::string* text = Find("NETWORK_ACCESS"); text != nullptr && *text != "external") {
      Complain("NETWORK_ACCESS", "is not yet supported: not routed, because it would be open to all");
      open = false;
    }
    const std::string label = Cat(kLabelPrefix, "ssl_verify_client");
    if (auto at = facts.labels.find(label); at != facts.labels.end() && at->second != "off") {
      service.problems.push_back(Bad("label", label, "is not yet supported: not routed, because it would be open to all"));
      open = false;
    }
    return open;
  }

  void Add(RouteRule route, std::string_view host) {
    if (!route.rule.empty()) {
      if (StatusOr<ParsedRule> parsed = ParseRule(route.rule); !parsed.ok())
        return Complain(host.starts_with('~') ? "VIRTUAL_HOST" : "VIRTUAL_PATH", Message(parsed.status()));
    }
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

  void ReadHosts(const std::vector<std::string>& hosts) {
    RouteRule plain{.hosts = {}, .path_prefix = path, .listeners = {}};
    for (const std::string& host : hosts) AddHost(host, plain);
    if (!plain.hosts.empty()) service.routes.insert(service.routes.begin(), std::move(plain));
  }
};

// Containers of one host and path are one pool; those of compose are already, by their service. Patterns name none.
std::string PoolName(const std::vector<std::string>& hosts, std::string_view path) {
  if (path.starts_with('~')) return "";
  while (path.ends_with('/')) path.remove_suffix(1);
  for (const std::string& host : hosts)
    if (IsHost(LowerAscii(host)) && !host.starts_with('*')) return Cat(LowerAscii(host), path);
  return "";
}

}  // namespace

bool IsNginxProxyKey(std::string_view key) {
  return In(kRead, key) || In(kLater, key) ||
         key.starts_with("VIRTUAL_");
}

DialectResult DescribeNginxProxy(const ContainerFacts& facts) {
  DialectResult result;
  Reader reader{.facts = facts};
  if (reader.Find("VIRTUAL_HOST_MULTIPORTS") != nullptr) {
    result.problems.push_back(Bad(kVariable, "VIRTUAL_HOST_MULTIPORTS",
                                  "is not yet supported: nothing is routed, for it stands above VIRTUAL_HOST"));
    return result;
  }
  const std::string* value = reader.Find("VIRTUAL_HOST");
  if (value == nullptr) return result;

  DialectService& service = reader.service;
  const std::vector<std::string> hosts = ListOf(*value);
  reader.ReadPort();
  const bool spoken = reader.ReadProtocol(), placed = reader.ReadPath(), open = reader.ReadGuards();
  if (spoken && placed && open) reader.ReadHosts(hosts);
  if (ComposeService(facts).empty()) service.name = PoolName(hosts, reader.path);

  std::vector<std::string_view> known(kRead.begin(), kRead.end());
  known.insert(known.end(), kLater.begin(), kLater.end());
  for (const auto& [key, text] : facts.environment) {
    if (!IsNginxProxyKey(key) || In(kRead, key) || key == "NETWORK_ACCESS") continue;
    if (key == "HTTPS_METHOD" && text == "noredirect") continue;  // as it is
    const bool later = In(kLater, key);
    service.problems.push_back(later ? NotYet(kVariable, key) : NotKnown(kVariable, key, key, known));
  }
  for (const auto& [key, text] : facts.labels) {
    if (!key.starts_with(kLabelPrefix)) continue;
    const std::string_view option = std::string_view(key).substr(kLabelPrefix.size());
    if (option == "ssl_verify_client") continue;
    const bool later = In(kLabels, option);
    service.problems.push_back(later ? NotYet("label", key) : NotKnown("label", key, option, {kLabels.begin(), kLabels.end()}));
  }
  result.services.push_back(std::move(service));
  return result;
}

}  // namespace fairlead::discovery
