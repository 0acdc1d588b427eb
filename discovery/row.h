// Rows of the catalog: what an agent knows of its host and every consumer needs. Plain values; on the wire they are
// proto/fairlead/discovery.proto. The agent is the only writer of its host's rows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/net/ip_address.h"
#include "base/time.h"
#include "discovery/middleware.h"

namespace fairlead::discovery {

enum class RunState : uint8_t { kCreated, kRunning, kPaused, kRestarting, kExited };
// kNone: no check is defined. kUnknown: the agent has no way to the endpoint, so balancers look themselves.
enum class HealthState : uint8_t { kNone, kStarting, kHealthy, kUnhealthy, kUnknown };

// kReachable: nobody asked for a check, so the endpoint is published as soon as its port accepts, and left alone then.
enum class CheckKind : uint8_t { kNone, kReachable, kTcp, kHttp, kGrpc };

// How an endpoint's part in a service is checked: by the agent of its host, or by balancers where that one cannot.
struct HealthCheck {
  CheckKind kind = CheckKind::kNone;
  std::string target;               // kHttp: path and query; kGrpc: the service's name, "" for the server as a whole
  std::string host;                 // kHttp, kGrpc: Host or :authority; "": the address
  uint16_t port = 0;                // 0: the one that is routed
  Nanos interval = 2 * kSecond;
  Nanos timeout = 1 * kSecond;
  uint32_t rise = 2, fall = 3;      // answers in a row that change the state
  bool tls = false;                 // kHttp, kGrpc: over TLS, whatever certificate is shown
  friend bool operator==(const HealthCheck&, const HealthCheck&) = default;
};

// What a check has found.
struct CheckedHealth {
  HealthState state = HealthState::kNone;
  bool refused = false;             // of kUnhealthy: nothing listens there, so nobody fails open to it
  bool answered = false;            // anything but silence has come from there
  bool was_healthy = false;         // once, since the endpoint began: only then may it fail open (discovery/fail_open.h)
  std::string reason;               // of the last failure: "HTTP 500", "connection refused"
  Nanos since_wall = 0;             // of the state
  // Enough was seen to say more than "it was not looked at yet".
  bool Decided() const { return state != HealthState::kStarting || answered; }
  friend bool operator==(const CheckedHealth&, const CheckedHealth&) = default;
};

struct Port {
  std::string name;                 // SRV name; "" when the label gave only a number
  uint16_t number = 0;
  std::string protocol = "tcp";     // tcp, udp
  friend bool operator==(const Port&, const Port&) = default;
};

// An address of the endpoint, best first (contract, "Whose address").
struct Address {
  IpAddress ip;
  MacAddress mac;
  std::string network;              // as the engine calls it; "" for the node's own
  bool managed = false;             // on a Fairlead network
  friend bool operator==(const Address&, const Address&) = default;
};

// A port of the container that the engine published on the host.
struct PublishedPort {
  uint16_t container_port = 0;
  std::string protocol = "tcp";
  IpAddress host_ip;                // unspecified: all of the host's
  uint16_t host_port = 0;
  friend bool operator==(const PublishedPort&, const PublishedPort&) = default;
};

// Which requests go to a service: those of some hosts below a path, or those for which a rule holds.
struct RouteRule {
  std::vector<std::string> hosts;   // lower case; "*.x" is a wildcard
  std::string path_prefix = "/";
  std::vector<std::string> listeners;  // empty: all HTTP ones
  std::string rule = {};            // as it was written (discovery/rule.h); then hosts and path_prefix say nothing
  int64_t priority = 0;             // the higher goes first; 0: by hosts and path, or the bytes of the rule
  std::vector<std::string> middlewares = {};  // in the order they are applied: "ID@PROVIDER", lower case
  friend bool operator==(const RouteRule&, const RouteRule&) = default;
};

// A cookie that brings a client back to its endpoint, in Traefik's words.
struct StickyCookie {
  bool enabled = false;
  std::string name;                 // "": made from the service's name
  bool secure = false, http_only = false;
  std::string same_site;            // "", none, lax, strict
  int64_t max_age = 0;              // seconds; 0: as long as the browser runs
  std::string path = "/", domain;
  friend bool operator==(const StickyCookie&, const StickyCookie&) = default;
};

// The endpoint's part in one service. Names are DNS labels already (contract, "Names").
struct ServiceEntry {
  std::string service;
  std::string project = "default";
  std::vector<Port> ports;          // the first is routed; empty: not published
  std::string protocol = "http";    // http, h2c, tcp, udp
  std::vector<RouteRule> routes;
  uint32_t weight = 1;
  IpAddress ip;                     // where consumers connect; unset: not published
  uint16_t port = 0;
  std::string address_rule;         // which rule of the contract chose it, for `service inspect`
  std::vector<std::string> problems;  // "not published: no port", "label fairlead.foo is not understood"
  HealthCheck check;
  CheckedHealth health;
  uint16_t listen = 0;              // TCP port that balancers open for it (lb/dynamic_ports.h); 0: none
  uint32_t fail_open_below = 0;     // percent of ready endpoints (discovery/fail_open.h); 0: only when none is
  // Since when its service says this of itself: the oldest container that ever did may be gone by now (agreement.h).
  Nanos claimed_wall = 0;           // 0: since this one was created
  bool fails_open = false;          // its service does, as each consumer finds by itself (discovery/fail_open.h); not on the wire
  StickyCookie sticky;
  bool published() const { return ip.is_set() && port != 0; }
  friend bool operator==(const ServiceEntry&, const ServiceEntry&) = default;
};

struct EndpointRow {
  std::string uid;                  // container id and start: pools, breakers and checks are keyed by it, not by address
  std::string node;
  std::string engine;               // docker, podman, containerd; "" for what is no container
  std::string engine_id;            // the container's id
  std::string name;                 // canonical container name (contract, "Whose address")
  std::string project = "default";
  std::string release, branch, env;
  std::vector<Address> addresses;
  std::vector<PublishedPort> published_ports;
  std::vector<std::string> aliases; // network aliases
  std::vector<ServiceEntry> services;
  std::vector<Middleware> middlewares;  // that its labels define, for whatever container's routes; each id once
  uint64_t lease_revision = 0;
  std::string stop_signal = "SIGTERM";
  uint32_t stop_timeout_s = 10;
  int32_t pid = 0;
  RunState state = RunState::kCreated;
  HealthState health = HealthState::kNone;
  std::string health_reason;
  // Of the engine's HEALTHCHECK: what a check of ours would know (CheckedHealth).
  bool was_healthy = false;
  Nanos health_since_wall = 0, health_interval = 0;
  Nanos since_wall = 0;             // of the present state
  Nanos created_wall = 0;           // of the container: of those that disagree the oldest one holds; 0: not known
  bool draining = false;

