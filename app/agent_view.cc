#include "app/agent_view.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "app/api_reply.h"
#include "app/config_reader.h"
#include "app/picture_json.h"
#include "app/wall_time.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

json OrNull(std::string text) { return text.empty() ? json(nullptr) : json(std::move(text)); }
json NumberOrNull(uint16_t number) { return number == 0 ? json(nullptr) : json(number); }
json TimeOrNull(Nanos wall) { return wall == 0 ? json(nullptr) : json(FormatTime(wall)); }

std::string DidYouMean(std::string_view word, const std::vector<std::string>& names) {
  std::vector<std::string_view> candidates(names.begin(), names.end());
  std::string_view nearest = Nearest(word, candidates);
  return nearest.empty() ? "" : Cat("; did you mean ", nearest, "?");
}

json EndpointJson(const EndpointFact& fact) {
  json out = {{"service", fact.service},
              {"name", fact.info.view->name},
              {"address", OrNull(fact.info.view->address.is_set() ? fact.info.view->address.ToString() : "")},
              {"ready", fact.info.ready},
              {"reason", OrNull(fact.info.why_not)},
              {"note", OrNull(fact.info.note)},
              {"weight", fact.info.view->weight},
              {"uid", fact.info.view->uid},
              {"health_reason", OrNull(fact.info.health.reason)},
              {"health_since", TimeOrNull(fact.info.health.since_wall)},
              {"checked_by", OrNull(fact.info.checked_by)},
              {"fails_open", fact.info.fails_open}};
  if (fact.row == nullptr) {
    out.update({{"source", "file"}, {"node", nullptr}, {"protocol", "http"}, {"state", nullptr}, {"health", HealthName(fact.info.health.state)},
                {"draining", false}, {"since", nullptr}, {"engine_id", nullptr}, {"address_rule", "address in the file"},
                {"problems", json::array()}, {"listen", nullptr}});
    return out;
  }
  const discovery::EndpointRow& row = *fact.row;
  std::vector<std::string> problems = fact.entry->problems;
  if (!fact.info.listen_fault.empty()) problems.push_back(fact.info.listen_fault);
  // Of what was registered a problem is its host name's.
  if (row.engine.empty() && fact.info.ready) out["note"] = OrNull(Join(fact.entry->problems, "; "));
  out.update({{"source", row.engine.empty() ? "api" : row.engine}, {"node", row.node}, {"protocol", fact.entry->protocol},
              {"state", StateName(row.state)}, {"health", HealthName(fact.info.checked_by == "balancer" ? fact.info.health.state : HealthOf(row, *fact.entry))}, {"draining", row.draining},
              {"since", TimeOrNull(row.since_wall)}, {"engine_id", OrNull(row.engine_id)},
              {"address_rule", fact.entry->address_rule}, {"problems", std::move(problems)}, {"listen", NumberOrNull(fact.entry->listen)}});
  return out;
}

// What an agent knows of an endpoint that balancers look at, each for itself, while this host's said nothing of it.
std::string WhyUntold(const BalancerWord& word) {
  return Cat("balancers check it themselves, and ",
             word.answered ? "this host's has a file without it: reload it" : "none answers on this host");
}

// The balancer's own look goes before what the agent knows.
void HearBalancer(const BalancerWord& word, EndpointFact& fact) {
  lb::Picture::EndpointInfo& info = fact.info;
  auto said = word.found.find({fact.service, info.view->uid});
  if (said == word.found.end()) {
    if (info.source != "file" || info.check.kind == discovery::CheckKind::kNone) return;
    info.health = {.state = discovery::HealthState::kUnknown, .reason = WhyUntold(word)};
    info.why_not = info.health.reason;
    return;
  }
  if (!said->second.listen_fault.empty()) info.listen_fault = said->second.listen_fault;
  if (said->second.checked_by.empty()) return;
  info.health = said->second.health;
  info.checked_by = said->second.checked_by;
  info.fails_open = said->second.fails_open;
  info.ready = said->second.ready;
  info.why_not = said->second.why_not;
}

}  // namespace

std::string_view StateName(discovery::RunState state) {
  switch (state) {
    case discovery::RunState::kCreated: return "created";
    case discovery::RunState::kRunning: return "running";
    case discovery::RunState::kPaused: return "paused";
    case discovery::RunState::kRestarting: return "restarting";
    case discovery::RunState::kExited: return "exited";
  }
  return "unknown";
}

discovery::HealthState HealthOf(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry) {
  using discovery::HealthState;
  const bool engine_decides = row.health == HealthState::kStarting || row.health == HealthState::kUnhealthy ||
                              entry.health.state == HealthState::kNone;
  return engine_decides ? row.health : entry.health.state;
}

