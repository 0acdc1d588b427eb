// Picture: what the control thread knows of services, endpoints and routes, from the file and from catalog rows. It
// turns every change into the ChangeSet that brings the workers up to date, and explains routes to people.
//
// Endpoints of the file and of rows with one service name add up; settings of the file win. A host and path, or a rule,
// belongs to the service that has the oldest claim, the file before all rows; a younger claim of the same priority is kept
// and shown, and takes over when the first one goes. A claim is as old as the oldest container that ever made it, as long
// as one does; rows say so (ServiceEntry::claimed_wall), so that balancers agree whenever they began to listen.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "discovery/row.h"
#include "lb/branches.h"
#include "lb/change_set.h"
#include "lb/config.h"
#include "lb/dynamic_ports.h"
#include "lb/middleware_book.h"
#include "lb/route_rule.h"
#include "lb/verdicts.h"

namespace fairlead::lb {

class Picture {
 public:
  // `verdicts`, where there are any, go before what rows say of their health.
  // `reads_users_files`: of basicauth; without, such a guard lets nobody in.
  explicit Picture(Config config, const Verdicts* verdicts = nullptr, bool reads_users_files = false);

  ChangeSet All() const;  // for a worker that knows nothing
  ChangeSet Apply(const std::vector<discovery::Change>& changes);
  void Learn(const std::vector<discovery::Change>& changes);  // the same where there are no workers: for those who ask
  // A new file: whole. Listeners are not part of it (they are opened and closed elsewhere).
  ChangeSet Reload(Config config);
  // Other endpoints of a service of the file; nothing where the file has no such service.
  ChangeSet SetFileEndpoints(std::string_view service, std::vector<StaticEndpoint> endpoints);
  // The verdict on one of its endpoints is another one.
  ChangeSet Refresh(const std::string& service);

  struct EndpointInfo {
    std::shared_ptr<const EndpointView> view;
    bool ready = false;
    std::string source;        // "file", or the node whose container it is
    std::string why_not;       // when not ready
    std::string note;          // what there is to say of it besides: of its host name
    discovery::CheckedHealth health;  // of the checks that count
    discovery::HealthCheck check;
    Nanos interval = 0;        // of its checks
    uint32_t fail_open_below = 0;  // percent, as its row says
    std::string checked_by;    // "agent", "engine", "balancer"; "": nobody
    bool fails_open = false;   // ready although its check failed (discovery/fail_open.h)
    std::string protocol = "http";
    std::shared_ptr<const discovery::StickyCookie> sticky = {};  // as its container has it; null: it has none
    uint16_t listen = 0;       // TCP port that its label opens, and why it does not
    std::string listen_fault = {};
  };
  // A route as it stands in the table; of a rule with several hosts one for each.
  struct RouteInfo {
    std::string host, path_prefix, service;
    std::string source;        // "file", "label", "branch", "zone"
    std::vector<std::string> listeners;
    std::string rule;          // as written; "": of hosts and path
    int64_t priority = 0;
    std::string shadowed_by;   // service whose route here always goes first; "": none
    std::string fault;         // why it is not in use: "at byte 6: expected …"; then host may be ""
    std::shared_ptr<const discovery::Condition> condition;
    std::vector<std::string> middlewares = {};  // references in order
    ResolvedMiddlewares resolved = {};          // what they come to; its fault: every request gets 503
    bool shadowed() const { return !shadowed_by.empty(); }
  };
  std::vector<std::string> Services() const;
  std::vector<EndpointInfo> Endpoints(std::string_view service) const;
  std::vector<RouteInfo> Routes() const;
  std::vector<MiddlewareBook::Info> Middlewares() const { return middlewares_.List(); }
  const Config& config() const { return config_; }
  DynamicPorts& ports() { return ports_; }