  // May new traffic go there? (design, "Order": reachable, started, healthy, not draining)
  bool ready(const ServiceEntry& entry) const {
    if (state != RunState::kRunning || draining || !entry.published()) return false;
    const bool passed = (health == HealthState::kNone || health == HealthState::kHealthy) &&
                        entry.health.state != HealthState::kStarting && entry.health.state != HealthState::kUnhealthy;
    return passed || entry.fails_open;
  }
  friend bool operator==(const EndpointRow&, const EndpointRow&) = default;
};

struct LeaseRow {
  std::string network, scope, name;  // the lease key
  std::string pool;
  std::string project;               // of the container that holds or held it; "" until known
  IpAddress ip;
  MacAddress mac;
  bool attached = false;             // an endpoint uses it now
  bool provisional = false;          // the engine has not told whose it is yet
  uint64_t revision = 0;
  friend bool operator==(const LeaseRow&, const LeaseRow&) = default;
};

struct NodeRow {
  std::string name, site;
  std::vector<IpAddress> addresses;
  friend bool operator==(const NodeRow&, const NodeRow&) = default;
};

struct Row {
  std::string key;                   // "endpoint/NODE/ID", "lease/NETWORK/SCOPE/NAME", of IPv6 with "/6" behind it, "node/NAME"
  std::string node;                  // its owner
  uint64_t epoch = 0, sequence = 0;  // the owner's stamp: the higher one is kept
  std::variant<EndpointRow, LeaseRow, NodeRow> body;

  const EndpointRow* endpoint() const { return std::get_if<EndpointRow>(&body); }
  const LeaseRow* lease() const { return std::get_if<LeaseRow>(&body); }
  const NodeRow* node_row() const { return std::get_if<NodeRow>(&body); }
  friend bool operator==(const Row&, const Row&) = default;
};

// What all its checks come to, the engine's HEALTHCHECK and ours: the worse of them.
CheckedHealth JointHealth(const EndpointRow& row, const ServiceEntry& entry);
// How far apart two looks at it are, by the check that is the slowest.
Nanos CheckInterval(const EndpointRow& row, const ServiceEntry& entry);

// Whose parts are one service: those of a branch are its own. [BRANCH/]PROJECT and the service's name.
using ServiceId = std::pair<std::string, std::string>;
ServiceId ServiceIdOf(const EndpointRow& row, const ServiceEntry& entry);

// "none", "starting", "healthy", "unhealthy", "unknown".
std::string_view HealthName(HealthState health);
inline constexpr size_t kHealthStates = static_cast<size_t>(HealthState::kUnknown) + 1;

std::string KeyOf(const EndpointRow& row);
std::string KeyOf(const LeaseRow& row);
std::string KeyOf(const NodeRow& row);

// What the row takes on the wire, about: streams cut their messages by it.
size_t ApproximateBytes(const Row& row);

// One step of a catalog, for those who follow it. A consumer that applies all changes in order holds the same rows.
struct Change {
  std::string key;
  std::shared_ptr<const Row> row;    // null: removed by its owner
};

// Follows a catalog or the copy of one that a consumer keeps (discovery/consumer.h).
class ChangeListener {
 public:
  virtual void OnChanges(const std::vector<Change>& changes) = 0;

 protected:
  ~ChangeListener() = default;
};

}  // namespace fairlead::discovery
