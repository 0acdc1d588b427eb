#include "lb/picture.h"

#include <algorithm>

#include "base/strings.h"
#include "discovery/fail_open.h"
#include "discovery/names.h"
#include "lb/route_table.h"

namespace fairlead::lb {
namespace {

// Unless it is for its health that it is not.
std::string WhyNotReady(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry) {
  using discovery::RunState;
  if (!entry.published()) return entry.problems.empty() ? "not published" : entry.problems.front();
  if (row.draining) return "draining";
  switch (row.state) {
    case RunState::kCreated: return "created, not started";
    case RunState::kPaused: return "paused";
    case RunState::kRestarting: return "restarting";
    case RunState::kExited: return "exited";
    case RunState::kRunning: break;
  }
  if (entry.protocol != "http" && entry.protocol != "tcp") return Cat("protocol ", entry.protocol, ": not yet");
  return {};
}

std::string WhyNotHealthy(const discovery::CheckedHealth& health) {
  if (health.state == discovery::HealthState::kUnhealthy) return Cat("unhealthy: ", health.reason);
  if (health.state == discovery::HealthState::kUnknown) return Cat("cannot be reached: ", health.reason);
  return Cat("no good answer yet: ", health.reason);
}

// As Traefik names it (conventions, A2).
std::string CookieNameOf(const std::string& service) { return Cat("_", discovery::HashDigits(discovery::Hash::kSha1, service, 5)); }
// The same at every balancer, and after a restart; tells nobody an address.
std::string CookieOf(const std::string& uid) { return discovery::HashDigits(discovery::Hash::kSha256, uid, 16); }

using Endpoints = std::vector<std::shared_ptr<const EndpointView>>;

std::shared_ptr<const EndpointView> Shared(EndpointView view) { return std::make_shared<const EndpointView>(std::move(view)); }

// All of `some`, with their addresses; both are in the order of the rows.
bool Holds(const Endpoints& all, const Endpoints& some) {
  auto at = all.begin();
  for (const auto& endpoint : some) {
    at = std::find_if(at, all.end(), [&](const auto& other) {
      return other == endpoint || (other->uid == endpoint->uid && other->address == endpoint->address);
    });
    if (at == all.end()) return false;
    ++at;
  }
  return true;
}

}  // namespace

Picture::Picture(Config config, const Verdicts* verdicts, bool reads_users_files)
    : config_(std::move(config)), verdicts_(verdicts), middlewares_(reads_users_files), branches_(config_.branch_zone) {
  Dirty dirty;
  AddFile(dirty);
  Finish(std::move(dirty));
}

ChangeSet Picture::All() const {
  ChangeSet all;
  for (const auto& [name, service] : services_) {
    EndpointCounts uncounted;
    all.clusters.push_back(RenderService(name, uncounted));
  }
  for (const auto& [host, claims] : hosts_) all.hosts.push_back(RenderHost(host));
  return all;
}

ChangeSet Picture::Apply(const std::vector<discovery::Change>& changes) { return Render(Take(changes)); }

void Picture::Learn(const std::vector<discovery::Change>& changes) { Take(changes); }

Picture::Dirty Picture::Take(const std::vector<discovery::Change>& changes) {
  Dirty dirty;
  for (const discovery::Change& change : changes)
    SetRow(change.key, change.row != nullptr ? change.row->endpoint() : nullptr, dirty);
  Settle(dirty);
  return dirty;
}

ChangeSet Picture::Reload(Config config) {
  Dirty dirty;
  RemoveFile(dirty);
  config_ = std::move(config);
  AddFile(dirty);
  for (const auto& [name, service] : services_) dirty.services.insert(name);  // settings may have changed
  for (const auto& [host, claims] : hosts_) dirty.hosts.insert(host);         // and what listeners can carry them
  return Finish(std::move(dirty));
}

ChangeSet Picture::SetFileEndpoints(std::string_view service, std::vector<StaticEndpoint> endpoints) {
  auto found = services_.find(service);
  if (found == services_.end() || found->second.file == nullptr) return {};
  ServiceSpec& spec = config_.services[static_cast<size_t>(found->second.file - config_.services.data())];
  spec.endpoints = std::move(endpoints);
  found->second.of_file = OfFile(spec);
  return Refresh(found->first);
}

ChangeSet Picture::Refresh(const std::string& service) {
  Dirty dirty;
  dirty.services.insert(service);
  return Finish(std::move(dirty));
}

void Picture::AddFile(Dirty& dirty) {
  NoteMiddlewares(middlewares_.SetFile(config_.middlewares), dirty);
  ports_.SetFile(config_);
  for (const ServiceSpec& spec : config_.services) {
    services_[spec.name].file = &spec;
    services_[spec.name].of_file = OfFile(spec);
    dirty.services.insert(spec.name);
  }
  Claims claims;
  for (const RouteSpec& route : config_.routes)
    AddClaims(route.rule, route.hosts,
              {.path_prefix = route.path_prefix, .service = route.service, .source = "file", .listeners = route.listeners,
               .priority = route.priority, .middlewares = route.middlewares, .age = {kOfFile, ""}},
              claims);
  for (auto& [host, claim] : claims) ClaimHost(host, std::move(claim), dirty);
}

void Picture::RemoveFile(Dirty& dirty) {
  for (const ServiceSpec& spec : config_.services) {
    services_[spec.name].file = nullptr;
    services_[spec.name].of_file.clear();
    dirty.services.insert(spec.name);
  }
  for (auto& [host, claims] : hosts_)
    if (Unclaim(host, claims, [](const Claim& claim) { return claim.source == "file"; }) != 0) dirty.hosts.insert(host);
}

void Picture::SetRow(const std::string& key, const discovery::EndpointRow* row, Dirty& dirty) {
  auto found = rows_.find(key);
  if (found == rows_.end()) {
    if (row == nullptr) return;
    found = rows_.emplace(key, Contribution()).first;
  }
  SetEndpoints(found->first, row, found->second, dirty);
  SetClaims(key, row, found->second, dirty);
  SetBranch(key, row, dirty);
  ports_.SetRow(key, row);
  static const std::vector<discovery::Middleware> kNone;
  NoteMiddlewares(middlewares_.SetRow(key, row != nullptr ? row->name : "", row != nullptr ? row->middlewares : kNone), dirty);
  if (row == nullptr) rows_.erase(found);
}

void Picture::SetEndpoints(const std::string& key, const discovery::EndpointRow* row, Contribution& contribution, Dirty& dirty) {
  std::map<std::string, std::string_view> protocols;  // of the services concerned, as they were
  for (const std::string& name : contribution.services) protocols.emplace(name, ProtocolOf(name));
  for (const auto& [name, protocol] : protocols) {
    auto& from_rows = services_[name].from_rows;
    for (auto at = from_rows.lower_bound({key, 0}); at != from_rows.end() && at->first.first == key;) at = from_rows.erase(at);
  }
  contribution.services.clear();
  if (row != nullptr) {
    size_t index = 0;
    for (const discovery::ServiceEntry& entry : row->services) {
      std::string name = ServiceNameOf(*row, entry);
      EndpointInfo info;
      const SocketAddress address(entry.ip, entry.port);
      info.view = Shared({Cat(row->uid, "/", index), row->name.empty() ? address.ToString() : row->name, address, entry.weight});
      info.why_not = WhyNotReady(*row, entry);
      info.health = JointHealth(*row, entry);
      info.check = entry.check;
      if (info.health.state != discovery::HealthState::kNone)
        info.checked_by = entry.check.kind == discovery::CheckKind::kNone ? "engine" : "agent";
      info.interval = CheckInterval(*row, entry);
      info.fail_open_below = entry.fail_open_below;
      info.source = row->node;
      info.protocol = entry.protocol;
      if (entry.sticky.enabled) info.sticky = std::make_shared<const discovery::StickyCookie>(entry.sticky);
      info.listen = entry.listen;
      protocols.try_emplace(name, ProtocolOf(name));
      services_[name].from_rows[{key, index++}] = std::move(info);
      if (std::ranges::find(contribution.services, name) == contribution.services.end()) contribution.services.push_back(std::move(name));
    }
  }
  for (const auto& [name, before] : protocols) {
    dirty.services.insert(name);
    SyncProtocol(name, before, dirty);
  }
}

// What the row goes on saying keeps its place: a new state of a container must not make its claims younger.
void Picture::SetClaims(const std::string& key, const discovery::EndpointRow* row, Contribution& contribution, Dirty& dirty) {
  Claims claims;
  if (row != nullptr) {
    const Nanos created = row->created_wall != 0 ? row->created_wall : kNotKnown;
    for (const discovery::ServiceEntry& entry : row->services) {
      const Age age(entry.claimed_wall != 0 ? entry.claimed_wall : created, key);
      for (const discovery::RouteRule& route : entry.routes)
        AddClaims(route.rule, route.hosts,
                  {.path_prefix = route.path_prefix, .service = ServiceNameOf(*row, entry), .source = "label",
                   .listeners = route.listeners, .priority = route.priority, .middlewares = route.middlewares, .rows = {key}, .age = age},
                  claims);
    }
  }
  for (const std::string& host : contribution.hosts) {
    auto goes_on = [&](const Claim& claim) {
      return std::ranges::any_of(claims, [&](const auto& wanted) { return wanted.first == host && wanted.second.Says(claim); });
    };
    size_t gone = Unclaim(host, hosts_[host], [&](Claim& claim) {
      if (!claim.rows.contains(key) || goes_on(claim)) return false;
      claim.rows.erase(key);
      return claim.rows.empty();
    });
    if (gone != 0) dirty.hosts.insert(host);
  }
  contribution.hosts.clear();
  for (auto& [host, claim] : claims) {
    if (std::ranges::find(contribution.hosts, host) == contribution.hosts.end()) contribution.hosts.push_back(host);
    ClaimHost(host, std::move(claim), dirty);
  }
}

// `claim` at each of the hosts, or at those of the rule where there is one.
void Picture::AddClaims(const std::string& rule, const std::vector<std::string>& hosts, Claim claim, Claims& out) {
  if (rule.empty()) {
    for (const std::string& host : hosts) {
      out.emplace_back(host, claim);
      if (claim.priority == 0) out.back().second.priority = HostPriority(host, claim.path_prefix);
    }
    return;
  }
  claim.rule = rule;
  claim.placed = rules_.Get(rule);
  if (claim.priority == 0) claim.priority = static_cast<int64_t>(rule.size());
  for (const RulePlace& place : claim.placed->places) {
    out.emplace_back(place.host, claim);
    out.back().second.path_prefix = place.path_prefix;
    out.back().second.condition = place.condition;
  }
  if (claim.placed->places.empty()) out.emplace_back("", std::move(claim));
}

bool Picture::Claim::Says(const Claim& other) const {
  return path_prefix == other.path_prefix && service == other.service && source == other.source &&
         listeners == other.listeners && priority == other.priority && rule == other.rule && middlewares == other.middlewares;
}

template <class Gone>
size_t Picture::Unclaim(const std::string& host, std::vector<Claim>& claims, Gone gone) {
  return std::erase_if(claims, [&](Claim& claim) {
    if (!gone(claim)) return false;
    for (const std::string& reference : claim.middlewares) {
      auto of = referring_.find(reference);
      if (--of->second[host] == 0) of->second.erase(host);
      if (of->second.empty()) referring_.erase(of);
    }
    return true;
  });
}

// The hosts whose routes refer to them.
void Picture::NoteMiddlewares(const MiddlewareBook::Ids& changed, Dirty& dirty) const {
  for (const std::string& id : changed)
    if (auto of = referring_.find(id); of != referring_.end())
      for (const auto& [host, claims] : of->second) dirty.hosts.insert(host);
}

// A route whose middlewares cannot be had stays where it is and answers 503: left out, its requests would go to a wider
// route, which may be open. Middlewares are of HTTP: what they guard must not pass as bytes.
ResolvedMiddlewares Picture::Resolved(const Claim& claim) const {
  if (claim.middlewares.empty()) return {};
  if (ProtocolOf(claim.service) != "tcp") return middlewares_.Resolve(claim.middlewares);
  std::string fault = Cat("middlewares are of HTTP, and ", claim.service, " speaks tcp");
  return {MiddlewareChain::Shut(fault), fault, {}};
}

void Picture::ClaimHost(const std::string& host, Claim claim, Dirty& dirty) {
  std::vector<Claim>& claims = hosts_[host];
  auto same = std::ranges::find_if(claims, [&](const Claim& other) { return other.Says(claim); });
  if (same != claims.end()) {
    same->rows.merge(claim.rows);
    if (same->age <= claim.age) return;
    claim.rows = std::move(same->rows);
    claims.erase(same);
  } else {
    for (const std::string& reference : claim.middlewares) ++referring_[reference][host];
  }
  Place(claims, std::move(claim));
  dirty.hosts.insert(host);
}

void Picture::Place(std::vector<Claim>& claims, Claim claim) {
  auto younger = std::ranges::upper_bound(claims, claim.age, {}, &Claim::age);
  claims.insert(younger, std::move(claim));
}

void Picture::SetBranch(const std::string& key, const discovery::EndpointRow* row, Dirty& dirty) {
  for (const auto& [host, service] : branches_.Set(key, row)) {
    std::erase_if(hosts_[host], [](const Claim& claim) { return claim.source == "branch"; });
    dirty.hosts.insert(host);
    if (!service.empty())
      ClaimHost(host, {.path_prefix = "/", .service = service, .source = "branch", .priority = HostPriority(host, "/"), .age = {kOfBranch, ""}},
                dirty);
  }
}

std::string Picture::ZoneHost(const std::string& service) const { return Cat(service, ".lb.", config_.zone); }

// SERVICE.PROJECT.lb.ZONE exists as long as the service does. Forgets a service of which nothing is left.
void Picture::SyncZoneHost(const std::string& service, Dirty& dirty) {
  auto found = services_.find(service);
  bool exists = found != services_.end() && (found->second.file != nullptr || !found->second.from_rows.empty());
  if (found != services_.end() && !exists) services_.erase(found);
  std::string host = ZoneHost(service);
  std::vector<Claim>& claims = hosts_[host];
  bool claimed = std::ranges::any_of(claims, [](const Claim& claim) { return claim.source == "zone"; });
  if (exists && !claimed)
    ClaimHost(host, {.path_prefix = "/", .service = service, .source = "zone", .priority = HostPriority(host, "/"), .age = {kOfZone, ""}},
              dirty);
  if (!exists && claimed) {
    std::erase_if(claims, [](const Claim& claim) { return claim.source == "zone"; });
    dirty.hosts.insert(host);
  }
}

std::string_view Picture::ProtocolOf(std::string_view service) const {
  auto found = services_.find(service);
  if (found == services_.end()) return "http";
  if (const ServiceSpec* file = found->second.file)
    return file->settings.protocol == ServiceProtocol::kTcp ? "tcp" : "http";
  for (const auto& [key, endpoint] : found->second.from_rows)
    if (endpoint.protocol == "http" || endpoint.protocol == "tcp") return endpoint.protocol == "tcp" ? "tcp" : "http";
  return "http";
}

void Picture::SyncProtocol(const std::string& service, std::string_view before, Dirty& dirty) {
  if (ProtocolOf(service) == before) return;
  for (const auto& [host, claims] : hosts_)
    if (std::ranges::any_of(claims, [&](const Claim& claim) { return claim.service == service; })) dirty.hosts.insert(host);
}

uint64_t Picture::ListenerMask(const std::vector<std::string>& names, std::string_view service) const {
  bool bytes = ProtocolOf(service) == "tcp";
  uint64_t mask = names.empty() ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < config_.listeners.size(); i++) {
    const ListenerSpec& listener = config_.listeners[i];
    bool http = listener.protocol == ListenerProtocol::kHttp || listener.protocol == ListenerProtocol::kHttps;
    bool carries = bytes ? listener.protocol == ListenerProtocol::kTls : http;
    bool named = names.empty() || std::ranges::find(names, listener.name) != names.end();
    uint64_t bit = uint64_t{1} << i;
    mask = carries && named ? mask | bit : mask & ~bit;
  }
  return mask;
}

