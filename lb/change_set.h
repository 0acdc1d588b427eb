// A change of the balancer's picture, made once by the control thread and applied by every worker between two of its
// requests: whole, in order, at a cost of what changed. See docs/decisions/0004-balancer-changes.md.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/net/socket_address.h"
#include "discovery/row.h"
#include "discovery/rule_match.h"
#include "lb/config.h"

namespace fairlead::lb {

class MiddlewareChain;  // lb/middleware.h

// An endpoint that may take new requests.
struct EndpointView {
  std::string uid;          // keys connections and breakers: never the address, which another endpoint may get
  std::string name;         // container name, or the address of an endpoint of the file
  SocketAddress address;
  uint32_t weight = 1;
  std::string cookie = {};  // value by which clients come back; "" where the service sets none
  friend bool operator==(const EndpointView&, const EndpointView&) = default;
};

// How the endpoints of a service stand, those that take no requests included: for metrics, not for workers.
struct EndpointCounts {
  std::string service;
  size_t all = 0, ready = 0;
  std::array<size_t, discovery::kHealthStates> by_health{};
  bool fails_open = false;
};

// The whole of one service as it is now. Without endpoints it answers 503; `removed` forgets it.
struct ClusterChange {
  std::string service;      // SERVICE.PROJECT
  bool removed = false;
  ServiceSettings settings;
  std::vector<std::shared_ptr<const EndpointView>> endpoints;  // one copy for the picture and all workers
  void Add(EndpointView view) { endpoints.push_back(std::make_shared<const EndpointView>(std::move(view))); }
};

// All routes of one host as they are now; none: the host is unknown.
struct HostChange {
  struct Route {
    std::string path_prefix;
    std::string service;
    uint64_t listeners = ~uint64_t{0};
    int64_t priority = 0;     // 0: HostPriority() (lb/route_table.h)
    std::shared_ptr<const discovery::Condition> condition = {};  // null: host and path say all
    std::shared_ptr<const MiddlewareChain> middlewares = {};     // null: requests go on as they are
  };
  std::string host;
  std::vector<Route> routes;
};

// The whole of a listener's settings, certificates included, as new connections and new requests get them. Name, bind
// and protocol are those it was opened with.
struct ListenerChange {
  size_t listener;          // by its place in the file it was opened from
  ListenerSpec spec;
};

struct ChangeSet {
  std::vector<ListenerChange> listeners;
  std::vector<uint16_t> closed_ports;       // that labels had opened: what is connected goes on
  std::vector<ListenerSpec> opened_ports;   // the same port may be among both: with another service
  std::vector<ClusterChange> clusters;  // applied first, so that routes find their service
  std::vector<HostChange> hosts;
  std::vector<EndpointCounts> counts;   // of each service that was looked at, changed or not
  bool takes_away = false;              // connections are to be closed
  bool of_listeners() const { return !listeners.empty() || !closed_ports.empty() || !opened_ports.empty(); }
  bool empty() const { return !of_listeners() && clusters.empty() && hosts.empty(); }
};

}  // namespace fairlead::lb
