#include "discovery/row.h"

#include <algorithm>

#include "base/strings.h"

namespace fairlead::discovery {

std::string KeyOf(const EndpointRow& row) {
  return Cat("endpoint/", row.node, "/", row.engine_id.empty() ? row.uid : row.engine_id);
}
std::string KeyOf(const LeaseRow& row) { 
  // A name holds one lease of each family.
  return Cat("lease/", row.network, "/", row.scope, "/", row.name, row.ip.is_v6() ? "/6" : "");
}
std::string KeyOf(const NodeRow& row) { return Cat("node/", row.name); }

ServiceId ServiceIdOf(const EndpointRow& row, const ServiceEntry& entry) {
  return {row.branch.empty() ? entry.project : Cat(row.branch, "/", entry.project), entry.service};
}

CheckedHealth JointHealth(const EndpointRow& row, const ServiceEntry& entry) {
  CheckedHealth engine{.state = row.health, .answered = true, .was_healthy = row.was_healthy, .reason = row.health_reason,
                       .since_wall = row.health_since_wall};
  switch (row.health) {
    case HealthState::kNone: case HealthState::kUnknown: return entry.health;
    case HealthState::kStarting:
      engine.reason = "the engine's HEALTHCHECK has not passed";
      return engine;
    case HealthState::kHealthy: return entry.health.state == HealthState::kNone ? engine : entry.health;
    case HealthState::kUnhealthy: break;
  }
  if (entry.health.state == HealthState::kStarting) return entry.health;
  if (entry.health.state != HealthState::kUnhealthy) return engine;
  CheckedHealth both = entry.health;
  both.was_healthy = both.was_healthy && engine.was_healthy;
  both.since_wall = std::max(both.since_wall, engine.since_wall);
  return both;
}

Nanos CheckInterval(const EndpointRow& row, const ServiceEntry& entry) {
  return std::max(row.health == HealthState::kNone ? 0 : row.health_interval, entry.check.kind == CheckKind::kNone ? 0 : entry.check.interval);
}

std::string_view HealthName(HealthState health) {
  switch (health) {
    case HealthState::kNone: return "none";
    case HealthState::kStarting: return "starting";
    case HealthState::kHealthy: return "healthy";
    case HealthState::kUnhealthy: return "unhealthy";
    case HealthState::kUnknown: return "unknown";
  }
  return "unknown";
}

namespace {

constexpr size_t kPerField = 4, kPerEntry = 48;

size_t BytesOf(const std::vector<std::string>& texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size() + kPerField;
  return bytes;
}

size_t BytesOf(const ServiceEntry& entry) {
  size_t bytes = kPerEntry + entry.service.size() + entry.project.size() + entry.address_rule.size() + BytesOf(entry.problems) +
                 entry.check.target.size() + entry.check.host.size() + entry.health.reason.size();
  for (const Port& port : entry.ports) bytes += port.name.size() + port.protocol.size() + kPerEntry;
  for (const RouteRule& route : entry.routes)
    bytes += kPerEntry + route.path_prefix.size() + route.rule.size() + BytesOf(route.hosts) + BytesOf(route.listeners) +
             BytesOf(route.middlewares);
  return bytes;
}

size_t BytesOf(const EndpointRow& row) {
  size_t bytes = 2 * kPerEntry + BytesOf(row.aliases) + row.published_ports.size() * kPerEntry;
  for (const std::string* text : {&row.uid, &row.node, &row.engine, &row.engine_id, &row.name, &row.project, &row.release,
                                  &row.branch, &row.env, &row.stop_signal, &row.health_reason})
    bytes += text->size() + kPerField;
  for (const Address& address : row.addresses) bytes += kPerEntry + address.network.size();
  for (const ServiceEntry& entry : row.services) bytes += BytesOf(entry);
  for (const Middleware& middleware : row.middlewares) {
    bytes += kPerEntry + middleware.id.size() + middleware.kind.size();
    for (const auto& [key, value] : middleware.options) bytes += 2 * kPerField + key.size() + value.size();
  }
  return bytes;
}

size_t BytesOf(const LeaseRow& row) {
  return 2 * kPerEntry + row.network.size() + row.scope.size() + row.name.size() + row.pool.size() + row.project.size();
}

size_t BytesOf(const NodeRow& row) { return kPerEntry * (1 + row.addresses.size()) + row.name.size() + row.site.size(); }

}  // namespace

size_t ApproximateBytes(const Row& row) {
  return kPerEntry + row.key.size() + row.node.size() + std::visit([](const auto& body) { return BytesOf(body); }, row.body);
}

}  // namespace fairlead::discovery
