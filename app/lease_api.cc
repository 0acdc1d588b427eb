#include "app/lease_api.h"

#include <algorithm>

#include "app/api_reply.h"
#include "app/config_reader.h"
#include "app/engine_networks.h"
#include "app/wall_time.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

std::string TextIn(const json& body, const char* key) {
  auto found = body.find(key);
  return found != body.end() && found->is_string() ? found->get<std::string>() : "";
}

// A misspelt key must not be taken for one that was left out.
Status CheckKeys(const json& body, const std::vector<std::string_view>& known) {
  for (const auto& [key, value] : body.items()) {
    if (std::ranges::find(known, key) == known.end()) {
      std::string_view nearest = Nearest(key, known);
      return InvalidArgument(key, ": unknown key", nearest.empty() ? std::string() : Cat("; did you mean ", nearest, "?"));
    }
    if (!value.is_string() && !value.is_null()) return InvalidArgument(key, ": must be text");
  }
  return OkStatus();
}

json LeasesJson(const ipam::Ipam& ipam, const std::vector<ipam::Lease>& leases) {
  json rows = json::array();
  for (const ipam::Lease& lease : leases) rows.push_back(LeaseJson(ipam, lease));
  return rows;
}

std::string_view Only(const std::vector<std::string>& names) { return names.size() == 1 ? std::string_view(names[0]) : ""; }

}  // namespace

void LeaseApi::AddTo(AgentApi& api) {
  api.AddPage("/v1/leases/history", [this](ApiCall call) { return History(std::move(call)); });
  api.AddChange("DELETE", "/v1/leases", "ip release", [this](ApiCall call) { return Release(std::move(call)); });
  api.AddChange("POST", "/v1/leases", "ip reserve", [this](ApiCall call) { return Reserve(std::move(call)); });
  api.AddPage("/v1/leases/reclaim", [this](ApiCall call) { return Reclaimable(std::move(call)); });
  api.AddChange("POST", "/v1/leases/reclaim", "ip reclaim", [this](ApiCall call) { return Reclaim(std::move(call)); });
}

LeaseApi::Answer LeaseApi::History(ApiCall call) {
  auto ip = IpAddress::Parse(call.query("ip"));
  if (!ip.ok()) co_return InvalidArgument("a history is of an address: ", Message(ip.status()));
  std::string pool = call.query("pool");
  if (!pool.empty()) {
    CO_ASSIGN_OR_RETURN(ipam::PoolSpec spec, FindPool(parts_.ipam, pool));
    pool = spec.name;
  }
  for (const ipam::PoolSpec& candidate : parts_.ipam.Pools())
    if (pool.empty() && candidate.PrefixOf(*ip) != nullptr) pool = candidate.name;
  if (pool.empty())
    co_return WithFix(NotFound(ip->ToString(), " is in none of the pools"), "fairlead pool ls");
  CO_ASSIGN_OR_RETURN(std::vector<ipam::HistoryEntry> history, co_await parts_.ipam.History(pool, *ip));
  if (std::string text = call.query("at"); !text.empty()) {
    std::optional<Nanos> at = ParseTime(text);
    if (!at) co_return InvalidArgument("at: \"", text, "\" is no time, as in 2026-11-21T14:03:00Z");
    // Times are told in whole seconds, so the second is the question.
    std::erase_if(history, [&](const ipam::HistoryEntry& entry) {
      return entry.from_wall >= *at + kSecond || (entry.to_wall != 0 && entry.to_wall <= *at);
    });
  }
  co_return AgentView::HistoryJson(history);
}

// All leases of one name on one network (both families), or the one of an address.
LeaseApi::Answer LeaseApi::Release(ApiCall call) {
  std::string name = call.query("name");
  if (name.empty()) co_return InvalidArgument("which lease? DELETE /v1/leases?name=NAME");
  CO_ASSIGN_OR_RETURN(std::vector<ipam::Lease> leases, FindLeases(parts_.ipam, name, call.query("network")));
  for (const ipam::Lease& lease : leases)
    if (lease.key.network != leases[0].key.network || lease.key.scope != leases[0].key.scope)
      co_return WithFix(FailedPrecondition(name, " has leases on several networks: ", leases[0].key.ToString(), ", ",
                                           lease.key.ToString(), "; say which network"),
                        Cat("fairlead ip release ", name, " --network ", lease.key.network));
  json released = json::array();
  for (const ipam::Lease& lease : leases) {
    CO_RETURN_IF_ERROR(co_await parts_.ipam.Release(lease.key));
    released.push_back(LeaseJson(parts_.ipam, lease));
  }
  co_return released;
}

// The pool that was said, of those that the network uses, or that has the address; else the only one.
StatusOr<std::string> LeaseApi::PoolFor(const std::string& pool, const std::vector<std::string>& of_network,
                                        const std::optional<IpAddress>& wanted) const {
  if (!pool.empty()) {
    ASSIGN_OR_RETURN(ipam::PoolSpec spec, FindPool(parts_.ipam, pool));
    return spec.name;
  }
  std::vector<std::string> names;
  for (const ipam::PoolSpec& spec : parts_.ipam.Pools()) {
    bool used = of_network.empty() || std::ranges::find(of_network, spec.name) != of_network.end();
    if (used && (!wanted || spec.PrefixOf(*wanted) != nullptr)) names.push_back(spec.name);
  }
  if (names.size() == 1) return names[0];
  if (names.empty() && wanted) return WithFix(NotFound(wanted->ToString(), " is in none of the pools"), "fairlead pool ls");
  if (names.empty()) return WithFix(NotFound("there is no pool to reserve from"), "fairlead pool create NAME --cidr PREFIX");
  return InvalidArgument("from which pool? there are ", Join(names, ", "), "; say --pool");
}

