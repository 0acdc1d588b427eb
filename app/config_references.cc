#include "app/config_references.h"

#include <algorithm>
#include <map>
#include <set>

#include "app/config_middlewares.h"
#include "base/dns/host_book.h"
#include "base/strings.h"
#include "discovery/rule.h"

namespace fairlead::app {
namespace {

const lb::ServiceSpec* ServiceNamed(const Config& config, std::string_view name) {
  auto found = std::ranges::find(config.lb.services, name, &lb::ServiceSpec::name);
  return found == config.lb.services.end() ? nullptr : &*found;
}

// Without agents the file is all there is: what is not in it never comes.
void CheckWhatTheFileLacks(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  if (!config.lb_agents.empty()) return;
  auto missing = [&](const std::string& who, const std::string& service) {
    if (!service.empty() && ServiceNamed(config, service) == nullptr)
      faults.push_back(Cat(file, ": ", who, ": there is no service ", service, ", and no agent that could tell of one; add ",
                           "it to services: or the agent to lb.agents"));
  };
  for (const lb::RouteSpec& route : config.lb.routes)
    missing(Cat("route of ", route.rule.empty() ? Join(route.hosts, ", ") : route.rule), route.service);
  bool bytes = std::ranges::any_of(config.lb.services, [](const lb::ServiceSpec& service) {
    return service.settings.protocol == lb::ServiceProtocol::kTcp;
  });
  for (const lb::ListenerSpec& listener : config.lb.listeners) {
    missing(Cat("listener ", listener.name), listener.service);
    if (listener.protocol == lb::ListenerProtocol::kTls && !bytes)
      faults.push_back(Cat(file, ": listener ", listener.name, ": no service has protocol: tcp, so every connection would be ",
                           "refused; add one to services: and its hosts to routes:"));
  }
}

// What two routes with one host and path, or with one rule, have in common: the workers take the first.
std::vector<std::pair<std::string, std::string>> RequestsOf(const lb::RouteSpec& route) {
  std::vector<std::pair<std::string, std::string>> requests;
  if (auto rule = discovery::ParseRule(route.rule); rule.ok()) {
    const int64_t priority = route.priority != 0 ? route.priority : static_cast<int64_t>(route.rule.size());
    requests.emplace_back(discovery::PrintRule(rule->rule), Cat("priority ", priority));
  }
  for (const std::string& host : route.hosts)
    requests.emplace_back(host, Cat("path_prefix ", route.path_prefix, route.priority != 0 ? Cat(" and priority ", route.priority) : ""));
  return requests;
}

void CheckRepeatedRoutes(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  auto meet = [](const lb::RouteSpec& a, const lb::RouteSpec& b) {
    if (a.listeners.empty() || b.listeners.empty()) return true;
    return std::ranges::find_first_of(a.listeners, b.listeners) != a.listeners.end();
  };
  auto protocol = [&](const lb::RouteSpec& route) {  // HTTP and bytes go by listeners of their own
    const lb::ServiceSpec* service = ServiceNamed(config, route.service);
    return service == nullptr ? lb::ServiceProtocol::kHttp : service->settings.protocol;
  };
  std::map<std::pair<std::string, std::string>, std::vector<const lb::RouteSpec*>> seen;
  for (const lb::RouteSpec& route : config.lb.routes)
    for (const auto& requests : RequestsOf(route)) {
      auto& others = seen[requests];
      for (const lb::RouteSpec* other : others)
        if (meet(*other, route) && protocol(*other) == protocol(route)) {
          faults.push_back(Cat(file, ": route to ", route.service, ": ", requests.first, " with ", requests.second, " goes to ",
                                other->service, " already; take one of them out, or give them other listeners"));
          break;
        }
      others.push_back(&route);
    }
}

// Bytes and HTTP do not mix. What services of the catalog speak is seen when they come.
void CheckProtocols(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  for (const lb::ListenerSpec& listener : config.lb.listeners) {
    const lb::ServiceSpec* service = ServiceNamed(config, listener.service);
    if (listener.protocol == lb::ListenerProtocol::kTcp && service != nullptr &&
        service->settings.protocol != lb::ServiceProtocol::kTcp)
      faults.push_back(Cat(file, ": listener ", listener.name, " passes bytes on, but service ", service->name,
                           " speaks http; give the service protocol: tcp, or the listener protocol: http and a route"));
  }
  for (const lb::RouteSpec& route : config.lb.routes) {
    const lb::ServiceSpec* service = ServiceNamed(config, route.service);
    bool bytes = service != nullptr && service->settings.protocol == lb::ServiceProtocol::kTcp;
    auto rule = discovery::ParseRule(route.rule);
    if (service != nullptr && rule.ok() &&
        rule->protocol == (bytes ? discovery::RuleProtocol::kHttp : discovery::RuleProtocol::kTcp))
      faults.push_back(Cat(file, ": route to ", route.service, ": rule: the service speaks ", bytes ? "tcp: use HostSNI" : "http: use Host"));
    if (bytes && route.path_prefix != "/")
      faults.push_back(Cat(file, ": route to ", route.service, ": path_prefix ", route.path_prefix,
                           ": a tcp service has no paths; leave it out"));
    for (const lb::ListenerSpec& listener : config.lb.listeners) {
      if (std::ranges::find(route.listeners, listener.name) == route.listeners.end()) continue;
      std::string start = Cat(file, ": route to ", route.service, ": listener ", listener.name);
      bool tls = listener.protocol == lb::ListenerProtocol::kTls;
      if (listener.protocol == lb::ListenerProtocol::kTcp)
        faults.push_back(Cat(start, " has protocol tcp and no routes; it takes its service from service:"));
      else if (tls && service != nullptr && !bytes)
        faults.push_back(Cat(start, " passes TLS through untouched; the service needs protocol: tcp"));
      else if (!tls && bytes)
        faults.push_back(Cat(start, " speaks HTTP, the service tcp; route it at a tls listener, or give it a tcp "
                                    "listener with service:"));
    }
  }
}

void CheckHostNames(const Config& config, std::string_view file, std::vector<std::string>& faults) {
  std::set<std::string> names;
  for (const lb::ServiceSpec& service : config.lb.services)
    for (const lb::StaticEndpoint& endpoint : service.endpoints)
      if (endpoint.name.is_name()) names.insert(endpoint.name.host);
  if (names.size() > dns::HostBook::kMaxHosts)
    faults.push_back(Cat(file, ": services: ", names.size(), " host names as endpoints; this version follows ", dns::HostBook::kMaxHosts,
                         ": give addresses, or register them with agents"));
}

}  // namespace

void CheckReferences(const Config& config, ConfigSource& source) {
  auto fault = [&](std::string text) { source.faults.push_back(std::move(text)); };
  std::vector<std::pair<std::string, std::vector<std::string>>> references;
  for (const lb::RouteSpec& route : config.lb.routes) references.emplace_back(Cat("route to ", route.service), route.middlewares);
  for (const std::string& missing : MissingMiddlewares(config.lb.middlewares, references)) fault(Cat(source.file, ": ", missing));
  for (const NetworkConfig& network : config.networks) {
    bool found = std::ranges::any_of(config.pools, [&](const auto& pool) { return pool.name == network.pool; });
    if (!found && !network.pool.empty())
      fault(Cat(source.file, ": network ", network.name, ": there is no pool ", network.pool));
  }
  for (const lb::RouteSpec& route : config.lb.routes)
    for (const std::string& name : route.listeners)
      if (std::ranges::none_of(config.lb.listeners, [&](const auto& listener) { return listener.name == name; }))
        fault(Cat(source.file, ": route to ", route.service, ": there is no listener ", name));
  CheckProtocols(config, source.file, source.faults);
  CheckWhatTheFileLacks(config, source.file, source.faults);
  CheckRepeatedRoutes(config, source.file, source.faults);
  CheckHostNames(config, source.file, source.faults);
}

}  // namespace fairlead::app
