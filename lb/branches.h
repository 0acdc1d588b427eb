// Branches: hosts of branch environments (contract, "Names"), from the rows of containers with label fairlead.branch. Each
// service of a branch has its own, and the branch's bare name leads to service `web`, or to the only one.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "discovery/row.h"

namespace fairlead::lb {

// SERVICE.PROJECT; of a branch SERVICE--BRANCH.PROJECT, so that its containers are nobody else's endpoints.
std::string ServiceNameOf(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry);

class Branches {
 public:
  using Hosts = std::map<std::string, std::string>;  // host → service; "": nobody's any more

  explicit Branches(std::string zone) : zone_(std::move(zone)) {}

  // What the row publishes of a branch, anew; null: it is gone. Gives the hosts that changed.
  Hosts Set(const std::string& row_key, const discovery::EndpointRow* row);

 private:
  using Id = std::pair<std::string, std::string>;    // branch, project
  struct Branch {
    std::map<std::string, std::set<std::string>> services;  // published ones: keys of rows
    std::map<std::string, std::string> names;                // service → SERVICE--BRANCH.PROJECT
    Hosts hosts;
  };
  void Forget(const std::string& row_key, std::set<Id>& touched);
  Hosts HostsOf(const Id& id, const Branch& branch) const;

  std::string zone_;                                 // "": branches have no names
  std::map<Id, Branch> branches_;
  std::map<std::string, std::set<std::pair<Id, std::string>>> rows_;  // what each row publishes
};

}  // namespace fairlead::lb
