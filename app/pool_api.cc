#include "app/pool_api.h"

#include <algorithm>

#include "app/api_reply.h"
#include "app/config.h"
#include "app/config_reader.h"
#include "app/engine_networks.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

json OrNull(std::string text) { return text.empty() ? json(nullptr) : json(std::move(text)); }
// Pools of IPv6 hold more addresses than a JSON number tells exactly: null stands for 2^53 and more.
json CountOrNull(uint64_t count) { return count >= uint64_t{1} << 53 ? json(nullptr) : json(count); }

// With how much of it is used: `leases` counts against max_endpoints.
json PrefixJson(const ipam::PrefixSpec& prefix, const std::vector<ipam::Lease>& leases) {
  uint64_t held = 0, attached = 0;
  for (const ipam::Lease& lease : leases) {
    bool here = prefix.prefix.Contains(lease.ip);
    held += here;
    attached += here && lease.attached;
  }
  json ranges = json::array(), exclude = json::array();
  for (const auto& [low, high] : prefix.ranges) ranges.push_back(Cat(low.ToString(), "-", high.ToString()));
  for (const IpAddress& ip : prefix.exclude) exclude.push_back(ip.ToString());
  return {{"cidr", prefix.prefix.ToString()},
          {"gateway", OrNull(prefix.Gateway().ToString())},
          {"ranges", std::move(ranges)},
          {"exclude", std::move(exclude)},
          {"node", OrNull(prefix.node)},
          {"site", OrNull(prefix.site)},
          {"vlan", prefix.vlan},
          {"max_endpoints", prefix.max_endpoints},
          {"leases", held},
          {"attached", attached}};
}

}  // namespace

void PoolApi::AddTo(AgentApi& api) {
  api.AddPage("/v1/pools", [this](ApiCall call) { return List(std::move(call)); });
  api.AddChange("POST", "/v1/pools", "pool create", [this](ApiCall call) { return Create(std::move(call)); });
  api.AddChange("PUT", "/v1/pools/", "pool update", [this](ApiCall call) { return Update(std::move(call)); });
  api.AddChange("DELETE", "/v1/pools/", "pool rm", [this](ApiCall call) { return Remove(std::move(call)); });
}

json PoolApi::PoolJson(const ipam::PoolSpec& pool) const {
  ipam::Ipam::PoolUsage usage = parts_.ipam.Usage(pool.name);
  json prefixes = json::array();
  std::vector<ipam::Lease> leases = parts_.ipam.Leases();
  std::erase_if(leases, [&](const ipam::Lease& lease) { return lease.pool != pool.name; });
  for (const ipam::PrefixSpec& prefix : pool.prefixes) prefixes.push_back(PrefixJson(prefix, leases));
  bool of_network = pool.prefixes.size() == 1 && pool.name == pool.prefixes[0].prefix.ToString();
  return {{"name", pool.name},
          {"project", OrNull(pool.project)},
          {"source", file_pools_.contains(pool.name) ? "file" : of_network ? "network" : "command"},
          {"prefixes", std::move(prefixes)},
          {"size", CountOrNull(usage.size)},
          {"attached", usage.attached},
          {"detached", usage.detached},
          {"quarantined", usage.quarantined},
          {"reserved", usage.reserved},
          {"foreign", usage.foreign},
          {"excluded", CountOrNull(usage.excluded)},
          {"free", CountOrNull(usage.free)},
          {"quota", pool.quota},
          {"names", pool.fleet_names ? "fleet" : "node"},
          {"retain", FormatDuration(pool.retain)},
          {"quarantine", FormatDuration(pool.quarantine)}};
}

PoolApi::Answer PoolApi::List(ApiCall call) {
  json pools = json::array();
  if (std::string name = call.query("name"); !name.empty()) {
    CO_ASSIGN_OR_RETURN(ipam::PoolSpec pool, FindPool(parts_.ipam, name));
    pools.push_back(PoolJson(pool));
    co_return pools;
  }
  for (const ipam::PoolSpec& pool : parts_.ipam.Pools()) pools.push_back(PoolJson(pool));
  co_return pools;
}

Status PoolApi::RefuseOfFile(const std::string& name) const {
  if (!file_pools_.contains(name)) return OkStatus();
  return FailedPrecondition("pool ", name, " is of the configuration: change it in ", file_, " and restart the agent (containers and "
                            "their addresses stay)");
}

Status PoolApi::CheckOverlap(const ipam::PoolSpec& pool) const {
  for (const ipam::PoolSpec& other : parts_.ipam.Pools())
    for (const ipam::PrefixSpec& theirs : other.prefixes)
      for (const ipam::PrefixSpec& ours : pool.prefixes)
        if (other.name != pool.name && theirs.prefix.Overlaps(ours.prefix))
          return WithFix(AlreadyExists(ours.prefix.ToString(), " overlaps ", theirs.prefix.ToString(), " of pool ", other.name,
                                       "; an address can belong to one pool only"),
                         Cat("fairlead pool inspect ", other.name));
  return OkStatus();
}

PoolApi::Answer PoolApi::Create(ApiCall call) {
  CO_ASSIGN_OR_RETURN(ipam::PoolSpec pool, ParsePool(call.body.dump()));
  if (parts_.ipam.FindPool(pool.name) != nullptr)
    co_return WithFix(AlreadyExists("pool ", pool.name, " is there already"), Cat("fairlead pool update ", pool.name));
  CO_RETURN_IF_ERROR(CheckOverlap(pool));
  CO_RETURN_IF_ERROR(co_await parts_.ipam.PutPool(pool));
  co_return PoolJson(pool);
}

// The whole specification; what the body leaves out is as in a new pool.
PoolApi::Answer PoolApi::Update(ApiCall call) {
  CO_ASSIGN_OR_RETURN(ipam::PoolSpec before, FindPool(parts_.ipam, call.name));
  CO_RETURN_IF_ERROR(RefuseOfFile(before.name));
  if (!call.body.contains("name")) call.body["name"] = before.name;
  CO_ASSIGN_OR_RETURN(ipam::PoolSpec pool, ParsePool(call.body.dump()));
  if (pool.name != before.name)
    co_return InvalidArgument("pool ", before.name, " cannot become pool ", pool.name, ": its leases are tied to its name");
  CO_RETURN_IF_ERROR(CheckOverlap(pool));
  CO_RETURN_IF_ERROR(co_await parts_.ipam.PutPool(pool));
  co_return PoolJson(pool);
}

// Not while a network takes its addresses from the pool: its containers could not start any more.
PoolApi::Answer PoolApi::Remove(ApiCall call) {
  CO_ASSIGN_OR_RETURN(ipam::PoolSpec pool, FindPool(parts_.ipam, call.name));
  CO_RETURN_IF_ERROR(RefuseOfFile(pool.name));
  auto networks = co_await parts_.engine.ListNetworks(parts_.Soon());
  if (!networks.ok())
    co_return Unavailable("whether a network uses pool ", pool.name, " is not known, since the engine does not answer: ",
                          Message(networks.status()));
  for (const runtime::NetworkDetails& network : *networks)
    if (std::vector<std::string> pools = PoolsOf(network, parts_.driver); std::ranges::find(pools, pool.name) != pools.end())
      co_return WithFix(FailedPrecondition("network ", network.name, " takes its addresses from pool ", pool.name),
                        Cat("fairlead network rm ", network.name));
  json removed = PoolJson(pool);
  CO_RETURN_IF_ERROR(co_await parts_.ipam.RemovePool(pool.name));
  co_return removed;
}

}  // namespace fairlead::app