AgentView::AgentView(const discovery::Catalog& catalog, const ipam::Ipam& ipam, const lb::Config& balancer, BalancerWord word)
    : ipam_(ipam), picture_(balancer), word_(std::move(word)) {
  std::vector<discovery::Change> rows;
  catalog.ForEach([&](std::shared_ptr<const discovery::Row> row) { rows.push_back({row->key, std::move(row)}); });
  picture_.Learn(rows);
  services_ = picture_.Services();
  for (discovery::Change& change : rows) {
    all_rows_.push_back(change.row.get());
    kept_.push_back(std::move(change.row));
  }
  std::ranges::sort(all_rows_, {}, [](const discovery::Row* row) -> const std::string& { return row->key; });
  for (const discovery::Row* row : all_rows_) {
    if (const discovery::NodeRow* node = row->node_row()) nodes_.push_back(node);
    const discovery::EndpointRow* endpoint = row->endpoint();
    if (endpoint == nullptr) continue;
    rows_.push_back(endpoint);
    for (size_t i = 0; i < endpoint->services.size(); i++)
      parts_[Cat(endpoint->uid, "/", i)] = {endpoint, &endpoint->services[i]};
  }
  for (const lb::Picture::RouteInfo& route : picture_.Routes())
    if (!route.shadowed() && route.fault.empty() && route.source != "zone")
      hosts_[route.service].push_back(Cat(route.host, route.path_prefix == "/" ? "" : route.path_prefix,
                                          route.condition != nullptr ? " (rule)" : ""));
}

StatusOr<std::string> AgentView::FindService(std::string_view name) const {
  auto has = [&](std::string_view full) { return std::ranges::find(services_, full) != services_.end(); };
  if (has(name)) return std::string(name);
  std::string of_default = Cat(name, ".default");
  if (has(of_default)) return of_default;
  std::vector<std::string> found, shorts;
  for (const std::string& service : services_) {
    shorts.push_back(service.substr(0, service.find('.')));
    if (shorts.back() == name) found.push_back(service);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1)
    return InvalidArgument("several projects have a service ", name, ": say which: ", Join(found, ", "));
  const std::vector<std::string>& near = name.find('.') == name.npos ? shorts : services_;
  return WithFix(NotFound("there is no service ", name, DidYouMean(name, near)), "fairlead service ls");
}

std::vector<EndpointFact> AgentView::Endpoints(const std::string& service) const {
  std::vector<EndpointFact> facts;
  for (lb::Picture::EndpointInfo& info : picture_.Endpoints(service)) {
    EndpointFact fact{.service = service, .info = std::move(info)};
    HearBalancer(word_, fact);
    if (auto part = parts_.find(fact.info.view->uid); part != parts_.end()) {
      fact.row = part->second.row;
      fact.entry = part->second.entry;
    }
    facts.push_back(std::move(fact));
  }
  std::ranges::sort(facts, {}, [](const EndpointFact& fact) { return std::tie(fact.info.view->name, fact.info.view->uid); });
  return facts;
}

StatusOr<std::vector<ipam::Lease>> FindLeases(const ipam::Ipam& ipam, std::string_view wanted, std::string_view network) {
  auto ip = IpAddress::Parse(wanted);
  std::vector<ipam::Lease> found;
  std::vector<std::string> names;
  for (const ipam::Lease& lease : ipam.Leases()) {
    names.push_back(lease.key.name);
    if (!network.empty() && lease.key.network != network) continue;
    if (lease.key.name == wanted || (ip.ok() && lease.ip == *ip)) found.push_back(lease);
  }
  if (!found.empty()) return found;
  std::string where = network.empty() ? "" : Cat(" on network ", network);
  if (ip.ok())
    return WithFix(NotFound("nobody has a lease of ", wanted, where), Cat("fairlead ip history ", wanted));
  return WithFix(NotFound("there is no lease of ", wanted, where, DidYouMean(wanted, names)), "fairlead ip ls");
}

StatusOr<ipam::PoolSpec> FindPool(const ipam::Ipam& ipam, std::string_view name) {
  if (const ipam::PoolSpec* pool = ipam.FindPool(name)) return *pool;
  std::vector<std::string> names;
  for (const ipam::PoolSpec& pool : ipam.Pools()) names.push_back(pool.name);
  return WithFix(NotFound("there is no pool ", name, DidYouMean(name, names)), "fairlead pool ls");
}

json AgentView::SummaryJson(const std::string& service, const std::vector<EndpointFact>& endpoints) const {
  size_t ready = 0;
  std::set<std::string> sources, protocols, problems;
  for (const EndpointFact& fact : endpoints) {
    ready += fact.info.ready;
    sources.insert(fact.row == nullptr ? "file" : fact.row->engine.empty() ? "api" : fact.row->engine);
    protocols.insert(fact.entry == nullptr ? "http" : fact.entry->protocol);
    if (fact.entry == nullptr) continue;
    for (const std::string& problem : fact.entry->problems) problems.insert(problem);
    if (!fact.info.listen_fault.empty()) problems.insert(fact.info.listen_fault);
  }
  auto hosts = hosts_.find(service);
  return {{"name", service},
          {"project", service.substr(service.find('.') + 1)},
          {"protocol", OrNull(Join({protocols.begin(), protocols.end()}, ","))},
          {"ready", ready},
          {"total", endpoints.size()},
          {"hosts", hosts == hosts_.end() ? std::vector<std::string>() : hosts->second},
          {"sources", sources},
          {"problems", problems}};
}

