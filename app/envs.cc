#include "app/envs.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "app/wall_time.h"

namespace fairlead::app {
namespace {

using nlohmann::json;

struct Env {
  std::set<std::string> services, nodes, containers;
  std::string host;                  // the shortest that leads there: the bare name, where there is one
  size_t ready = 0, total = 0;
  Nanos since_wall = 0;              // of the container whose state is the oldest
};

// Service of a branch → the host that people type.
std::map<std::string, std::string> HostsOfBranches(const lb::Picture& picture) {
  std::map<std::string, std::string> hosts;
  for (const lb::Picture::RouteInfo& route : picture.Routes()) {
    if (route.source != "branch" || route.host.starts_with("*.") || route.host.find("--") != std::string::npos) continue;
    std::string& host = hosts[route.service];
    if (host.empty() || route.host.size() < host.size()) host = route.host;
  }
  return hosts;
}

void Count(const EndpointFact& fact, Env& env) {
  env.services.insert(fact.entry->service);
  env.nodes.insert(fact.row->node);
  env.containers.insert(fact.row->name);
  env.ready += fact.info.ready;
  env.total++;
  if (env.since_wall == 0 || fact.row->since_wall < env.since_wall) env.since_wall = fact.row->since_wall;
}

}  // namespace

json EnvsJson(const AgentView& view) {
  std::map<std::pair<std::string, std::string>, Env> envs;  // by project and branch
  const std::map<std::string, std::string> hosts = HostsOfBranches(view.picture());
  for (const std::string& service : view.services()) {
    for (const EndpointFact& fact : view.Endpoints(service)) {
      if (fact.row == nullptr || fact.row->branch.empty()) continue;
      Env& env = envs[{fact.entry->project, fact.row->branch}];
      Count(fact, env);
      auto host = hosts.find(service);
      if (host != hosts.end() && (env.host.empty() || host->second.size() < env.host.size())) env.host = host->second;
    }
  }
  json list = json::array();
  for (const auto& [id, env] : envs)
    list.push_back({{"branch", id.second}, {"project", id.first}, {"host", env.host.empty() ? json(nullptr) : json(env.host)},
                    {"ready", env.ready}, {"total", env.total}, {"services", env.services}, {"containers", env.containers},
                    {"nodes", env.nodes}, {"since", env.since_wall == 0 ? json(nullptr) : json(FormatTime(env.since_wall))}});
  return list;
}

}  // namespace fairlead::app
