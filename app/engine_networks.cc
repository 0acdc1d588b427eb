#include "app/engine_networks.h"

#include "app/agent_view.h"
#include "app/api_reply.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

constexpr const char* kPoolOption = "pool";

}  // namespace

StatusOr<runtime::NetworkDetails> WantedNetwork(const OperatorParts& parts, const NetworkConfig& network) {
  ASSIGN_OR_RETURN(ipam::PoolSpec pool, FindPool(parts.ipam, network.pool));
  runtime::NetworkDetails wanted{.name = network.name, .driver = parts.driver, .ipam_driver = parts.driver};
  wanted.options = {{"mode", network.mode}};
  if (!network.bridge.empty()) wanted.options["bridge"] = network.bridge;
  wanted.ipam_options = {{kPoolOption, pool.name}};
  for (const ipam::PrefixSpec& prefix : pool.prefixes) {
    bool here = (prefix.node.empty() || prefix.node == parts.node) && (prefix.site.empty() || prefix.site == parts.site);
    if (here) wanted.configs.push_back({.subnet = prefix.prefix, .gateway = prefix.Gateway()});
  }
  if (wanted.configs.empty())
    return WithFix(FailedPrecondition("pool ", pool.name, " has no prefix for node ", parts.node,
                                      parts.site.empty() ? std::string() : Cat(" of site ", parts.site)),
                   Cat("fairlead pool update ", pool.name, " --cidr PREFIX --node ", parts.node));
  return wanted;
}

std::vector<std::string> PoolsOf(const runtime::NetworkDetails& network, const std::string& driver) {
  if (network.ipam_driver != driver) return {};
  if (auto named = network.ipam_options.find(kPoolOption); named != network.ipam_options.end()) return {named->second};
  std::vector<std::string> pools;  // made for this network, one for each subnet
  for (const Prefix& subnet : network.subnets) pools.push_back(subnet.ToString());
  return pools;
}

io::Task<void> EnsureNetworks(OperatorParts parts, std::vector<NetworkConfig> networks) {
  for (const NetworkConfig& network : networks) {
    auto there = co_await parts.engine.InspectNetwork(network.name, parts.Soon());
    if (there.status().code() != StatusCode::kNotFound) continue;  // an engine that went away is listed again later
    StatusOr<runtime::NetworkDetails> wanted = WantedNetwork(parts, network);
    Status made = wanted.status();
    if (made.ok()) made = co_await parts.engine.CreateNetwork(*std::move(wanted), parts.proactor.Now() + parts.kNetworkTimeout);
    if (made.ok()) {
      LOG(kInfo, "network made", {"network", network.name}, {"pool", network.pool});
    } else {
      LOG(kError, "network not made", {"network", network.name}, {"because", Message(made)});
    }
  }
}

}  // namespace fairlead::app
