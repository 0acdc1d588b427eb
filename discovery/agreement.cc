#include "discovery/agreement.h"

#include <algorithm>
#include <optional>

#include "base/strings.h"

namespace fairlead::discovery {

namespace {

// What the entry says otherwise than the service: "protocol", "host", "path", "listener", or nothing.
template <class Settings>
std::string_view Difference(const Settings& settings, const ServiceEntry& entry) {
  if (entry.protocol != settings.protocol) return "protocol";
  if (entry.routes == settings.routes) return "";
  auto same = [&](auto member) {
    return std::equal(entry.routes.begin(), entry.routes.end(), settings.routes.begin(), settings.routes.end(),
                      [&](const RouteRule& a, const RouteRule& b) { return a.*member == b.*member; });
  };
  if (!same(&RouteRule::hosts)) return "host";
  if (!same(&RouteRule::path_prefix)) return "path";
  return "listener";
}

}  // namespace

EndpointRow Agreement::Admit(const std::string& key, EndpointRow row) {
  rejected_.erase(key);
  std::optional<Rejected> rejected;
  for (ServiceEntry& entry : row.services) {
    const ServiceId id{entry.project, entry.service};
    auto [at, is_new] = services_.try_emplace(id);
    Settings& settings = at->second;
    if (is_new) {
      settings.protocol = entry.protocol;
      settings.routes = entry.routes;
      settings.holder = row.name;
    }
    const std::string_view difference = Difference(settings, entry);
    if (difference.empty()) {
      if (settings.keys.insert(key).second) services_of_[key].push_back(id);
      continue;
    }
    if (!rejected) rejected = Rejected{next_order_++, {}, row};
    rejected->services.insert(id);
  }
  if (!rejected) return row;
  EndpointRow admitted = row;
  for (ServiceEntry& entry : admitted.services) {
    const ServiceId id{entry.project, entry.service};
    if (rejected->services.contains(id)) Refuse(services_.at(id), entry);
  }
  rejected_.insert_or_assign(key, std::move(*rejected));
  return admitted;
}

void Agreement::Refuse(const Settings& settings, ServiceEntry& entry) {
  entry.problems.push_back(
      Cat("rejected: differs in ", Difference(settings, entry), " from container ", settings.holder));
  entry.ip = IpAddress();
  entry.port = 0;
}

std::vector<Agreement::ServiceId> Agreement::Leave(std::string_view key) {
  std::vector<ServiceId> free;
  auto held = services_of_.find(key);
  if (held == services_of_.end()) return free;
  for (const ServiceId& id : held->second) {
    auto at = services_.find(id);
    at->second.keys.erase(held->first);
    if (!at->second.keys.empty()) continue;
    services_.erase(at);
    free.push_back(id);
  }
  services_of_.erase(held);
  return free;
}

std::vector<EndpointRow> Agreement::Remove(std::string_view key) {
  if (auto at = rejected_.find(key); at != rejected_.end()) rejected_.erase(at);
  std::vector<Rejected> waiting;
  for (const ServiceId& id : Leave(key))
    for (const auto& [rejected_key, rejected] : rejected_)
      if (rejected.services.contains(id)) waiting.push_back(rejected);
  std::sort(waiting.begin(), waiting.end(), [](const Rejected& a, const Rejected& b) { return a.order < b.order; });
  std::vector<EndpointRow> rows;
  for (Rejected& rejected : waiting)
    if (rows.empty() || rows.back() != rejected.row) rows.push_back(std::move(rejected.row));
  return rows;
}

}  // namespace fairlead::discovery