ChangeSet Picture::Finish(Dirty dirty) {
  Settle(dirty);
  return Render(dirty);
}

void Picture::Settle(Dirty& dirty) {
  for (const std::string& service : std::set(dirty.services)) SyncZoneHost(service, dirty);
  for (const std::string& host : dirty.hosts)
    if (auto found = hosts_.find(host); found != hosts_.end() && found->second.empty()) hosts_.erase(found);
}

ChangeSet Picture::Render(const Dirty& dirty) {
  ChangeSet changes;
  for (const std::string& name : dirty.services) {
    EndpointCounts& counts = changes.counts.emplace_back();
    counts.service = name;
    Tell(RenderService(name, counts), changes);
  }
  for (const std::string& host : dirty.hosts) changes.hosts.push_back(RenderHost(host));
  return changes;
}

// A container on its way up or down changes many things before it changes who may take requests: then workers are left alone.
void Picture::Tell(ClusterChange change, ChangeSet& changes) {
  if (change.removed) {
    changes.takes_away = true;
    changes.clusters.push_back(std::move(change));
    return;
  }
  std::optional<Told>& told = services_.find(change.service)->second.told;
  auto same = [](const auto& a, const auto& b) { return a == b || *a == *b; };
  const bool same_settings = told && told->settings == change.settings;
  if (same_settings && std::ranges::equal(told->endpoints, change.endpoints, same)) return;
  changes.takes_away = changes.takes_away || (told && (!same_settings || !Holds(change.endpoints, told->endpoints)));
  told = Told{change.settings, change.endpoints};
  changes.clusters.push_back(std::move(change));
}

