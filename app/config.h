// The program's configuration: contract, "Configuration". Flag > environment > file > default.
#pragma once

#include <string>
#include <vector>

#include "base/net/socket_address.h"
#include "base/status.h"
#include "ipam/ipam.h"
#include "lb/config.h"

namespace fairlead::app {

struct NetworkConfig {
  std::string name, mode = "bridge", pool, bridge;
};

struct Config {
  std::string node_name;                 // default: the host's name
  std::string site;
  std::string state_dir = "/var/lib/fairlead";
  std::string api_socket = "/run/fairlead/api.sock";
  SocketAddress api_listen;              // default 127.0.0.1:7853
  std::string docker_socket = "/var/run/docker.sock";
  std::string plugin_dir = "/run/docker/plugins";
  std::string plugin_name = "fairlead";
  std::string discovery_socket = "/run/fairlead/discovery.sock";
  std::vector<ipam::PoolSpec> pools;
  std::vector<NetworkConfig> networks;
  std::vector<SocketAddress> dns_listen;  // default 169.254.53.53:53 and 127.0.0.1:5300
  std::string dns_zone = "fl.internal";
  std::string dns_branch_zone = "ns.example.com";
  Nanos dns_ttl = 5 * kSecond;
  Nanos dns_negative_ttl = 1 * kSecond;
  std::vector<std::string> dns_records;
  SocketAddress dns_http;                // default 127.0.0.1:7855
  std::vector<SocketAddress> lb_agents;  // default unix:/run/fairlead/discovery.sock; empty: the file alone
  SocketAddress lb_listen;               // default 127.0.0.1:7854
  std::string lb_admin_socket = "/run/fairlead/lb.sock";
  lb::Config lb;
  std::string file;                      // -c; "": the default ones
  std::vector<std::string> files;        // it was read from
};

// Where its first listener that is bound to one address answers; none: at the node's addresses.
std::vector<IpAddress> BalancerAddresses(const Config& config);

struct ConfigOptions {
  std::string file;                      // -c; "": /etc/fairlead/fairlead.yaml and conf.d beside it, where they exist
  bool use_environment = true;
};

// All faults at once, a line each, with file and line number.
StatusOr<Config> LoadConfig(const ConfigOptions& options);
// For tests and `lint`: one text.
StatusOr<Config> ParseConfig(const std::string& text, const std::string& name, bool use_environment = false);

}  // namespace fairlead::app