json AgentView::ServicesJson() const {
  json services = json::array();
  for (const std::string& name : services_) services.push_back(SummaryJson(name, Endpoints(name)));
  return services;
}

json AgentView::ServiceJson(const std::string& name) const {
  std::vector<EndpointFact> facts = Endpoints(name);
  json service = SummaryJson(name, facts);
  json endpoints = json::array(), routes = json::array();
  for (const EndpointFact& fact : facts) endpoints.push_back(EndpointJson(fact));
  for (json& route : RoutesJson(picture_))
    if (route["service"] == name) routes.push_back(std::move(route));
  service["endpoints"] = std::move(endpoints);
  service["routes"] = std::move(routes);
  const std::string& zone = picture_.config().zone;
  service["names"] = {Cat(name, ".svc.", zone), Cat(name, ".lb.", zone)};
  return service;
}

json AgentView::EndpointsJson(std::string_view only) const {
  json endpoints = json::array();
  for (const std::string& service : services_) {
    if (!only.empty() && service != only) continue;
    for (const EndpointFact& fact : Endpoints(service)) endpoints.push_back(EndpointJson(fact));
  }
  return endpoints;
}

namespace {

// What becomes of a lease that is not yet what its name's is to be; null: it is settled.
json Settles(const ipam::Lease& lease, const std::optional<ipam::Lease>& own) {
  if (!lease.stand_in_for.empty())
    return Cat(lease.stand_in_for, " has its own address", own ? Cat(" ", own->ip.ToString()) : "", " from its next start");
  if (lease.provisional) return "gets its container's name once the engine tells it, at the latest when it stops";
  if (lease.observed) return Cat("managed once its container starts on network ", lease.key.network);
  return nullptr;
}

}  // namespace

json LeaseJson(const ipam::Ipam& ipam, const ipam::Lease& lease) {
  // A stand-in's name is a placeholder; whom it stands in for has an address of its own.
  std::optional<ipam::Lease> own;
  if (!lease.stand_in_for.empty())
    own = ipam.Find({lease.key.network, lease.key.scope, lease.stand_in_for, lease.key.v6});
  return {{"name", lease.key.name},
          {"network", lease.key.network},
          {"scope", lease.key.scope},
          {"address", lease.ip.ToString()},
          {"prefix_length", lease.prefix_length},
          {"gateway", OrNull(lease.gateway.ToString())},
          {"mac", lease.mac.is_set() ? json(lease.mac.ToString()) : json(nullptr)},
          {"pool", lease.pool},
          {"project", OrNull(lease.project)},
          {"state", lease.attached ? "attached" : "detached"},
          {"reserved", lease.reserved},
          {"observed", lease.observed},
          {"provisional", lease.provisional},
          {"stand_in_for", OrNull(lease.stand_in_for)},
          {"own_address", own ? json(own->ip.ToString()) : json(nullptr)},
          {"settles", Settles(lease, own)},
          {"ephemeral", lease.ephemeral},
          {"since", TimeOrNull(lease.since_wall)},
          {"acquired", TimeOrNull(lease.acquired_wall)},
          {"revision", lease.revision}};
}

json AgentView::LeasesJson() const {
  json leases = json::array();
  for (const ipam::Lease& lease : ipam_.Leases()) leases.push_back(LeaseJson(ipam_, lease));
  for (const ipam::ForeignAddress& foreign : ipam_.Foreign())
    if (!ipam_.FindByAddress(foreign.pool, foreign.ip))
      leases.push_back({{"name", nullptr}, {"network", nullptr}, {"scope", nullptr}, {"address", foreign.ip.ToString()},
                        {"mac", foreign.by.ToString()}, {"pool", foreign.pool}, {"state", "foreign"},
                        {"since", TimeOrNull(foreign.seen_wall)}});
  return leases;
}

json AgentView::HistoryJson(const std::vector<ipam::HistoryEntry>& history) {
  json entries = json::array();
  for (const ipam::HistoryEntry& entry : history)
    entries.push_back({{"address", entry.ip.ToString()},
                       {"pool", entry.pool},
                       {"name", entry.key.name},
                       {"network", entry.key.network},
                       {"scope", entry.key.scope},
                       {"from", TimeOrNull(entry.from_wall)},
                       {"to", TimeOrNull(entry.to_wall)},
                       {"rests_until", TimeOrNull(entry.rest_until_wall)}});
  return entries;
}

json AgentView::NodesJson() const {
  json nodes = json::array();
  for (const discovery::NodeRow* node : nodes_) {
    json addresses = json::array();
    for (const IpAddress& ip : node->addresses) addresses.push_back(ip.ToString());
    auto containers = std::ranges::count(rows_, node->name, [](const auto* row) -> const std::string& { return row->node; });
    nodes.push_back({{"name", node->name},
                     {"site", OrNull(node->site)},
                     {"addresses", std::move(addresses)},
                     {"containers", containers}});
  }
  return nodes;
}

}  // namespace fairlead::app