ClusterChange Picture::RenderService(const std::string& name, EndpointCounts& counts) const {
  ClusterChange change{.service = name, .removed = false, .settings = {}, .endpoints = {}};
  auto found = services_.find(name);
  if (found == services_.end()) {
    change.removed = true;
    return change;
  }
  if (found->second.file != nullptr) change.settings = found->second.file->settings;
  change.settings.protocol = ProtocolOf(name) == "tcp" ? ServiceProtocol::kTcp : ServiceProtocol::kHttp;
  discovery::StickyCookie& sticky = change.settings.sticky;
  const std::vector<Judged> endpoints = Judge(name, found->second);
  counts.all = endpoints.size();
  change.endpoints.reserve(endpoints.size());
  for (const Judged& endpoint : endpoints) {
    counts.by_health[static_cast<size_t>(endpoint.health->state)]++;
    counts.fails_open = counts.fails_open || endpoint.fails_open;
    if (!endpoint.ready) continue;
    change.endpoints.push_back(endpoint.info->view);
    if (!sticky.enabled && endpoint.info->sticky != nullptr) sticky = *endpoint.info->sticky;
  }
  counts.ready = change.endpoints.size();
  if (!sticky.enabled) return change;
  if (sticky.name.empty()) sticky.name = CookieNameOf(name);
  for (auto& endpoint : change.endpoints) {
    EndpointView with_cookie = *endpoint;
    with_cookie.cookie = CookieOf(endpoint->uid);
    endpoint = std::make_shared<const EndpointView>(std::move(with_cookie));
  }
  return change;
}

