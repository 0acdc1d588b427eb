#include "lb/branches.h"

#include "base/strings.h"
#include "discovery/names.h"

namespace fairlead::lb {
namespace {

// Who answers at the branch's bare name; "": several, and none of them is `web`.
std::string BareService(const std::map<std::string, std::string>& names) {
  if (auto web = names.find("web"); web != names.end()) return web->second;
  return names.size() == 1 ? names.begin()->second : "";
}

}  // namespace

std::string ServiceNameOf(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry) {
  if (row.branch.empty()) return Cat(entry.service, ".", entry.project);
  return Cat(discovery::NameLabel(Cat(entry.service, "--", row.branch)), ".", entry.project);
}

Branches::Hosts Branches::Set(const std::string& row_key, const discovery::EndpointRow* row) {
  std::set<Id> touched;
  Forget(row_key, touched);
  if (row != nullptr && !row->branch.empty() && !zone_.empty()) {
    for (const discovery::ServiceEntry& entry : row->services) {
      if (!entry.published()) continue;
      const Id id{row->branch, discovery::NameLabel(entry.project)};
      Branch& branch = branches_[id];
      branch.services[entry.service].insert(row_key);
      branch.names[entry.service] = ServiceNameOf(*row, entry);
      rows_[row_key].emplace(id, entry.service);
      touched.insert(id);
    }
  }
  Hosts changed;
  for (const Id& id : touched) {
    Branch& branch = branches_[id];
    Hosts now = HostsOf(id, branch);
    for (const auto& [host, service] : branch.hosts)
      if (!now.contains(host)) changed[host] = "";
    for (const auto& [host, service] : now)
      if (auto was = branch.hosts.find(host); was == branch.hosts.end() || was->second != service) changed[host] = service;
    branch.hosts = std::move(now);
    if (branch.services.empty()) branches_.erase(id);
  }
  return changed;
}

void Branches::Forget(const std::string& row_key, std::set<Id>& touched) {
  auto row = rows_.find(row_key);
  if (row == rows_.end()) return;
  for (const auto& [id, service] : row->second) {
    Branch& branch = branches_[id];
    std::set<std::string>& keys = branch.services[service];
    keys.erase(row_key);
    if (keys.empty()) {
      branch.services.erase(service);
      branch.names.erase(service);
    }
    touched.insert(id);
  }
  rows_.erase(row);
}

// As the name server has them: discovery/dns/row_names.cc.
Branches::Hosts Branches::HostsOf(const Id& id, const Branch& branch) const {
  const auto& [name, project] = id;
  const std::string dotted = Cat(name, ".", project, ".", zone_), flat = Cat(name, "--", project);
  Hosts hosts;
  if (std::string bare = BareService(branch.names); !bare.empty())
    for (const std::string& host : {dotted, Cat("*.", dotted), Cat(discovery::NameLabel(flat), ".", zone_)}) hosts[host] = bare;
  for (const auto& [service, full] : branch.names) {
    const std::string label = discovery::NameLabel(service);
    hosts[Cat(label, ".", dotted)] = full;
    hosts[Cat(discovery::NameLabel(Cat(label, "--", flat)), ".", zone_)] = full;
  }
  return hosts;
}

}  // namespace fairlead::lb
