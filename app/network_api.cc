#include "app/network_api.h"

#include <algorithm>

#include "app/api_reply.h"
#include "app/config.h"
#include "app/engine_networks.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

json OrNull(std::string text) { return text.empty() ? json(nullptr) : json(std::move(text)); }

std::string OptionOf(const runtime::NetworkDetails& network, std::initializer_list<std::string_view> keys) {
  for (std::string_view key : keys)
    if (auto found = network.options.find(key); found != network.options.end()) return found->second;
  return "";
}

}  // namespace

void NetworkApi::AddTo(AgentApi& api) {
  api.AddPage("/v1/networks", [this](ApiCall call) { return List(std::move(call)); });
  api.AddChange("POST", "/v1/networks", "network create", [this](ApiCall call) { return Create(std::move(call)); });
  api.AddChange("DELETE", "/v1/networks/", "network rm", [this](ApiCall call) { return Remove(std::move(call)); });
}

json NetworkApi::NetworkJson(const runtime::NetworkDetails& network) const {
  json subnets = json::array();
  for (const runtime::SubnetConfig& subnet : network.configs)
    subnets.push_back({{"cidr", subnet.subnet.ToString()},
                       {"gateway", OrNull(subnet.gateway.ToString())},
                       {"range", subnet.range ? json(subnet.range->ToString()) : json(nullptr)}});
  std::vector<ipam::Lease> leases = parts_.ipam.Leases();
  auto held = std::ranges::count_if(leases, [&](const ipam::Lease& lease) { return lease.key.network == network.name; });
  return {{"name", network.name},
          {"id", network.id},
          {"driver", network.driver},
          {"managed", network.driver == parts_.driver},
          {"pools", PoolsOf(network, parts_.driver)},
          {"mode", OrNull(OptionOf(network, {"mode"}))},
          {"bridge", OrNull(OptionOf(network, {"bridge", "com.docker.network.bridge.name"}))},
          {"subnets", std::move(subnets)},
          {"leases", held}};
}

NetworkApi::Answer NetworkApi::List(ApiCall) {
  CO_ASSIGN_OR_RETURN(std::vector<runtime::NetworkDetails> networks, co_await parts_.engine.ListNetworks(parts_.Soon()));
  std::ranges::sort(networks, {}, &runtime::NetworkDetails::name);
  json rows = json::array();
  for (const runtime::NetworkDetails& network : networks) rows.push_back(NetworkJson(network));
  co_return rows;
}

NetworkApi::Answer NetworkApi::Create(ApiCall call) {
  CO_ASSIGN_OR_RETURN(NetworkConfig network, ParseNetwork(call.body.dump()));
  CO_ASSIGN_OR_RETURN(runtime::NetworkDetails wanted, WantedNetwork(parts_, network));
  auto there = co_await parts_.engine.InspectNetwork(network.name, parts_.Soon());
  if (there.ok())
    co_return WithFix(AlreadyExists("the engine has a network ", network.name, " already, of driver ", there->driver),
                      there->driver == parts_.driver ? "fairlead network ls" : Cat("fairlead adopt ", network.name));
  if (there.status().code() != StatusCode::kNotFound) co_return there.status();
  CO_RETURN_IF_ERROR(co_await parts_.engine.CreateNetwork(std::move(wanted), parts_.proactor.Now() + parts_.kNetworkTimeout));
  CO_ASSIGN_OR_RETURN(runtime::NetworkDetails made, co_await parts_.engine.InspectNetwork(network.name, parts_.Soon()));
  co_return NetworkJson(made);
}

// Leases stay: a network of the same name finds them again.
NetworkApi::Answer NetworkApi::Remove(ApiCall call) {
  auto network = co_await parts_.engine.InspectNetwork(call.name, parts_.Soon());
  if (network.status().code() == StatusCode::kNotFound)
    co_return WithFix(NotFound("the engine has no network ", call.name), "fairlead network ls");
  if (!network.ok()) co_return network.status();
  if (network->driver != parts_.driver)
    co_return WithFix(FailedPrecondition("network ", network->name, " is not Fairlead's: its driver is ", network->driver),
                      Cat("docker network rm ", network->name));
  json removed = NetworkJson(*network);
  CO_RETURN_IF_ERROR(co_await parts_.engine.RemoveNetwork(network->id, parts_.proactor.Now() + parts_.kNetworkTimeout));
  co_return removed;
}

}  // namespace fairlead::app