HostChange Picture::RenderHost(const std::string& host) const {
  HostChange change{.host = host, .routes = {}};
  auto found = hosts_.find(host);
  if (found == hosts_.end()) return change;
  for (const Claim& claim : found->second)  // of equal ones the workers take the first
    if (FaultOf(claim).empty())
      change.routes.push_back({claim.path_prefix, claim.service, ListenerMask(claim.listeners, claim.service),
                               claim.priority, claim.condition, Resolved(claim).chain});
  return change;
}

// Why a rule is not in use.
std::string Picture::FaultOf(const Claim& claim) const {
  if (claim.placed == nullptr) return {};
  if (!claim.placed->fault.empty()) return claim.placed->fault;
  const bool tcp = ProtocolOf(claim.service) == "tcp";
  if (tcp && claim.placed->protocol == discovery::RuleProtocol::kHttp)
    return Cat("it asks for requests, and ", claim.service, " speaks tcp: use HostSNI");
  if (!tcp && claim.placed->protocol == discovery::RuleProtocol::kTcp)
    return Cat("it asks for connections of TLS, and ", claim.service, " speaks http: use Host");
  return {};
}

std::vector<std::string> Picture::Services() const {
  std::vector<std::string> names;
  for (const auto& [name, service] : services_) names.push_back(name);
  return names;
}

