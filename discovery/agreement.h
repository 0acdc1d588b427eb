// Agreement: endpoints of one service must say the same of it (protocol, routes). The one that said it first holds; a
// later one that differs is shown as "rejected: differs in …" and takes no traffic until the holders are gone, so that
// a mistyped label on a new container never changes or drops what already serves. Not thread-safe.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "discovery/row.h"

namespace fairlead::discovery {

class Agreement {
 public:
  // The row as it may be published: entries that differ from their service's lose their address and say why.
  EndpointRow Admit(const std::string& key, EndpointRow row);
  // Forgets the row. Gives the rows, as first passed to Admit, to be admitted anew, earliest first.
  std::vector<EndpointRow> Remove(std::string_view key);

 private:
  using ServiceId = std::pair<std::string, std::string>;  // project, service
  struct Settings {
    std::string protocol;
    std::vector<RouteRule> routes;
    std::string holder;                       // container that said it first, for the message
    std::set<std::string, std::less<>> keys;  // rows that agree
  };
  struct Rejected {
    uint64_t order = 0;
    std::set<ServiceId> services;
    EndpointRow row;
  };

  static void Refuse(const Settings& settings, ServiceEntry& entry);
  std::vector<ServiceId> Leave(std::string_view key);  // gives the services that nobody holds any more

  std::map<ServiceId, Settings> services_;
  std::map<std::string, std::vector<ServiceId>, std::less<>> services_of_;  // by key: where it agrees
  std::map<std::string, Rejected, std::less<>> rejected_;
  uint64_t next_order_ = 0;
};

}  // namespace fairlead::discovery
