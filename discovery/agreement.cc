#include "discovery/agreement.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"

namespace fairlead::discovery {

namespace {

// What the entry says otherwise than the service: "protocol", "sticky cookie", "host", "path", "rule", "priority", "middlewares",
// "listener", or nothing.
template <class Settings>
std::string_view Difference(const Settings& settings, const ServiceEntry& entry) {
  if (entry.protocol != settings.protocol) return "protocol";
  if (entry.sticky != settings.sticky) return "sticky cookie";
  if (entry.routes == settings.routes) return "";
  auto same = [&](auto member) {
    return std::equal(entry.routes.begin(), entry.routes.end(), settings.routes.begin(), settings.routes.end(),
                      [&](const RouteRule& a, const RouteRule& b) { return a.*member == b.*member; });
  };
  if (!same(&RouteRule::hosts)) return "host";
  if (!same(&RouteRule::path_prefix)) return "path";
  if (!same(&RouteRule::rule)) return "rule";
  if (!same(&RouteRule::priority)) return "priority";
  if (!same(&RouteRule::middlewares)) return "middlewares";
  return "listener";
}

}  // namespace

// What holds in the service: what its rows say, or what this one does, as the first or as one older than they are.
Agreement::Services::value_type& Agreement::SettingsFor(const ServiceId& id, const Age& age, const EndpointRow& row,
                                                        const ServiceEntry& entry, std::vector<std::string>& displaced) {
  Services::value_type& service = *services_.try_emplace(id).first;
  Settings& settings = service.second;
  const bool older = !settings.rows.empty() && age < Age(settings.since, settings.rows.begin()->first.second) && age.first != kNever;
  if (older && !Difference(settings, entry).empty()) {
    for (const auto& [other, since] : settings.rows) {
      auto& held = members_.find(other.second)->second.services;
      held.erase(std::ranges::find(held, &service));
      displaced.emplace_back(other.second);
    }
    for (const auto& [key, rejected] : rejected_)
      if (rejected.services.contains(id)) displaced.push_back(key);  // it may agree with the new one
    settings.rows.clear();
  }
  if (settings.rows.empty()) {
    settings.protocol = entry.protocol;
    settings.routes = entry.routes;
    settings.sticky = entry.sticky;
    settings.since = kNever;
  }
  if (settings.rows.empty() || older) settings.holder = row.name;
  return service;
}

EndpointRow Agreement::Admit(const std::string& key, EndpointRow row, std::vector<std::string>& displaced) {
  rejected_.erase(key);
  const Nanos created = row.created_wall != 0 ? row.created_wall : kNever;
  std::optional<Rejected> rejected;
  for (ServiceEntry& entry : row.services) {
    const ServiceId id = ServiceIdOf(row, entry);
    Services::value_type& service = SettingsFor(id, {created, key}, row, entry, displaced);
    if (Difference(service.second, entry).empty()) {
      auto& [kept_key, member] = *members_.try_emplace(key, Member{created, {}}).first;
      service.second.since = std::min(service.second.since, created);
      entry.claimed_wall = service.second.since < created ? service.second.since : 0;
      if (service.second.rows.insert_or_assign({created, kept_key}, service.second.since).second) member.services.push_back(&service);
      continue;
    }
    if (!rejected) rejected = Rejected{created, {}, row};
    rejected->services.insert(id);
  }
  if (!rejected) return row;
  EndpointRow admitted = row;
  for (ServiceEntry& entry : admitted.services) {
    const ServiceId id = ServiceIdOf(row, entry);
    if (rejected->services.contains(id)) Refuse(services_.at(id), entry);
  }
  rejected_.insert_or_assign(key, std::move(*rejected));
  return admitted;
}

const EndpointRow* Agreement::Original(std::string_view key) const {
  auto rejected = rejected_.find(key);
  return rejected == rejected_.end() ? nullptr : &rejected->second.row;
}

void Agreement::Refuse(const Settings& settings, ServiceEntry& entry) {
  entry.problems.push_back(
      Cat("rejected: differs in ", Difference(settings, entry), " from container ", settings.holder));
  entry.ip = IpAddress();
  entry.port = 0;
}

std::vector<ServiceId> Agreement::Leave(std::string_view key) {
  std::vector<ServiceId> free;
  auto held = members_.find(key);
  if (held == members_.end()) return free;
  for (Services::value_type* service : held->second.services) {
    service->second.rows.erase({held->second.created, held->first});
    if (!service->second.rows.empty()) {
      left_.insert(service->first);
      continue;
    }
    free.push_back(service->first);
    services_.erase(free.back());
  }
  members_.erase(held);
  return free;
}

std::vector<std::string> Agreement::TakeHeirs() {
  std::vector<std::string> heirs;
  for (const ServiceId& id : std::exchange(left_, {})) {
    auto service = services_.find(id);
    if (service == services_.end()) continue;
    const auto& [oldest, since] = *service->second.rows.begin();
    if (since != service->second.since) heirs.emplace_back(oldest.second);
  }
  return heirs;
}

std::vector<EndpointRow> Agreement::Remove(std::string_view key) {
  if (auto at = rejected_.find(key); at != rejected_.end()) rejected_.erase(at);
  std::map<Age, const EndpointRow*> waiting;
  for (const ServiceId& id : Leave(key))
    for (const auto& [other, rejected] : rejected_)
      if (rejected.services.contains(id)) waiting.emplace(Age(rejected.created, other), &rejected.row);
  std::vector<EndpointRow> rows;
  for (const auto& [age, row] : waiting) rows.push_back(*row);
  return rows;
}

}  // namespace fairlead::discovery
