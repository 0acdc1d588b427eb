#include "app/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/config_balancer.h"
#include "app/config_middlewares.h"
#include "app/config_reader.h"
#include "app/config_references.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

constexpr char kDefaultFile[] = "/etc/fairlead/fairlead.yaml";
constexpr char kDefaultFolder[] = "/etc/fairlead/conf.d";

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

void ReadDialects(ConfigReader& reader, Config& config) {
  if (!reader.Has("dialects")) return;
  const std::vector<std::string> all = discovery::AllDialects();
  reader.Strings("dialects", config.dialects);
  for (const std::string& name : config.dialects)
    if (std::ranges::find(all, name) == all.end())
      reader.Fault("dialects", Cat("\"", name, "\" is none of ", Join(all, ", "), name == "fairlead" ? "; fairlead.* is always read" : ""));
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

void ReadView(ConfigReader& reader, Config& config) {
  DnsView view;
  reader.String("env", view.env);
  reader.ParsedList("from", view.from, ParseAddresses);
  reader.Strings("records", view.records);
  bool taken = std::ranges::any_of(config.dns_views, [&](const DnsView& other) { return other.env == view.env; });
  if (view.env.empty()) reader.Fault("env", "is missing: a view is that of an environment, as label fairlead.env names it");
  if (taken) reader.Fault("env", Cat(view.env, " has a view already; write its prefixes and records there"));
  config.dns_views.push_back(std::move(view));
}

void ReadDns(ConfigReader& reader, Config& config) {
  reader.Addresses("listen", config.dns_listen);
  reader.String("zone", config.dns_zone);
  reader.String("branch_zone", config.dns_branch_zone);
  reader.Duration("ttl", config.dns_ttl);
  reader.Duration("negative_ttl", config.dns_negative_ttl);
  reader.Strings("records", config.dns_records);
  reader.Parsed("http", config.dns_http, SocketAddress::Parse);
  reader.Integer("workers", config.dns_workers, 1, 64);
  reader.Integer("max_answers", config.dns_max_answers, 0, 65535);
  reader.Integer("rate_limit", config.dns_rate_limit, 0, 1000000);
  reader.ParsedList("forward", config.dns_forward, ParseNameServer);
  for (const SocketAddress& server : config.dns_forward) {
    if (std::ranges::find(config.dns_listen, server) == config.dns_listen.end()) continue;
    reader.Fault("forward", Cat(server.ToString(), " is dns.listen itself; name a server that knows other names"));
  }
  reader.Maps("views", [&](ConfigReader& view) { ReadView(view, config); });
  reader.Map("transfer", [&](ConfigReader& transfer) { ReadTransfer(transfer, config); });
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
  ReadDialects(reader, config);
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