 private:
  using RowPart = std::pair<std::string_view, size_t>;  // its key, as rows_ holds it, and which of the row's services
  struct Told {  // to workers, as it was last
    ServiceSettings settings;
    std::vector<std::shared_ptr<const EndpointView>> endpoints;
  };
  struct Service {
    const ServiceSpec* file = nullptr;
    std::vector<EndpointInfo> of_file;
    std::map<RowPart, EndpointInfo> from_rows;
    std::optional<Told> told;
  };
  // How an endpoint stands among those of its service.
  struct Judged {
    const EndpointInfo* info;
    bool other_protocol = false;     // than its service's
    const discovery::CheckedHealth* health = nullptr;  // of the checks that count
    bool by_balancer = false;        // whose they are
    bool ready = false, fails_open = false;
  };
  // Since when its container is, by wall time, and that one's key. The file and the zone are before all, branches behind.
  using Age = std::pair<Nanos, std::string>;
  static constexpr Nanos kOfFile = -2, kOfZone = -1, kNotKnown = kNever - 1, kOfBranch = kNever;
  // What a service wants of one host: a path, or its rule's place there. Rules without a place stand at host "".
  struct Claim {
    std::string path_prefix;
    std::string service;
    std::string source;
    std::vector<std::string> listeners;
    int64_t priority = 0;
    std::string rule;                    // as written
    std::shared_ptr<const PlacedRule> placed;
    std::shared_ptr<const discovery::Condition> condition;
    std::vector<std::string> middlewares;
    std::set<std::string> rows;          // that say so; none of file, zone and branch
    Age age;
    bool Says(const Claim& other) const; // the same, whoever says it
  };
  using Claims = std::vector<std::pair<std::string, Claim>>;  // with their hosts
  struct Contribution {                  // of one row
    std::vector<std::string> services;
    std::vector<std::string> hosts;
  };
  struct Dirty {
    std::set<std::string> services, hosts;
  };

  void AddFile(Dirty& dirty);
  void RemoveFile(Dirty& dirty);
  void SetRow(const std::string& key, const discovery::EndpointRow* row, Dirty& dirty);  // null: removed
  void SetEndpoints(const std::string& key, const discovery::EndpointRow* row, Contribution& contribution, Dirty& dirty);
  void SetClaims(const std::string& key, const discovery::EndpointRow* row, Contribution& contribution, Dirty& dirty);
  void AddClaims(const std::string& rule, const std::vector<std::string>& hosts, Claim claim, Claims& out);
  void ClaimHost(const std::string& host, Claim claim, Dirty& dirty);
  static void Place(std::vector<Claim>& claims, Claim claim);  // by age
  void SetBranch(const std::string& key, const discovery::EndpointRow* row, Dirty& dirty);
  // Takes the claims of a host out for which gone(claim) holds. Gives how many.
  template <class Gone>
  size_t Unclaim(const std::string& host, std::vector<Claim>& claims, Gone gone);
  void NoteMiddlewares(const MiddlewareBook::Ids& changed, Dirty& dirty) const;
  ResolvedMiddlewares Resolved(const Claim& claim) const;
  void SyncZoneHost(const std::string& service, Dirty& dirty);
  std::string ZoneHost(const std::string& service) const;
  // What the file says a service speaks, else what its first container does: "http" or "tcp".
  std::string_view ProtocolOf(std::string_view service) const;
  void SyncProtocol(const std::string& service, std::string_view before, Dirty& dirty);
  // The named listeners, or all, that can carry the service: HTTP has its own, bytes are routed by name where TLS
  // passes through.
  uint64_t ListenerMask(const std::vector<std::string>& names, std::string_view service) const;
  std::string FaultOf(const Claim& claim) const;
  // Of claims of the same requests at one host, oldest first: the one that always goes before claims[index] to another
  // service; null: none.
  const Claim* BeforeIt(const std::vector<const Claim*>& claims, size_t index) const;
  Dirty Take(const std::vector<discovery::Change>& changes);
  void Settle(Dirty& dirty);      // makes hosts of services that came, and forgets what is empty
  ChangeSet Finish(Dirty dirty);  // settles, and renders what changed
  ChangeSet Render(const Dirty& dirty);  // what is otherwise than it was told
  void Tell(ClusterChange change, ChangeSet& changes);
  static std::vector<EndpointInfo> OfFile(const ServiceSpec& file);
  std::vector<Judged> Judge(std::string_view name, const Service& service) const;
  ClusterChange RenderService(const std::string& name, EndpointCounts& counts) const;
  HostChange RenderHost(const std::string& host) const;

  Config config_;
  const Verdicts* verdicts_;
  RuleBook rules_;
  mutable MiddlewareBook middlewares_;                   // keeps what it has resolved
  std::map<std::string, std::map<std::string, size_t>> referring_;  // reference → hosts, with the number of claims
  std::map<std::string, Service, std::less<>> services_;
  std::map<std::string, std::vector<Claim>> hosts_;      // claims, oldest first
  std::unordered_map<std::string, Contribution> rows_;   // its nodes stay where they are
  Branches branches_;
  DynamicPorts ports_;
};

}  // namespace fairlead::lb