std::vector<Picture::EndpointInfo> Picture::OfFile(const ServiceSpec& file) {
  std::vector<EndpointInfo> endpoints;
  for (const StaticEndpoint& endpoint : file.endpoints) {
    std::string shown = endpoint.name.is_name() ? endpoint.name.ToString() : endpoint.address.ToString();
    EndpointInfo& info = endpoints.emplace_back();
    info.view = Shared({FileEndpointUid(endpoint), std::move(shown), endpoint.address, endpoint.weight});
    info.source = "file";
    info.note = endpoint.note;
    if (!endpoint.address.is_set()) {
      info.why_not = endpoint.note;
      continue;
    }
    info.check = file.health_check;
    info.interval = file.health_check.interval;
    if (info.check.kind != discovery::CheckKind::kNone) info.health = {.state = discovery::HealthState::kStarting, .reason = "not looked at yet"};
  }
  return endpoints;
}

std::vector<Picture::Judged> Picture::Judge(std::string_view name, const Service& service) const {
  using discovery::Standing;
  const std::string_view protocol = ProtocolOf(name);
  std::vector<Judged> endpoints;
  endpoints.reserve(service.of_file.size() + service.from_rows.size());
  for (const EndpointInfo& info : service.of_file) endpoints.push_back({&info});
  for (const auto& [key, info] : service.from_rows) endpoints.push_back({&info, info.why_not.empty() && info.protocol != protocol});
  const uint32_t below = service.file == nullptr ? 0 : service.file->fail_open_below;
  std::vector<Standing> standings;
  standings.reserve(endpoints.size());
  discovery::FailOpen all;
  for (Judged& endpoint : endpoints) {
    endpoint.health = &endpoint.info->health;
    bool reached = true;
    if (const discovery::CheckedHealth* own = verdicts_ == nullptr ? nullptr : verdicts_->Find(name, endpoint.info->view->uid)) {
      endpoint.health = own;
      endpoint.by_balancer = true;
      reached = own->state != discovery::HealthState::kUnknown;
    }
    const bool may = endpoint.info->why_not.empty() && !endpoint.other_protocol && reached;
    standings.push_back(may ? discovery::StandingOf(*endpoint.health) : Standing::kOut);
    all.Add({standings.back(), endpoint.health->since_wall, endpoint.info->interval, std::max(below, endpoint.info->fail_open_below)});
  }
  const bool open = all.open();
  for (size_t i = 0; i < endpoints.size(); i++) {
    endpoints[i].fails_open = open && standings[i] == Standing::kFailed;
    endpoints[i].ready = standings[i] == Standing::kReady || endpoints[i].fails_open;
  }
  return endpoints;
}

