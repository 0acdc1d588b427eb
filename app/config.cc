#include "app/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "app/config_middlewares.h"
#include "app/config_reader.h"
#include "base/dns/host_book.h"
#include "base/http/head.h"
#include "base/strings.h"
#include "discovery/health/verdict.h"
#include "discovery/rule.h"
#include "discovery/sticky.h"
#include "lb/route_rule.h"

namespace fairlead::app {
namespace {

constexpr char kDefaultFile[] = "/etc/fairlead/fairlead.yaml";
constexpr char kDefaultFolder[] = "/etc/fairlead/conf.d";

// "web" and "web.shop" are SERVICE.PROJECT with the default project filled in.
std::string FullServiceName(std::string_view name) {
  return name.find('.') == name.npos ? Cat(name, ".default") : std::string(name);
}

void ReadEngines(ConfigReader& reader, Config& config) {
  config.docker_wanted = reader.Has("docker");
  reader.Map("docker", [&](ConfigReader& docker) {
    docker.String("socket", config.docker_socket);
    docker.String("plugin_dir", config.plugin_dir);
    docker.String("plugin_name", config.plugin_name);
  });
  if (reader.Has("podman")) config.podman_socket = kDefaultPodmanSocket;
  reader.Map("podman", [&](ConfigReader& podman) { podman.String("socket", config.podman_socket); });
  if (reader.Has("containerd")) config.containerd_socket = kDefaultContainerdSocket;
  reader.Map("containerd", [&](ConfigReader& containerd) {
    containerd.String("socket", config.containerd_socket);
    containerd.Strings("namespaces", config.containerd_namespaces);
    if (config.containerd_namespaces.empty()) containerd.Fault("namespaces", "is empty; write the namespaces to follow, as in [default]");
    for (const std::string& name : config.containerd_namespaces) {
      if (name == "moby") containerd.Fault("namespaces", "moby is Docker's own: its containers come by engines.docker");
      if (name.empty() || name.find_first_of("/ ,\"") != name.npos) containerd.Fault("namespaces", Cat("\"", name, "\" is no namespace of containerd"));
    }
  });
}

void ReadPrefix(ConfigReader& reader, ipam::PoolSpec& pool) {
  ipam::PrefixSpec spec;
  reader.Parsed("cidr", spec.prefix, [](std::string_view text) { return Prefix::Parse(text); });
  reader.Parsed("gateway", spec.gateway, IpAddress::Parse);
  std::vector<std::string> texts;
  reader.Strings("ranges", texts);
  for (const std::string& text : texts) {
    size_t dash = text.find('-');
    auto low = IpAddress::Parse(std::string_view(text).substr(0, dash));
    auto high = dash == text.npos ? low : IpAddress::Parse(std::string_view(text).substr(dash + 1));
    if (low.ok() && high.ok() && *low <= *high) {
      spec.ranges.emplace_back(*low, *high);
    } else {
      reader.Fault("ranges", Cat("\"", text, "\" is no range, as in 10.40.0.10-10.40.0.199"));
    }
  }
  texts.clear();
  reader.Strings("exclude", texts);
  for (const std::string& text : texts) {
    auto ip = IpAddress::Parse(text);
    if (ip.ok()) {
      spec.exclude.push_back(*ip);
    } else {
      reader.Fault("exclude", Message(ip.status()));
    }
  }
  reader.String("node", spec.node);
  reader.String("site", spec.site);
  reader.Integer("vlan", spec.vlan, 0, 4094);
  reader.Integer("max_endpoints", spec.max_endpoints, 0, UINT32_MAX);
  if (spec.prefix.network().is_set()) {
    pool.prefixes.push_back(std::move(spec));
  } else if (!reader.Has("cidr")) {
    reader.Fault("cidr", "is missing: a prefix needs it, as in 10.40.0.0/24");
  }
}

ipam::PoolSpec ReadPoolSpec(ConfigReader& reader) {
  ipam::PoolSpec pool;
  std::string names = "node";
  reader.String("name", pool.name);
  reader.String("project", pool.project);
  reader.Integer("quota", pool.quota, 0, UINT32_MAX);
  reader.Choice("names", names, {"node", "fleet"});
  reader.Duration("retain", pool.retain, /*allow_forever=*/true);
  reader.Duration("quarantine", pool.quarantine);
  reader.Maps("prefixes", [&](ConfigReader& prefix) { ReadPrefix(prefix, pool); });
  if (names == "fleet") reader.Fault("names", "fleet: not yet: this version keeps names per node");
  if (pool.name.empty()) {
    reader.Fault("name", "is missing: a pool needs one");
  } else if (Status valid = pool.Validate(); !valid.ok()) {
    reader.Fault("prefixes", Message(valid));
  }
  return pool;
}

void ReadPool(ConfigReader& reader, Config& config) {
  ipam::PoolSpec pool = ReadPoolSpec(reader);
  for (const ipam::PoolSpec& other : config.pools) {
    if (other.name == pool.name) reader.Fault("name", Cat("pool ", pool.name, " is there twice"));
    for (const ipam::PrefixSpec& theirs : other.prefixes)
      for (const ipam::PrefixSpec& ours : pool.prefixes)
        if (theirs.prefix.Overlaps(ours.prefix))
          reader.Fault("prefixes", Cat(ours.prefix.ToString(), " overlaps ", theirs.prefix.ToString(), " of pool ",
                                       other.name, "; an address can belong to one pool only"));
  }
  config.pools.push_back(std::move(pool));
}

NetworkConfig ReadNetwork(ConfigReader& reader) {
  NetworkConfig network;
  reader.String("name", network.name);
  reader.Choice("mode", network.mode, {"bridge", "routed", "macvlan", "overlay"});
  reader.String("pool", network.pool);
  reader.String("bridge", network.bridge);
  reader.NotYet("parent");
  reader.NotYet("vlan");
  if (network.mode != "bridge") reader.Fault("mode", Cat(network.mode, ": not yet; this version has bridge"));
  if (network.name.empty()) reader.Fault("name", "is missing: a network needs one");
  if (network.pool.empty()) reader.Fault("pool", "is missing: a network takes its addresses from one");
  return network;
}

// An address, or a prefix of them.
StatusOr<Prefix> ParseAddresses(std::string_view text) {
  auto ip = IpAddress::Parse(text);
  return ip.ok() ? Prefix(*ip, ip->is_v4() ? 32 : 128) : Prefix::Parse(text);
}

// "10.0.0.53" and "10.0.0.53:5353".
StatusOr<SocketAddress> ParseNameServer(std::string_view text) {
  constexpr uint16_t kDnsPort = 53;
  auto ip = IpAddress::Parse(text);
  auto address = ip.ok() ? StatusOr<SocketAddress>(SocketAddress(*ip, kDnsPort)) : SocketAddress::Parse(text);
  if (address.ok() && !address->is_unix() && address->port() != 0) return address;
  return InvalidArgument("\"", text, "\" is no address of a name server; write 10.0.0.53 or 10.0.0.53:5353");
}

void ReadTransfer(ConfigReader& reader, Config& config) {
  reader.ParsedList("allow", config.dns_transfer_allow, ParseAddresses);
  reader.ParsedList("notify", config.dns_transfer_notify, ParseNameServer);
  reader.String("tsig_key_file", config.dns_transfer_key_file);
}

void ReadDns(ConfigReader& reader, Config& config) {
  reader.Addresses("listen", config.dns_listen);
  reader.String("zone", config.dns_zone);
  reader.String("branch_zone", config.dns_branch_zone);
  reader.Duration("ttl", config.dns_ttl);
  reader.Duration("negative_ttl", config.dns_negative_ttl);
  reader.Strings("records", config.dns_records);
  reader.Parsed("http", config.dns_http, SocketAddress::Parse);
  reader.Integer("max_answers", config.dns_max_answers, 0, 65535);
  reader.Integer("rate_limit", config.dns_rate_limit, 0, 1000000);
  reader.ParsedList("forward", config.dns_forward, ParseNameServer);
  for (const SocketAddress& server : config.dns_forward) {
    if (std::ranges::find(config.dns_listen, server) == config.dns_listen.end()) continue;
    reader.Fault("forward", Cat(server.ToString(), " is dns.listen itself; name a server that knows other names"));
  }
  reader.NotYet("views");
  reader.Map("transfer", [&](ConfigReader& transfer) { ReadTransfer(transfer, config); });
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
  for (const char* key : {"dynamic_ports", "stats_socket", "access_log"}) reader.NotYet(key);
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
  reader.Integer("port", check.port, 1, 65535);
  reader.Duration("interval", check.interval);
  reader.Duration("timeout", check.timeout);
  reader.Integer("rise", check.rise, 1, 100);
  reader.Integer("fall", check.fall, 1, 100);
  if (check.interval < health::Verdict::kMinInterval)
    reader.Fault("interval", Cat("is shorter than ", FormatDuration(health::Verdict::kMinInterval), ": looks would follow each other without a pause"));
  if (check.timeout <= 0 || check.timeout > kMinute) reader.Fault("timeout", "is no time from 1ms to 1m");
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
  if (reader.Has("health_check"))
    reader.Map("health_check", [&](ConfigReader& check) { ReadHealthCheck(check, service.health_check); });
  const bool plain = !service.settings.tls.enabled && service.settings.proxy_header == lb::ProxyHeader::kNone;
  if (!plain && service.health_check.kind != discovery::CheckKind::kNone && service.health_check.kind != discovery::CheckKind::kTcp)
    reader.Fault("health_check", "not yet: checks speak neither TLS nor PROXY, which this service's endpoints want; write tcp: true");
  for (const lb::ServiceSpec& other : config.lb.services)
    if (other.name == service.name) reader.Fault("project", Cat("service ", service.name, " is there twice"));
  config.lb.services.push_back(std::move(service));
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

void ReadAll(ConfigReader& reader, Config& config) {
  reader.Map("node", [&](ConfigReader& node) {
    node.String("name", config.node_name);
    node.String("site", config.site);
  });
  reader.String("state_dir", config.state_dir);
  reader.Map("api", [&](ConfigReader& api) {
    api.String("socket", config.api_socket);
    api.Parsed("listen", config.api_listen, SocketAddress::Parse);
    api.NotYet("token_file");
  });
  reader.Map("engines", [&](ConfigReader& engines) { ReadEngines(engines, config); });
  reader.Map("discovery", [&](ConfigReader& discovery) {
    discovery.String("socket", config.discovery_socket);
    for (const char* key : {"listen", "peers"}) discovery.NotYet(key);
    discovery.Map("tls", [](ConfigReader& tls) {
      for (const char* key : {"ca", "cert", "key"}) tls.NotYet(key);
    });
    std::string takeover = "manual";
    discovery.Choice("takeover", takeover, {"manual", "majority"});
    if (takeover != "manual") discovery.Fault("takeover", "majority: not yet");
  });
  reader.Map("resolver", [&](ConfigReader& resolver) {
    resolver.ParsedList("nameservers", config.nameservers, ParseNameServer);
  });
  reader.Maps("pools", [&](ConfigReader& pool) { ReadPool(pool, config); });
  reader.Maps("networks", [&](ConfigReader& network) { config.networks.push_back(ReadNetwork(network)); });
  reader.Map("dns", [&](ConfigReader& dns) { ReadDns(dns, config); });
  reader.Map("lb", [&](ConfigReader& lb) { ReadLb(lb, config); });
  reader.Maps("listeners", [&](ConfigReader& listener) { ReadListener(listener, config); });
  reader.NamedMaps("services", [&](const std::string& name, ConfigReader& service) { ReadService(name, service, config); });
  reader.NamedMaps("middlewares", [&](const std::string& id, ConfigReader& middleware) {
    ReadMiddleware(id, middleware, config.lb.middlewares, config.warnings);
  });
  reader.Maps("routes", [&](ConfigReader& route) { ReadRoute(route, config); });
}

const lb::ServiceSpec* ServiceNamed(const Config& config, std::string_view name) {
  auto found = std::ranges::find(config.lb.services, name, &lb::ServiceSpec::name);
  return found == config.lb.services.end() ? nullptr : &*found;
}

// Without agents the file is all there is: what is not in it never comes.
void CheckWhatTheFileLacks(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  if (!config.lb_agents.empty()) return;
  auto missing = [&](const std::string& who, const std::string& service) {
    if (!service.empty() && ServiceNamed(config, service) == nullptr)
      faults.push_back(Cat(file, ": ", who, ": there is no service ", service, ", and no agent that could tell of one; add ",
                           "it to services: or the agent to lb.agents"));
  };
  for (const lb::RouteSpec& route : config.lb.routes)
    missing(Cat("route of ", route.rule.empty() ? Join(route.hosts, ", ") : route.rule), route.service);
  bool bytes = std::ranges::any_of(config.lb.services, [](const lb::ServiceSpec& service) {
    return service.settings.protocol == lb::ServiceProtocol::kTcp;
  });
  for (const lb::ListenerSpec& listener : config.lb.listeners) {
    missing(Cat("listener ", listener.name), listener.service);
    if (listener.protocol == lb::ListenerProtocol::kTls && !bytes)
      faults.push_back(Cat(file, ": listener ", listener.name, ": no service has protocol: tcp, so every connection would be ",
                           "refused; add one to services: and its hosts to routes:"));
  }
}

// What two routes with one host and path, or with one rule, have in common: the workers take the first.
std::vector<std::pair<std::string, std::string>> RequestsOf(const lb::RouteSpec& route) {
  std::vector<std::pair<std::string, std::string>> requests;
  if (auto rule = discovery::ParseRule(route.rule); rule.ok()) {
    const int64_t priority = route.priority != 0 ? route.priority : static_cast<int64_t>(route.rule.size());
    requests.emplace_back(discovery::PrintRule(rule->rule), Cat("priority ", priority));
  }
  for (const std::string& host : route.hosts)
    requests.emplace_back(host, Cat("path_prefix ", route.path_prefix, route.priority != 0 ? Cat(" and priority ", route.priority) : ""));
  return requests;
}

void CheckRepeatedRoutes(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  auto meet = [](const lb::RouteSpec& a, const lb::RouteSpec& b) {
    if (a.listeners.empty() || b.listeners.empty()) return true;
    return std::ranges::find_first_of(a.listeners, b.listeners) != a.listeners.end();
  };
  auto protocol = [&](const lb::RouteSpec& route) {  // HTTP and bytes go by listeners of their own
    const lb::ServiceSpec* service = ServiceNamed(config, route.service);
    return service == nullptr ? lb::ServiceProtocol::kHttp : service->settings.protocol;
  };
  std::map<std::pair<std::string, std::string>, std::vector<const lb::RouteSpec*>> seen;
  for (const lb::RouteSpec& route : config.lb.routes)
    for (const auto& requests : RequestsOf(route)) {
      auto& others = seen[requests];
      for (const lb::RouteSpec* other : others)
        if (meet(*other, route) && protocol(*other) == protocol(route)) {
          faults.push_back(Cat(file, ": route to ", route.service, ": ", requests.first, " with ", requests.second, " goes to ",
                                other->service, " already; take one of them out, or give them other listeners"));
          break;
        }
      others.push_back(&route);
    }
}

// Bytes and HTTP do not mix. What services of the catalog speak is seen when they come.
void CheckProtocols(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  for (const lb::ListenerSpec& listener : config.lb.listeners) {
    const lb::ServiceSpec* service = ServiceNamed(config, listener.service);
    if (listener.protocol == lb::ListenerProtocol::kTcp && service != nullptr &&
        service->settings.protocol != lb::ServiceProtocol::kTcp)
      faults.push_back(Cat(file, ": listener ", listener.name, " passes bytes on, but service ", service->name,
                           " speaks http; give the service protocol: tcp, or the listener protocol: http and a route"));
  }
  for (const lb::RouteSpec& route : config.lb.routes) {
    const lb::ServiceSpec* service = ServiceNamed(config, route.service);
    bool bytes = service != nullptr && service->settings.protocol == lb::ServiceProtocol::kTcp;
    auto rule = discovery::ParseRule(route.rule);
    if (service != nullptr && rule.ok() &&
        rule->protocol == (bytes ? discovery::RuleProtocol::kHttp : discovery::RuleProtocol::kTcp))
      faults.push_back(Cat(file, ": route to ", route.service, ": rule: the service speaks ", bytes ? "tcp: use HostSNI" : "http: use Host"));
    if (bytes && route.path_prefix != "/")
      faults.push_back(Cat(file, ": route to ", route.service, ": path_prefix ", route.path_prefix,
                           ": a tcp service has no paths; leave it out"));
    for (const lb::ListenerSpec& listener : config.lb.listeners) {
      if (std::ranges::find(route.listeners, listener.name) == route.listeners.end()) continue;
      std::string start = Cat(file, ": route to ", route.service, ": listener ", listener.name);
      bool tls = listener.protocol == lb::ListenerProtocol::kTls;
      if (listener.protocol == lb::ListenerProtocol::kTcp)
        faults.push_back(Cat(start, " has protocol tcp and no routes; it takes its service from service:"));
      else if (tls && service != nullptr && !bytes)
        faults.push_back(Cat(start, " passes TLS through untouched; the service needs protocol: tcp"));
      else if (!tls && bytes)
        faults.push_back(Cat(start, " speaks HTTP, the service tcp; route it at a tls listener, or give it a tcp "
                                    "listener with service:"));
    }
  }
}

void CheckHostNames(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  std::set<std::string> names;
  for (const lb::ServiceSpec& service : config.lb.services)
    for (const lb::StaticEndpoint& endpoint : service.endpoints)
      if (endpoint.name.is_name()) names.insert(endpoint.name.host);
  if (names.size() > dns::HostBook::kMaxHosts)
    faults.push_back(Cat(file, ": services: ", names.size(), " host names as endpoints; this version follows ", dns::HostBook::kMaxHosts,
                         ": give addresses, or register them with agents"));
}

// What can only be said of the whole.
void CheckReferences(const Config& config, ConfigSource& source) {
  auto fault = [&](std::string text) { source.faults.push_back(std::move(text)); };
  std::vector<std::pair<std::string, std::vector<std::string>>> references;
  for (const lb::RouteSpec& route : config.lb.routes) references.emplace_back(Cat("route to ", route.service), route.middlewares);
  for (const std::string& missing : MissingMiddlewares(config.lb.middlewares, references)) fault(Cat(source.file, ": ", missing));
  for (const NetworkConfig& network : config.networks) {
    bool found = std::ranges::any_of(config.pools, [&](const auto& pool) { return pool.name == network.pool; });
    if (!found && !network.pool.empty())
      fault(Cat(source.file, ": network ", network.name, ": there is no pool ", network.pool));
  }
  for (const lb::RouteSpec& route : config.lb.routes)
    for (const std::string& name : route.listeners)
      if (std::ranges::none_of(config.lb.listeners, [&](const auto& listener) { return listener.name == name; }))
        fault(Cat(source.file, ": route to ", route.service, ": there is no listener ", name));
  CheckProtocols(config, source.file, source.faults);
  CheckWhatTheFileLacks(config, source.file, source.faults);
  CheckRepeatedRoutes(config, source.file, source.faults);
  CheckHostNames(config, source.file, source.faults);
}

Config Defaults() {
  Config config;
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  config.node_name = host;
  config.api_listen = *SocketAddress::Parse("127.0.0.1:7853");
  config.lb_listen = *SocketAddress::Parse("127.0.0.1:7854");
  config.dns_http = *SocketAddress::Parse("127.0.0.1:7855");
  config.dns_listen = {*SocketAddress::Parse("169.254.53.53:53"), *SocketAddress::Parse("127.0.0.1:5300")};
  config.lb_agents = {*SocketAddress::Parse("unix:/run/fairlead/discovery.sock")};
  long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  config.lb.workers = cpus > 0 ? static_cast<unsigned>(cpus) : 1;
  return config;
}

// Reads one text over what is there: single values are replaced, lists of things grow.
void ApplyText(const std::string& text, ConfigSource& source, Config& config) {
  StatusOr<YAML::Node> root = LoadYaml(text, source.file);
  if (!root.ok()) {
    source.faults.emplace_back(Message(root.status()));
    return;
  }
  ConfigReader reader(*root, "", source);
  ReadAll(reader, config);
}

StatusOr<Config> Finish(Config config, ConfigSource& source) {
  CheckReferences(config, source);
  config.lb.zone = config.dns_zone;
  config.lb.branch_zone = config.dns_branch_zone;
  for (lb::ListenerSpec& listener : config.lb.listeners) listener.forward = config.lb.forward;
  if (source.faults.empty()) return config;
  return InvalidArgument(Join(source.faults, "\n"));
}

StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoStatus(errno, Cat("configuration ", path));
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::vector<std::string> DefaultFiles() {
  std::vector<std::string> files;
  std::error_code none;
  if (std::filesystem::exists(kDefaultFile, none)) files.push_back(kDefaultFile);
  std::vector<std::string> more;
  for (const auto& entry : std::filesystem::directory_iterator(kDefaultFolder, none))
    if (entry.path().extension() == ".yaml") more.push_back(entry.path());
  std::ranges::sort(more);
  files.insert(files.end(), more.begin(), more.end());
  return files;
}

// One thing that stands alone, as the API gets it.
template <class T>
StatusOr<T> ParseOne(const std::string& text, T (*read)(ConfigReader&)) {
  ConfigSource source;
  ASSIGN_OR_RETURN(YAML::Node root, LoadYaml(text, "body"));
  std::optional<T> value;
  {
    ConfigReader reader(root, "", source);  // tells unknown keys when it ends
    value = read(reader);
  }
  if (!source.faults.empty()) return InvalidArgument(Join(source.faults, "\n"));
  return *std::move(value);
}

}  // namespace

std::vector<IpAddress> BalancerAddresses(const Config& config) {
  for (const lb::ListenerSpec& listener : config.lb.listeners)
    if (IpAddress ip = listener.bind.ip(); ip.is_set() && !ip.is_unspecified()) return {ip};
  return {};
}

std::string AuthzPlugin(const Config& config) { return Cat(config.plugin_name, "-authz"); }
std::string AuthzSocket(const Config& config) { return Cat(config.plugin_dir, "/", AuthzPlugin(config), ".sock"); }

StatusOr<Config> ParseConfig(const std::string& text, const std::string& name, bool use_environment) {
  ConfigSource source{.file = name, .getenv = {}, .faults = {}};
  if (use_environment) source.getenv = [](const char* key) -> const char* { return std::getenv(key); };
  Config config = Defaults();
  ApplyText(text, source, config);
  return Finish(std::move(config), source);
}

StatusOr<ipam::PoolSpec> ParsePool(const std::string& text) { return ParseOne(text, ReadPoolSpec); }
StatusOr<NetworkConfig> ParseNetwork(const std::string& text) { return ParseOne(text, ReadNetwork); }

StatusOr<Config> LoadConfig(const ConfigOptions& options) {
  ConfigSource source;
  if (options.use_environment) source.getenv = [](const char* key) -> const char* { return std::getenv(key); };
  Config config = Defaults();
  config.file = options.file;
  config.files = options.file.empty() ? DefaultFiles() : std::vector<std::string>{options.file};
  if (config.files.empty()) ApplyText("{}", source, config);  // no file is needed; the environment still counts
  for (const std::string& file : config.files) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file));
    source.file = file;
    ApplyText(text, source, config);
  }
  return Finish(std::move(config), source);
}

}  // namespace fairlead::app
