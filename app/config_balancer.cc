#include "app/config_balancer.h"

#include <algorithm>

#include "app/config_middlewares.h"
#include "base/http/head.h"
#include "base/strings.h"
#include "discovery/health/verdict.h"
#include "discovery/rule.h"
#include "discovery/sticky.h"
#include "lb/route_rule.h"

namespace fairlead::app {
namespace {

// "web" and "web.shop" are SERVICE.PROJECT with the default project filled in.
std::string FullServiceName(std::string_view name) {
  return name.find('.') == name.npos ? Cat(name, ".default") : std::string(name);
}

// One of some words, each with what it means.
template <class Meaning>
void Pick(ConfigReader& reader, const char* key, Meaning& out,
          const std::vector<std::pair<std::string_view, Meaning>>& words) {
  std::vector<std::string_view> choices;
  for (const auto& [word, meaning] : words) choices.push_back(word);
  std::string text;
  reader.Choice(key, text, choices);
  for (const auto& [word, meaning] : words)
    if (word == text) out = meaning;
}

// "64KiB", "10MiB", "1GiB", or a bare number of bytes.
StatusOr<int64_t> ParseBytes(std::string_view text, int64_t low, int64_t high) {
  constexpr std::pair<std::string_view, int> kUnits[] = {{"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  std::string_view digits = text;
  int shift = 0;
  for (auto [unit, bits] : kUnits)
    if (text.ends_with(unit)) {
      digits = text.substr(0, text.size() - unit.size());
      shift = bits;
    }
  auto number = ParseNumber<uint32_t>(digits);
  int64_t bytes = number ? int64_t{*number} << shift : -1;
  if (bytes < low || bytes > high)
    return InvalidArgument("\"", text, "\" is no size from ", low, " to ", high, " bytes; write 65536, 64KiB, 10MiB or 2GiB");
  return bytes;
}

template <class Number>
void ReadBytes(ConfigReader& reader, const char* key, Number& out, int64_t low, int64_t high) {
  int64_t bytes = static_cast<int64_t>(out);
  reader.Parsed(key, bytes, [&](std::string_view text) { return ParseBytes(text, low, high); });
  out = static_cast<Number>(bytes);
}

// "20000-29999", "10.0.0.5:20000-29999", "[::]:20000-29999"; "": no ports.
StatusOr<lb::DynamicPortRange> ParsePortRange(std::string_view text) {
  lb::DynamicPortRange range;
  if (text.empty()) return range;
  const size_t dash = text.rfind('-');
  const auto high = dash == text.npos ? std::nullopt : ParseNumber<uint16_t>(text.substr(dash + 1));
  const std::string_view begin = text.substr(0, dash);
  auto low = SocketAddress::Parse(begin.contains(':') ? std::string(begin) : Cat("0.0.0.0:", begin));
  if (!low.ok() || low->is_unix() || low->port() == 0 || !high || *high < low->port())
    return InvalidArgument("\"", text, "\" is no range of ports; write 20000-29999, or 10.0.0.5:20000-29999 for one address");
  return lb::DynamicPortRange{low->ip(), low->port(), *high};
}

void ReadListenerTls(ConfigReader& reader, lb::TlsSpec& tls) {
  reader.Maps("certificates", [&](ConfigReader& item) {
    lb::CertificateFiles files;
    item.String("cert", files.cert);
    item.String("key", files.key);
    item.String("ocsp", files.ocsp);
    if (files.cert.empty()) item.Fault("cert", "is missing: a PEM file with the certificate and its chain");
    tls.certificates.push_back(std::move(files));
  });
  reader.Strings("alpn", tls.alpn);
  for (const std::string& protocol : tls.alpn) {
    if (protocol == "h2") reader.Fault("alpn", "h2: not yet; this version has http/1.1");
    if (protocol != "h2" && protocol != "http/1.1" && protocol != "http/1.0")
      reader.Fault("alpn", Cat("\"", protocol, "\" is none of http/1.1, http/1.0"));
  }
  reader.String("client_ca", tls.client_ca);
  reader.Choice("min_version", tls.min_version, {"1.2", "1.3"});
}

// A time that a connection is given: none would end it before it could do anything.
void ReadTimeout(ConfigReader& reader, const char* key, Nanos& out) {
  reader.Duration(key, out);
  if (out == 0) reader.Fault(key, "0 would end every connection at once; write a time, as in 10s");
}

void ReadLimits(ConfigReader& reader, lb::RequestLimits& limits) {
  ReadBytes(reader, "head", limits.head_bytes, 1 << 10, 1 << 20);
  reader.Integer("fields", limits.fields, 1, http::kMaxFields);
  ReadBytes(reader, "target", limits.target_bytes, 64, 1 << 20);
  ReadBytes(reader, "body", limits.body_bytes, 0, int64_t{1} << 50);
}

void ReadServiceSettings(ConfigReader& reader, lb::ServiceSettings& settings) {
  std::string protocol = "http", balance = "round_robin", proxy_protocol = "none";
  reader.Choice("protocol", protocol, {"http", "h2c", "tcp", "udp"});
  if (protocol == "h2c" || protocol == "udp")
    reader.Fault("protocol", Cat(protocol, ": not yet; this version balances http and tcp"));
  if (protocol == "tcp") settings.protocol = lb::ServiceProtocol::kTcp;
  reader.Choice("balance", balance, {"round_robin", "least_request", "peak_ewma", "random", "maglev"});
  if (balance != "round_robin") reader.Fault("balance", Cat(balance, ": not yet; this version has round_robin"));
  reader.Choice("proxy_protocol", proxy_protocol, {"none", "v1", "v2"});
  if (proxy_protocol == "v1") settings.proxy_header = lb::ProxyHeader::kV1;
  if (proxy_protocol == "v2") settings.proxy_header = lb::ProxyHeader::kV2;
  for (const char* key : {"hash", "drain", "hold"}) reader.NotYet(key);
  if (reader.Has("sticky")) reader.Map("sticky", [&](ConfigReader& sticky) {
    discovery::StickyOptions options;
    sticky.Flattened(options);
    std::string key;
    const auto cookie = discovery::ParseSticky(options, key);
    if (!cookie.ok()) return sticky.Fault("", Cat(key, ": ", Message(cookie.status())));
    if (options.empty()) sticky.Fault("", "says nothing; write {cookie: true}, or {cookie: {name: lb}}");
    settings.sticky = *cookie;
    if (settings.sticky.enabled && settings.protocol == lb::ServiceProtocol::kTcp)
      sticky.Fault("", "is a cookie of HTTP, and the service speaks tcp");
  });
  reader.Map("tls", [&](ConfigReader& tls) {
    settings.tls.enabled = reader.Has("tls");
    tls.String("ca", settings.tls.ca);
    tls.String("server_name", settings.tls.server_name);
    tls.Bool("verify", settings.tls.verify);
    tls.String("cert", settings.tls.cert);
    tls.String("key", settings.tls.key);
    if (!settings.tls.verify && !settings.tls.ca.empty())
      tls.Fault("ca", "has no meaning with verify: false");
    if (settings.tls.cert.empty() && !settings.tls.key.empty())
      tls.Fault("cert", "is missing: the certificate that the key belongs to");
  });
  reader.Map("timeouts", [&](ConfigReader& timeouts) {
    ReadTimeout(timeouts, "connect", settings.connect);
    ReadTimeout(timeouts, "response", settings.response);
    timeouts.Duration("idle", settings.idle);  // 0: no connection is kept
    ReadTimeout(timeouts, "tunnel", settings.tunnel);
  });
  reader.Map("retries", [&](ConfigReader& retries) {
    retries.Integer("max", settings.max_retries, 0, 10);
    if (!retries.Has("on")) return retries.NotYet("on");
    std::vector<std::string> on;
    retries.Strings("on", on);
    settings.retry_connect_failure = settings.retry_reset_before_response = false;
    for (const std::string& reason : on) {
      if (reason == "connect_failure") {
        settings.retry_connect_failure = true;
      } else if (reason == "reset_before_response") {
        settings.retry_reset_before_response = true;
      } else {
        retries.Fault("on", Cat("\"", reason, "\" is none of connect_failure, reset_before_response"));
      }
    }
  });
}

// One of http, tcp and grpc says how; the rest is the same for all.
void ReadHealthCheck(ConfigReader& reader, discovery::HealthCheck& check) {
  using discovery::CheckKind;
  std::string target, given;
  auto kind = [&](const char* key, CheckKind kind) {
    if (!reader.Has(key)) return false;
    if (!given.empty()) reader.Fault(key, Cat("beside ", given, ": an endpoint is checked in one way; leave one of them out"));
    given = key;
    check.kind = kind;
    return true;
  };
  if (kind("http", CheckKind::kHttp)) {
    reader.String("http", check.target);
    if (!check.target.starts_with('/')) reader.Fault("http", Cat("\"", check.target, "\" begins with no /; write a path, as in /healthz"));
  }
  if (kind("grpc", CheckKind::kGrpc)) reader.String("grpc", check.target);
  if (kind("tcp", CheckKind::kTcp)) {
    bool tcp = false;
    reader.Bool("tcp", tcp);
    if (!tcp) reader.Fault("tcp", "write tcp: true, or leave health_check out");
  }
  const bool printable = std::ranges::all_of(check.target, [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable) reader.Fault(given.c_str(), "has blanks or bytes that a request cannot carry");
  if (given.empty()) reader.Fault("http", "is missing: a health_check needs one of http: /PATH, tcp: true, grpc: SERVICE");
  if (reader.Has("host")) reader.String("host", check.host);
  reader.Bool("tls", check.tls);
  if (check.tls && check.kind == CheckKind::kTcp) reader.Fault("tls", "says nothing beside tcp: true, which only connects");
  reader.Integer("port", check.port, 1, 65535);
  reader.Duration("interval", check.interval);
  reader.Duration("timeout", check.timeout);
  reader.Integer("rise", check.rise, 1, 100);
  reader.Integer("fall", check.fall, 1, 100);
  if (check.interval < health::Verdict::kMinInterval)
    reader.Fault("interval", Cat("is shorter than ", FormatDuration(health::Verdict::kMinInterval), ": looks would follow each other without a pause"));
  if (check.timeout <= 0 || check.timeout > kMinute) reader.Fault("timeout", "is no time from 1ms to 1m");
}

// "50%" and "50"; 0: none.
StatusOr<uint32_t> ParsePercent(std::string_view text) {
  auto number = ParseNumber<uint32_t>(text.ends_with('%') ? text.substr(0, text.size() - 1) : text);
  if (number && *number <= 100) return *number;
  return InvalidArgument("\"", text, "\" is no share; write 50%, up to 100%; 0%: only when no endpoint is ready");
}

StatusOr<int64_t> ParsePriority(std::string_view text) {
  const bool negative = text.starts_with('-');
  auto number = ParseNumber<int32_t>(negative ? text.substr(1) : text);
  if (!number) return InvalidArgument("\"", text, "\" is no priority: a whole number, negative ones too; 0: the default");
  return negative ? -int64_t{*number} : int64_t{*number};
}

void ReadRule(ConfigReader& reader, const lb::RouteSpec& route, Config& config) {
  if (!reader.Has("rule")) return;
  for (const char* key : {"host", "path_prefix"})
    if (reader.Has(key)) reader.Fault(key, "a rule stands in its place: write Host(`…`) && PathPrefix(`…`) there");
  StatusOr<discovery::ParsedRule> parsed = discovery::ParseRule(route.rule);
  if (!parsed.ok()) return reader.Fault("rule", Message(parsed.status()));
  discovery::RegexCache regexes;
  if (lb::PlacesOf(parsed->rule, regexes).empty()) reader.Fault("rule", "no request can meet it: it asks for two hosts at once");
  for (const std::string& warning : parsed->warnings) config.warnings.push_back(Cat(reader.path(), ".rule: ", warning));
}

}  // namespace

void ReadLb(ConfigReader& reader, Config& config) {
  std::string io = "auto";
  reader.Addresses("agents", config.lb_agents);
  reader.Integer("workers", config.lb.workers, 1, 1024);
  reader.Choice("io", io, {"auto", "uring", "epoll"});
  config.lb.io = io == "uring" ? io::IoBackend::kUring : io == "epoll" ? io::IoBackend::kEpoll : config.lb.io;
  reader.Parsed("listen", config.lb_listen, SocketAddress::Parse);
  reader.String("admin_socket", config.lb_admin_socket);
  reader.Map("agents_tls", [](ConfigReader& tls) {
    for (const char* key : {"ca", "cert", "key"}) tls.NotYet(key);
  });
  reader.Parsed("dynamic_ports", config.lb.dynamic_ports, ParsePortRange);
  for (const char* key : {"stats_socket", "access_log"}) reader.NotYet(key);
  reader.Map("forwarded", [&](ConfigReader& forwarded) {
    using Options = lb::ForwardOptions;
    Options& options = config.lb.forward;
    Pick<Options::For>(forwarded, "x_forwarded_for", options.x_forwarded_for,
                       {{"append", Options::For::kAppend}, {"set", Options::For::kSet}, {"off", Options::For::kOff}});
    Pick<Options::Proto>(forwarded, "x_forwarded_proto", options.x_forwarded_proto,
                         {{"set", Options::Proto::kSet}, {"keep", Options::Proto::kKeep}, {"off", Options::Proto::kOff}});
    using Id = Options::RequestId;
    Pick<Id>(forwarded, "x_request_id", options.x_request_id,
             {{"keep_or_create", Id::kKeepOrCreate}, {"create", Id::kCreate}, {"off", Id::kOff}});
    Pick<bool>(forwarded, "forwarded", options.forwarded, {{"off", false}, {"append", true}});
    Pick<Options::Trace>(forwarded, "trace", options.trace,
                         {{"off", Options::Trace::kOff}, {"w3c", Options::Trace::kW3c}, {"b3", Options::Trace::kB3}});
    Pick<bool>(forwarded, "via", options.via, {{"on", true}, {"off", false}});
  });
}

void ReadListener(ConfigReader& reader, Config& config) {
  lb::ListenerSpec listener;
  std::string protocol = "http", proxy_protocol = "none";
  reader.String("name", listener.name);
  reader.Parsed("bind", listener.bind, SocketAddress::Parse);
  reader.Choice("protocol", protocol, {"http", "https", "h2c", "tcp", "tls", "udp"});
  reader.Choice("proxy_protocol", proxy_protocol, {"none", "accept"});
  const bool bytes = protocol == "tcp" || protocol == "tls";
  const std::string for_http = Cat("is for protocol: http and https; this listener has ", protocol);
  for (const char* key : {"limits", "lenient", "normalize_path"})
    if (bytes && reader.Has(key)) reader.Fault(key, for_http);
  std::string service;
  reader.String("service", service);
  reader.Map("tls", [&](ConfigReader& tls) { ReadListenerTls(tls, listener.tls); });
  reader.Map("timeouts", [&](ConfigReader& timeouts) {
    ReadTimeout(timeouts, "request_header", listener.request_header);
    ReadTimeout(timeouts, "request_body", listener.request_body);
    ReadTimeout(timeouts, "keep_alive", listener.keep_alive);
    for (const char* key : {"request_body", "keep_alive"})
      if (bytes && timeouts.Has(key)) timeouts.Fault(key, for_http);
  });
  reader.Map("limits", [&](ConfigReader& limits) { ReadLimits(limits, listener.limits); });
  reader.Bool("lenient", listener.lenient);
  Pick<bool>(reader, "normalize_path", listener.normalize_path, {{"off", false}, {"merge_and_resolve", true}});
  if (protocol == "https") {
    listener.protocol = lb::ListenerProtocol::kHttps;
    if (listener.tls.certificates.empty())
      reader.Fault("tls", "https needs a certificate: tls: {certificates: [{cert: FILE, key: FILE}]}");
  } else if (reader.Has("tls")) {
    reader.Fault("tls", Cat("is for protocol: https; this listener has ", protocol));
  }
  if (protocol == "h2c" || protocol == "udp")
    reader.Fault("protocol", Cat(protocol, ": not yet; this version has http, https, tcp and tls"));
  if (protocol == "tcp") listener.protocol = lb::ListenerProtocol::kTcp;
  if (protocol == "tls") listener.protocol = lb::ListenerProtocol::kTls;
  if (protocol == "tcp" && service.empty())
    reader.Fault("service", "is missing: a tcp listener passes everything on to one SERVICE or SERVICE.PROJECT");
  if (protocol != "tcp" && !service.empty())
    reader.Fault("service", Cat("is for protocol: tcp; a listener of ", protocol, " finds its services by routes"));
  if (!service.empty()) listener.service = FullServiceName(service);
  listener.accept_proxy = proxy_protocol == "accept";
  if (listener.name.empty()) reader.Fault("name", "is missing: a listener needs one");
  if (!listener.bind.is_set() && !reader.Has("bind")) reader.Fault("bind", "is missing, as in 0.0.0.0:80");
  for (const lb::ListenerSpec& other : config.lb.listeners) {
    if (other.name == listener.name) reader.Fault("name", Cat("listener ", listener.name, " is there twice"));
    // Both could be opened, since each worker shares the port with the others: clients would meet either of them.
    if (other.bind == listener.bind && (listener.bind.port() != 0 || listener.bind.is_unix()))
      reader.Fault("bind", Cat(listener.bind.ToString(), " is listener ", other.name, "'s already; choose another port"));
  }
  if (config.lb.listeners.size() == lb::kMaxListeners)
    reader.Fault("name", Cat("more than ", lb::kMaxListeners, " listeners"));
  config.lb.listeners.push_back(std::move(listener));
}

void ReadService(const std::string& name, ConfigReader& reader, Config& config) {
  lb::ServiceSpec service;
  std::string project = "default";
  reader.String("project", project);
  service.name = name.find('.') == name.npos ? Cat(name, ".", project) : name;
  reader.Maps("endpoints", [&](ConfigReader& item) {
    lb::StaticEndpoint endpoint;
    HostPort where;
    item.Parsed("address", where, [](std::string_view text) { return HostPort::Parse(text); });
    endpoint.address = where.address;
    if (where.is_name()) endpoint.name = std::move(where);
    item.Integer("weight", endpoint.weight, 0, 1000);
    if (!item.Has("address")) item.Fault("address", "is missing, as in 10.0.0.5:8080 or db.example.com:5432");
    if (endpoint.address.is_set() && !endpoint.address.is_unix() && endpoint.address.port() == 0)
      item.Fault("address", Cat(endpoint.address.ToString(), " has no port to connect to"));
    for (const lb::StaticEndpoint& other : service.endpoints)
      if (other.address == endpoint.address && other.name == endpoint.name && (endpoint.address.is_set() || endpoint.name.is_name()))
        item.Fault("address", Cat(endpoint.name.is_name() ? endpoint.name.ToString() : endpoint.address.ToString(),
                                  " is there twice; give it a weight instead"));
    service.endpoints.push_back(endpoint);
  });
  ReadServiceSettings(reader, service.settings);
  reader.Parsed("fail_open_below", service.fail_open_below, ParsePercent);
  if (reader.Has("health_check")) {
    reader.Map("health_check", [&](ConfigReader& check) {
      service.health_check.tls = service.settings.tls.enabled && !check.Has("tcp");
      ReadHealthCheck(check, service.health_check);
    });
  }
  const bool speaks = service.health_check.kind != discovery::CheckKind::kNone && service.health_check.kind != discovery::CheckKind::kTcp;
  if (speaks && service.settings.proxy_header != lb::ProxyHeader::kNone)
    reader.Fault("health_check", "not yet: checks do not speak PROXY, which this service's endpoints want; write tcp: true");
  for (const lb::ServiceSpec& other : config.lb.services)
    if (other.name == service.name) reader.Fault("project", Cat("service ", service.name, " is there twice"));
  config.lb.services.push_back(std::move(service));
}

void ReadRoute(ConfigReader& reader, Config& config) {
  lb::RouteSpec route;
  std::string service;
  reader.Strings("host", route.hosts);
  reader.String("path_prefix", route.path_prefix);
  reader.String("service", service);
  reader.Strings("listeners", route.listeners);
  reader.String("rule", route.rule);
  reader.Parsed("priority", route.priority, ParsePriority);
  ReadReferences(reader, route.middlewares);
  ReadRule(reader, route, config);
  for (std::string& host : route.hosts) {
    host = LowerAscii(std::string_view(host));
    if (host.find('*') != host.npos && host != "*" && (!host.starts_with("*.") || host.find('*', 1) != host.npos))
      reader.Fault("host", Cat("\"", host, "\": a wildcard is \"*\" or \"*.\" and a name"));
    if (host.empty() || host.find_first_of(" /") != host.npos || (!host.starts_with('[') && host.find(':') != host.npos))
      reader.Fault("host", Cat("\"", host, "\" is no host; write a name without port, as in shop.example.com"));
  }
  if (!route.path_prefix.starts_with('/'))
    reader.Fault("path_prefix", Cat("\"", route.path_prefix, "\" begins with no /, so no path would match it"));
  if (route.path_prefix.contains('?'))
    reader.Fault("path_prefix", Cat("\"", route.path_prefix, "\" holds a ?, where paths end; write a rule, as in Query(`key`, `value`)"));
  if (service.empty()) reader.Fault("service", "is missing: SERVICE or SERVICE.PROJECT");
  if (route.hosts.empty() && !reader.Has("rule"))
    reader.Fault("host", "is missing: a list of names, or [\"*\"] for the default; or a rule in its place");
  route.service = FullServiceName(service);
  config.lb.routes.push_back(std::move(route));
}

}  // namespace fairlead::app
