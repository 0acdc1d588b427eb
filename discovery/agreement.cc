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
Agreement::Settings& Agreement::SettingsFor(const ServiceId& id, const Age& age, const EndpointRow& row, const ServiceEntry& entry,
                                            std::vector<std::string>& displaced) {
  Settings& settings = services_[id];
  const bool older = !settings.rows.empty() && age < *settings.rows.begin() && age.first != kNever;
  if (older && !Difference(settings, entry).empty()) {
    for (const Age& other : settings.rows) {
      members_.at(other.second).services.erase(id);
      displaced.push_back(other.second);
    }
    for (const auto& [key, rejected] : rejected_)
      if (rejected.services.contains(id)) displaced.push_back(key);  // it may agree with the new one
    settings.rows.clear();
  }
  if (settings.rows.empty()) {
    settings.protocol = entry.protocol;
    settings.routes = entry.routes;
    settings.sticky = entry.sticky;
  }
  if (settings.rows.empty() || older) settings.holder = row.name;
  return settings;
}

EndpointRow Agreement::Admit(const std::string& key, EndpointRow row, std::vector<std::string>& displaced) {
  rejected_.erase(key);
  const Age age(row.created_wall != 0 ? row.created_wall : kNever, key);
  std::optional<Rejected> rejected;
  for (const ServiceEntry& entry : row.services) {
    const ServiceId id = ServiceIdOf(row, entry);
    Settings& settings = SettingsFor(id, age, row, entry, displaced);
    if (Difference(settings, entry).empty()) {
      settings.rows.insert(age);
      members_.try_emplace(key, Member{age, {}}).first->second.services.insert(id);
      continue;
    }
    if (!rejected) rejected = Rejected{age, {}, row};
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
  for (const ServiceId& id : held->second.services) {
    auto at = services_.find(id);
    at->second.rows.erase(held->second.age);
    if (!at->second.rows.empty()) continue;
    services_.erase(at);
    free.push_back(id);
  }
  members_.erase(held);
  return free;
}

std::vector<EndpointRow> Agreement::Remove(std::string_view key) {
  if (auto at = rejected_.find(key); at != rejected_.end()) rejected_.erase(at);
  std::vector<const Rejected*> waiting;
  for (const ServiceId& id : Leave(key))
    for (const auto& [rejected_key, rejected] : rejected_)
      if (rejected.services.contains(id)) waiting.push_back(&rejected);
  std::ranges::sort(waiting, {}, &Rejected::age);
  std::vector<EndpointRow> rows;
  for (const Rejected* rejected : waiting)
    if (rows.empty() || rows.back() != rejected->row) rows.push_back(rejected->row);
  return rows;
}

}  // namespace fairlead::discovery
