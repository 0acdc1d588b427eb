#include "app/engine_networks.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/http/client.h"
#include "base/log.h"

namespace fairlead::app {
namespace {

using nlohmann::json;

constexpr Nanos kTimeout = 30 * kSecond;  // dockerd calls our own plugin back meanwhile

const ipam::PoolSpec* FindPool(const Config& config, const std::string& name) {
  auto found = std::ranges::find_if(config.pools, [&](const ipam::PoolSpec& pool) { return pool.name == name; });
  return found == config.pools.end() ? nullptr : &*found;
}

io::Task<StatusOr<http::Response>> Ask(io::Proactor& proactor, const Config& config, std::string method,
                                       std::string target, std::string body) {
  StatusOr<SocketAddress> socket = SocketAddress::Unix(config.docker_socket);
  if (!socket.ok()) co_return socket.status();
  http::Request request{.method = std::move(method), .target = std::move(target), .headers = {}, .body = std::move(body)};
  if (!request.body.empty()) request.headers.push_back({"Content-Type", "application/json"});
  co_return co_await http::Fetch(proactor, *socket, std::move(request), proactor.Now() + kTimeout);
}

}  // namespace

std::string NetworkCreateBody(const Config& config, const NetworkConfig& network) {
  json subnets = json::array();
  if (const ipam::PoolSpec* pool = FindPool(config, network.pool))
    for (const ipam::PrefixSpec& prefix : pool->prefixes) {
      json subnet = {{"Subnet", prefix.prefix.ToString()}};
      if (IpAddress gateway = prefix.Gateway(); gateway.is_set()) subnet["Gateway"] = gateway.ToString();
      subnets.push_back(std::move(subnet));
    }
  json options = {{"mode", network.mode}};
  if (!network.bridge.empty()) options["bridge"] = network.bridge;
  bool v6 = std::ranges::any_of(subnets, [](const json& s) { return s["Subnet"].get<std::string>().find(':') != std::string::npos; });
  return json{{"Name", network.name},
              {"CheckDuplicate", true},
              {"Driver", config.plugin_name},
              {"EnableIPv6", v6},
              {"Options", options},
              {"IPAM", {{"Driver", config.plugin_name}, {"Options", {{"pool", network.pool}}}, {"Config", subnets}}}}
      .dump();
}

io::Task<void> EnsureNetworks(io::Proactor& proactor, const Config& config) {
  for (const NetworkConfig& network : config.networks) {
    auto there = co_await Ask(proactor, config, "GET", Cat("/networks/", network.name), "");
    if (!there.ok() || there->status == 200) continue;  // an engine that went away is listed again later
    auto made = co_await Ask(proactor, config, "POST", "/networks/create", NetworkCreateBody(config, network));
    if (made.ok() && made->status == 201) {
      LOG(kInfo, "network made", {"network", network.name}, {"pool", network.pool});
    } else {
      LOG(kError, "network not made", {"network", network.name},
          {"because", made.ok() ? std::string_view(made->body) : Message(made.status())});
    }
  }
}

}  // namespace fairlead::app