io::Task<StatusOr<LeaseApi::Place>> LeaseApi::FindPlace(std::string pool, std::string network, std::optional<IpAddress> wanted) {
  auto networks = co_await parts_.engine.ListNetworks(parts_.Soon());
  if (!networks.ok() && network.empty())
    co_return WithContext(networks.status(), "the engine does not tell its networks; say --network: ");
  std::vector<std::string> of_network;
  if (networks.ok() && !network.empty())
    for (const runtime::NetworkDetails& there : *networks)
      if (there.name == network) of_network = PoolsOf(there, parts_.driver);
  Place place{.pool = "", .network = std::move(network)};
  CO_ASSIGN_OR_RETURN(place.pool, PoolFor(pool, of_network, wanted));
  if (!place.network.empty()) co_return place;
  std::vector<std::string> names;
  for (const runtime::NetworkDetails& there : *networks) {
    std::vector<std::string> pools = PoolsOf(there, parts_.driver);
    if (std::ranges::find(pools, place.pool) != pools.end()) names.push_back(there.name);
  }
  place.network = Only(names);
  if (names.empty())
    co_return WithFix(NotFound("no network takes its addresses from pool ", place.pool, " yet; say --network, or make one"),
                      Cat("fairlead network create NAME --pool ", place.pool));
  if (place.network.empty()) co_return InvalidArgument("on which network? pool ", place.pool, " serves ", Join(names, ", "), "; say --network");
  co_return place;
}

// One lease of each family that the pool has; with an address, of its family alone. All or none.
LeaseApi::Answer LeaseApi::Reserve(ApiCall call) {
  CO_RETURN_IF_ERROR(CheckKeys(call.body, {"name", "network", "pool", "address", "project"}));
  std::string name = TextIn(call.body, "name"), address = TextIn(call.body, "address");
  if (name.empty()) co_return InvalidArgument("reserve for whom? the name of a container");
  std::optional<IpAddress> wanted;
  if (!address.empty()) {
    CO_ASSIGN_OR_RETURN(wanted, IpAddress::Parse(address));
  }
  CO_ASSIGN_OR_RETURN(Place place, co_await FindPlace(TextIn(call.body, "pool"), TextIn(call.body, "network"), wanted));
  CO_ASSIGN_OR_RETURN(ipam::PoolSpec pool, FindPool(parts_.ipam, place.pool));
  std::vector<ipam::Lease> reserved;
  std::vector<ipam::LeaseKey> made;
  for (bool v6 : {false, true}) {
    bool has = std::ranges::any_of(pool.prefixes, [&](const auto& prefix) { return prefix.prefix.network().is_v6() == v6; });
    if (wanted ? wanted->is_v6() != v6 : !has) continue;
    ipam::LeaseKey key{place.network, pool.fleet_names ? "fleet" : parts_.node, name, v6};
    bool there = parts_.ipam.Find(key).has_value();
    auto lease = co_await parts_.ipam.Reserve({.pool = pool.name, .key = key, .wanted = wanted, .project = TextIn(call.body, "project"),
                                               .node = parts_.node, .site = parts_.site});
    if (!lease.ok()) {
      for (const ipam::LeaseKey& other : made) (void)co_await parts_.ipam.Release(other);
      co_return lease.status();
    }
    if (!there) made.push_back(key);
    reserved.push_back(*std::move(lease));
  }
  co_return LeasesJson(parts_.ipam, reserved);
}

StatusOr<Nanos> LeaseApi::IdleOf(const std::string& text) const {
  if (text.empty()) return InvalidArgument("idle for how long? as in 168h");
  auto idle = ParseDuration(text);
  if (!idle.ok()) return InvalidArgument("idle: ", Message(idle.status()));
  return idle;
}

// What a reclaim would end now.
LeaseApi::Answer LeaseApi::Reclaimable(ApiCall call) {
  CO_ASSIGN_OR_RETURN(Nanos idle, IdleOf(call.query("idle")));
  std::string pool = call.query("pool");
  if (!pool.empty()) CO_RETURN_IF_ERROR(FindPool(parts_.ipam, pool).status());
  const Nanos now = parts_.clock.WallNow();
  std::vector<ipam::Lease> leases = parts_.ipam.Leases();
  std::erase_if(leases, [&](const ipam::Lease& lease) {
    return lease.attached || lease.kept() || now - lease.since_wall < idle || (!pool.empty() && lease.pool != pool);
  });
  co_return LeasesJson(parts_.ipam, leases);
}

LeaseApi::Answer LeaseApi::Reclaim(ApiCall call) {
  CO_RETURN_IF_ERROR(CheckKeys(call.body, {"pool", "idle"}));
  CO_ASSIGN_OR_RETURN(Nanos idle, IdleOf(TextIn(call.body, "idle")));
  std::string pool = TextIn(call.body, "pool");
  if (!pool.empty()) CO_RETURN_IF_ERROR(FindPool(parts_.ipam, pool).status());
  CO_ASSIGN_OR_RETURN(std::vector<ipam::Lease> ended, co_await parts_.ipam.Reclaim(pool, idle));
  co_return LeasesJson(parts_.ipam, ended);
}

}  // namespace fairlead::app