std::vector<Picture::EndpointInfo> Picture::Endpoints(std::string_view name) const {
  std::vector<EndpointInfo> endpoints;
  auto found = services_.find(name);
  if (found == services_.end()) return endpoints;
  for (const Judged& judged : Judge(name, found->second)) {
    EndpointInfo& info = endpoints.emplace_back(*judged.info);
    info.health = *judged.health;
    if (judged.by_balancer) info.checked_by = "balancer";
    info.fails_open = judged.fails_open;
    if (info.listen != 0) info.listen_fault = ports_.FaultOf(info.listen, found->first);
    info.ready = judged.ready;
    if (judged.other_protocol)
      info.why_not = Cat("speaks ", info.protocol, ", but its service ", ProtocolOf(name),
                         found->second.file != nullptr ? ": change protocol: of the service in the file"
                                                       : ": give its containers one fairlead.protocol");
    if (!info.ready && info.why_not.empty()) info.why_not = WhyNotHealthy(info.health);
  }
  return endpoints;
}

const Picture::Claim* Picture::BeforeIt(const std::vector<const Claim*>& claims, size_t index) const {
  const Claim& claim = *claims[index];
  const uint64_t listeners = ListenerMask(claim.listeners, claim.service);
  for (size_t i = 0; i < claims.size(); i++) {
    const Claim& other = *claims[i];
    const bool first = other.priority > claim.priority || (other.priority == claim.priority && i < index);
    if (first && other.service != claim.service && (ListenerMask(other.listeners, other.service) & listeners) != 0) return &other;
  }
  return nullptr;
}

std::vector<Picture::RouteInfo> Picture::Routes() const {
  std::vector<RouteInfo> routes;
  for (const auto& [host, claims] : hosts_) {
    std::map<std::string, std::vector<const Claim*>> same_requests;
    for (const Claim& claim : claims) {
      RouteInfo& route = routes.emplace_back();
      route = {.host = host, .path_prefix = claim.path_prefix, .service = claim.service, .source = claim.source,
               .listeners = claim.listeners, .rule = claim.rule, .priority = claim.priority, .shadowed_by = {},
               .fault = FaultOf(claim), .condition = claim.condition, .middlewares = claim.middlewares,
               .resolved = Resolved(claim)};
      if (route.fault.empty())
        same_requests[Cat(claim.path_prefix, " ", claim.condition != nullptr ? std::string_view(claim.placed->canonical) : "")].push_back(&claim);
    }
    RouteInfo* first = &routes[routes.size() - claims.size()];
    for (const auto& [what, group] : same_requests)
      for (size_t i = 0; i < group.size(); i++)
        if (const Claim* before = BeforeIt(group, i)) first[group[i] - claims.data()].shadowed_by = before->service;
  }
  return routes;
}

}  // namespace fairlead::lb
