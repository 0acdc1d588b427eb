// Agreement: endpoints of one service must say the same of it (protocol, routes, cookie). The oldest one holds; a younger one
// that differs is shown as "rejected: differs in …" and takes no traffic until the holders are gone, so that a mistyped
// label on a new container never changes or drops what already serves. It does not matter in which order they are heard
// of: an agent that starts hears of all at once. What a service says is as old as the oldest container that ever said so,
// as long as one does: those that are published say how old (ServiceEntry::claimed_wall). Not thread-safe.
#pragma once

#include <absl/container/inlined_vector.h>

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
  // Rows to be admitted anew, as they are published, since the one is gone whose age was their service's.
  std::vector<std::string> TakeHeirs();
  // A row as first passed to Admit, where it was published otherwise; null: as it was published.
  const EndpointRow* Original(std::string_view key) const;

 private:
  // When it was made (kNever: not known), and its key, as members_ holds it.
  using Age = std::pair<Nanos, std::string_view>;
  struct Settings {
    std::string protocol;
    std::vector<RouteRule> routes;
    StickyCookie sticky;
    std::string holder;                       // the oldest container that says it, for the message
    Nanos since = kNever;                     // how old it is
    std::map<Age, Nanos> rows;                // that agree; how old it is by what they were published with
  };
  using Services = std::map<ServiceId, Settings>;
  struct Member {
    Nanos created;
    absl::InlinedVector<Services::value_type*, 1> services;  // most have one
  };
  struct Rejected {
    Nanos created;
    std::set<ServiceId> services;
    EndpointRow row;
  };

  static void Refuse(const Settings& settings, ServiceEntry& entry);
  Services::value_type& SettingsFor(const ServiceId& id, const Age& age, const EndpointRow& row, const ServiceEntry& entry,
                                    std::vector<std::string>& displaced);
  std::vector<ServiceId> Leave(std::string_view key);  // gives the services that nobody holds any more

  Services services_;                                       // none without rows
  std::map<std::string, Member, std::less<>> members_;      // by key: where it agrees
  std::map<std::string, Rejected, std::less<>> rejected_;
  std::set<ServiceId> left_;                                // by a row, since heirs were taken
};

}  // namespace fairlead::discovery
