#include "lb/picture.h"

#include <algorithm>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

std::string WhyNotReady(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry) {
  using discovery::HealthState;
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
  if (row.health == HealthState::kStarting) return "health check has not passed yet";
  if (row.health == HealthState::kUnhealthy) return Cat("unhealthy: ", row.health_reason);
  if (entry.protocol != "http" && entry.protocol != "tcp") return Cat("protocol ", entry.protocol, ": not yet");
  return {};
}

}  // namespace

Picture::Picture(Config config) : config_(std::move(config)) {
  Dirty dirty;
  AddFile(dirty);
  Finish(std::move(dirty));
}

ChangeSet Picture::All() const {
  Dirty all;
  for (const auto& [name, service] : services_) all.services.insert(name);
  for (const auto& [host, claims] : hosts_) all.hosts.insert(host);
  return Render(all);
}

ChangeSet Picture::Apply(const std::vector<discovery::Change>& changes) {
  Dirty dirty;
  for (const discovery::Change& change : changes) {
    RemoveRow(change.key, dirty);
    if (change.row != nullptr && change.row->endpoint() != nullptr) AddRow(change.key, *change.row->endpoint(), dirty);
  }
  return Finish(std::move(dirty));
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

void Picture::AddFile(Dirty& dirty) {
  for (const ServiceSpec& spec : config_.services) {
    services_[spec.name].file = &spec;
    dirty.services.insert(spec.name);
  }
  for (const RouteSpec& route : config_.routes)
    for (const std::string& host : route.hosts)
      ClaimHost(host, {route.path_prefix, route.service, "file", route.listeners, ""}, dirty);
}

void Picture::RemoveFile(Dirty& dirty) {
  for (const ServiceSpec& spec : config_.services) {
    services_[spec.name].file = nullptr;
    dirty.services.insert(spec.name);
  }
  for (auto& [host, claims] : hosts_)
    if (std::erase_if(claims, [](const Claim& claim) { return claim.source == "file"; }) != 0) dirty.hosts.insert(host);
}

void Picture::AddRow(const std::string& key, const discovery::EndpointRow& row, Dirty& dirty) {
  Contribution& contribution = rows_[key];
  size_t index = 0;
  for (const discovery::ServiceEntry& entry : row.services) {
    std::string name = Cat(entry.service, ".", entry.project);
    EndpointInfo info;
    info.view = {Cat(row.uid, "/", index), row.name, SocketAddress(entry.ip, entry.port), entry.weight};
    info.why_not = WhyNotReady(row, entry);
    info.ready = info.why_not.empty();
    info.source = row.node;
    info.protocol = entry.protocol;
    std::string_view before = ProtocolOf(name);
    services_[name].from_rows[Cat(key, "/", index++)] = std::move(info);
    SyncProtocol(name, before, dirty);
    contribution.services.insert(name);
    dirty.services.insert(name);
    for (const discovery::RouteRule& rule : entry.routes)
      for (const std::string& host : rule.hosts) {
        contribution.hosts.insert(host);
        ClaimHost(host, {rule.path_prefix, name, "label", rule.listeners, key}, dirty);
      }
  }
}

void Picture::RemoveRow(const std::string& key, Dirty& dirty) {
  auto found = rows_.find(key);
  if (found == rows_.end()) return;
  for (const std::string& name : found->second.services) {
    dirty.services.insert(name);
    std::string_view before = ProtocolOf(name);
    auto& from_rows = services_[name].from_rows;
    std::string prefix = Cat(key, "/");
    for (auto at = from_rows.lower_bound(prefix); at != from_rows.end() && at->first.starts_with(prefix);)
      at = from_rows.erase(at);
    SyncProtocol(name, before, dirty);
  }
  for (const std::string& host : found->second.hosts) {
    dirty.hosts.insert(host);
    std::erase_if(hosts_[host], [&](const Claim& claim) { return claim.row == key; });
  }
  rows_.erase(found);
}

void Picture::ClaimHost(const std::string& host, Claim claim, Dirty& dirty) {
  std::vector<Claim>& claims = hosts_[host];
  auto position = claim.source == "file"
                      ? std::ranges::find_if(claims, [](const Claim& other) { return other.source != "file"; })
                      : claims.end();
  claims.insert(position, std::move(claim));
  dirty.hosts.insert(host);
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
  if (exists && !claimed) ClaimHost(host, {"/", service, "zone", {}, ""}, dirty);
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
  for (const std::string& service : std::set(dirty.services)) SyncZoneHost(service, dirty);
  ChangeSet changes = Render(dirty);
  for (const std::string& host : dirty.hosts)
    if (auto found = hosts_.find(host); found != hosts_.end() && found->second.empty()) hosts_.erase(found);
  return changes;
}

ChangeSet Picture::Render(const Dirty& dirty) const {
  ChangeSet changes;
  for (const std::string& name : dirty.services) changes.clusters.push_back(RenderService(name));
  for (const std::string& host : dirty.hosts) changes.hosts.push_back(RenderHost(host));
  return changes;
}

ClusterChange Picture::RenderService(const std::string& name) const {
  ClusterChange change{.service = name, .removed = false, .settings = {}, .endpoints = {}};
  auto found = services_.find(name);
  if (found == services_.end()) {
    change.removed = true;
    return change;
  }
  if (found->second.file != nullptr) change.settings = found->second.file->settings;
  change.settings.protocol = ProtocolOf(name) == "tcp" ? ServiceProtocol::kTcp : ServiceProtocol::kHttp;
  for (const EndpointInfo& endpoint : Endpoints(name))
    if (endpoint.ready) change.endpoints.push_back(endpoint.view);
  return change;
}

HostChange Picture::RenderHost(const std::string& host) const {
  HostChange change{.host = host, .routes = {}};
  auto found = hosts_.find(host);
  if (found == hosts_.end()) return change;
  for (const Claim& claim : found->second)  // the workers take the first of equal prefixes
    change.routes.push_back({claim.path_prefix, claim.service, ListenerMask(claim.listeners, claim.service)});
  return change;
}

std::vector<std::string> Picture::Services() const {
  std::vector<std::string> names;
  for (const auto& [name, service] : services_) names.push_back(name);
  return names;
}

std::vector<Picture::EndpointInfo> Picture::Endpoints(std::string_view name) const {
  std::vector<EndpointInfo> endpoints;
  auto found = services_.find(name);
  if (found == services_.end()) return endpoints;
  if (const ServiceSpec* file = found->second.file)
    for (const StaticEndpoint& endpoint : file->endpoints) {
      std::string address = endpoint.address.ToString();
      endpoints.push_back({{Cat("file/", address), address, endpoint.address, endpoint.weight}, true, "file", ""});
    }
  std::string_view protocol = ProtocolOf(name);
  for (const auto& [key, endpoint] : found->second.from_rows) {
    endpoints.push_back(endpoint);
    EndpointInfo& info = endpoints.back();
    if (!info.ready || info.protocol == protocol) continue;
    info.ready = false;
    info.why_not = Cat("speaks ", info.protocol, ", but its service ", protocol,
                       found->second.file != nullptr ? ": change protocol: of the service in the file"
                                                     : ": give its containers one fairlead.protocol");
  }
  return endpoints;
}

std::vector<Picture::RouteInfo> Picture::Routes() const {
  std::vector<RouteInfo> routes;
  for (const auto& [host, claims] : hosts_) {
    for (size_t i = 0; i < claims.size(); i++) {
      const Claim& claim = claims[i];
      uint64_t listeners = ListenerMask(claim.listeners, claim.service);
      auto same = std::ranges::find_if(claims, [&](const Claim& other) {
        return &other == &claim || (other.path_prefix == claim.path_prefix &&
                                    (ListenerMask(other.listeners, other.service) & listeners) != 0);
      });
      bool repeated = std::any_of(claims.begin(), claims.begin() + static_cast<ptrdiff_t>(i), [&](const Claim& earlier) {
        return earlier.path_prefix == claim.path_prefix && earlier.service == claim.service;
      });
      if (repeated) continue;  // another container of the same service says the same
      routes.push_back({host, claim.path_prefix, claim.service, claim.source, same->service != claim.service,
                        claim.listeners});
    }
  }
  return routes;
}

}  // namespace fairlead::lb
