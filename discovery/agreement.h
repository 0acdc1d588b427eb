// Agreement: endpoints of one service must say the same of it (protocol, routes, cookie). The oldest one holds; a younger one
// that differs is shown as "rejected: differs in …" and takes no traffic until the holders are gone, so that a mistyped
// label on a new container never changes or drops what already serves. It does not matter in which order they are heard
// of: an agent that starts hears of all at once. Not thread-safe.
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
  // The row as it may be published: entries that differ from their service's lose their address and say why. It may be
  // older than those that held until now: `displaced` gets their keys, which are to be admitted anew.
  EndpointRow Admit(const std::string& key, EndpointRow row, std::vector<std::string>& displaced);
  // Forgets the row. Gives the rows, as first passed to Admit, to be admitted anew, oldest first.
  std::vector<EndpointRow> Remove(std::string_view key);
  // A row as first passed to Admit, where it was published otherwise; null: as it was published.
  const EndpointRow* Original(std::string_view key) const;

 private:
  using Age = std::pair<Nanos, std::string>;              // when it was made (kNever: not known), and its key
  struct Settings {
    std::string protocol;
    std::vector<RouteRule> routes;
    StickyCookie sticky;
    std::string holder;                       // the oldest container that says it, for the message
    std::set<Age> rows;                       // that agree
  };
  struct Member {
    Age age;
    std::set<ServiceId> services;
  };
  struct Rejected {
    Age age;
    std::set<ServiceId> services;
    EndpointRow row;
  };

  static void Refuse(const Settings& settings, ServiceEntry& entry);
  Settings& SettingsFor(const ServiceId& id, const Age& age, const EndpointRow& row, const ServiceEntry& entry,
                        std::vector<std::string>& displaced);
  std::vector<ServiceId> Leave(std::string_view key);  // gives the services that nobody holds any more

  std::map<ServiceId, Settings> services_;  // none without rows
  std::map<std::string, Member, std::less<>> members_;      // by key: where it agrees
  std::map<std::string, Rejected, std::less<>> rejected_;
};

}  // namespace fairlead::discovery
