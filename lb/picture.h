// Picture: what the control thread knows of services, endpoints and routes, from the file and from catalog rows. It
// turns every change into the ChangeSet that brings the workers up to date, and explains routes to people.
//
// Endpoints of the file and of rows with one service name add up; settings of the file win. A host and path belong to
// the service that claimed them first, the file before all rows; a later claim is kept and shown, and takes over when
// the first one goes.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "discovery/row.h"
#include "lb/change_set.h"
#include "lb/config.h"

namespace fairlead::lb {

class Picture {
 public:
  explicit Picture(Config config);

  ChangeSet All() const;  // for a worker that knows nothing
  ChangeSet Apply(const std::vector<discovery::Change>& changes);
  // A new file: whole. Listeners are not part of it (they are opened and closed elsewhere).
  ChangeSet Reload(Config config);

  struct EndpointInfo {
    EndpointView view;
    bool ready = false;
    std::string source;        // "file", or the node whose container it is
    std::string why_not;       // when not ready
    std::string protocol = "http";
  };
  struct RouteInfo {
    std::string host, path_prefix, service;
    std::string source;        // "file", "label", "zone"
    bool shadowed = false;     // another service claimed host and path earlier
    std::vector<std::string> listeners;
  };
  std::vector<std::string> Services() const;
  std::vector<EndpointInfo> Endpoints(std::string_view service) const;
  std::vector<RouteInfo> Routes() const;
  const Config& config() const { return config_; }

 private:
  struct Service {
    const ServiceSpec* file = nullptr;
    std::map<std::string, EndpointInfo> from_rows;  // by row key and entry
  };
  struct Claim {
    std::string path_prefix;
    std::string service;
    std::string source;
    std::vector<std::string> listeners;
    std::string row;           // "" of the file
    friend bool operator==(const Claim&, const Claim&) = default;
  };
  struct Contribution {        // of one row
    std::set<std::string> services;
    std::set<std::string> hosts;
  };
  struct Dirty {
    std::set<std::string> services, hosts;
  };

  void AddFile(Dirty& dirty);
  void RemoveFile(Dirty& dirty);
  void AddRow(const std::string& key, const discovery::EndpointRow& row, Dirty& dirty);
  void RemoveRow(const std::string& key, Dirty& dirty);
  void ClaimHost(const std::string& host, Claim claim, Dirty& dirty);
  void SyncZoneHost(const std::string& service, Dirty& dirty);
  std::string ZoneHost(const std::string& service) const;
  // What the file says a service speaks, else what its first container does: "http" or "tcp".
  std::string_view ProtocolOf(std::string_view service) const;
  void SyncProtocol(const std::string& service, std::string_view before, Dirty& dirty);
  // The named listeners, or all, that can carry the service: HTTP has its own, bytes are routed by name where TLS
  // passes through.
  uint64_t ListenerMask(const std::vector<std::string>& names, std::string_view service) const;
  ChangeSet Finish(Dirty dirty);  // renders what changed and forgets what is empty
  ChangeSet Render(const Dirty& dirty) const;
  ClusterChange RenderService(const std::string& name) const;
  HostChange RenderHost(const std::string& host) const;

  Config config_;
  std::map<std::string, Service, std::less<>> services_;
  std::map<std::string, std::vector<Claim>> hosts_;      // claims in the order they came, the file's first
  std::map<std::string, Contribution> rows_;
};

}  // namespace fairlead::lb
