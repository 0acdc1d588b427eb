// The program's configuration: contract, "Configuration". Flag > environment > file > default.
#pragma once

#include <string>
#include <vector>

#include "base/net/socket_address.h"
#include "base/status.h"
#include "discovery/labels.h"
#include "ipam/ipam.h"
#include "lb/config.h"

namespace fairlead::app {

struct NetworkConfig {
  std::string name, mode = "bridge", pool, bridge;
};

inline constexpr const char* kDefaultDockerSocket = "/var/run/docker.sock";
inline constexpr const char* kDefaultPodmanSocket = "/run/podman/podman.sock";
inline constexpr const char* kDefaultContainerdSocket = "/run/containerd/containerd.sock";

// Of dns.views (discovery/dns/zone.h, ViewConfig).
struct DnsView {
  std::string env;
  std::vector<Prefix> from;
  std::vector<std::string> records;      // paths of master files
};

struct Config {
  std::string node_name;                 // default: the host's name
  std::string site;
  std::string state_dir = "/var/lib/fairlead";
  std::string api_socket = "/run/fairlead/api.sock";
  SocketAddress api_listen;              // default 127.0.0.1:7853
  std::string docker_socket = kDefaultDockerSocket;
  std::string podman_socket;             // "": Podman is followed where kDefaultPodmanSocket is there
  std::string containerd_socket;         // "": containerd is not followed
  std::vector<std::string> containerd_namespaces = {"default"};
  bool docker_wanted = false;            // the file names Docker: the agent is not ready without it
  std::string plugin_dir = "/run/docker/plugins";
  std::string plugin_name = "fairlead";
  std::vector<std::string> dialects = discovery::AllDialects();  // of labels, that the agent reads beside fairlead.*
  std::string discovery_socket = "/run/fairlead/discovery.sock";
  std::vector<ipam::PoolSpec> pools;
  std::vector<NetworkConfig> networks;
  std::vector<SocketAddress> dns_listen;  // default 169.254.53.53:53 and 127.0.0.1:5300
  std::string dns_zone = "fl.internal";
  std::string dns_branch_zone = "ns.example.com";
  Nanos dns_ttl = 5 * kSecond;
  Nanos dns_negative_ttl = 1 * kSecond;
  std::vector<std::string> dns_records;
  std::vector<DnsView> dns_views;
  std::vector<SocketAddress> dns_forward;
  uint32_t dns_workers = 1;
  uint32_t dns_max_answers = 0;
  uint32_t dns_rate_limit = 0;
  std::vector<Prefix> dns_transfer_allow;
  std::vector<SocketAddress> dns_transfer_notify;
  std::string dns_transfer_key_file;
  SocketAddress dns_http;                // default 127.0.0.1:7855
  std::vector<SocketAddress> lb_agents;  // default unix:/run/fairlead/discovery.sock; empty: the file alone
  SocketAddress lb_listen;               // default 127.0.0.1:7854
  std::string lb_admin_socket = "/run/fairlead/lb.sock";
  lb::Config lb;
  std::vector<SocketAddress> nameservers;  // of host names; none: those of /etc/resolv.conf
  std::string file;                      // -c; "": the default ones
  std::vector<std::string> files;        // it was read from
  std::vector<std::string> warnings;     // what works but should be written otherwise: "routes[0].rule: …"
};

// Where its first listener that is bound to one address answers; none: at the node's addresses.
std::vector<IpAddress> BalancerAddresses(const Config& config);

// Where dockerd finds the authorization plugin `fairlead-authz`: in plugin_dir, named after plugin_name.
std::string AuthzPlugin(const Config& config);
std::string AuthzSocket(const Config& config);

struct ConfigOptions {
  std::string file;                      // -c; "": /etc/fairlead/fairlead.yaml and conf.d beside it, where they exist
  bool use_environment = true;
};

// All faults at once, a line each, with file and line number.
StatusOr<Config> LoadConfig(const ConfigOptions& options);
// For tests and `lint`: one text.
StatusOr<Config> ParseConfig(const std::string& text, const std::string& name, bool use_environment = false);

// One entry of `pools:`, as YAML or JSON: what the API takes. All faults at once, a line each.
StatusOr<ipam::PoolSpec> ParsePool(const std::string& text);
StatusOr<NetworkConfig> ParseNetwork(const std::string& text);  // one of `networks:`

}  // namespace fairlead::app
