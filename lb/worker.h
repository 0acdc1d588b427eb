// Worker: one thread's share of the balancer. Its sessions, routes, services, pools and counters are its own; nothing
// here is shared but the Metrics' values and the inbox, from which changes are taken between two of its steps.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/http/head.h"
#include "base/io/listener.h"
#include "base/metrics.h"
#include "base/strings.h"
#include "lb/change_inbox.h"
#include "lb/cluster.h"
#include "lb/config.h"
#include "lb/forward_head.h"
#include "lb/middleware.h"
#include "lb/route_table.h"

namespace fairlead::lb {

class Session;

// The sessions that wait between two requests: a drain ends them at once.
class IdleSessions {
 public:
  void Add(Session& session);
  void Remove(Session& session);  // no-op when not in it
  void EndAll();

 private:
  Session* first_ = nullptr;
};

// Why a request was refused before any backend was asked.
enum class Refused : uint8_t {
  kBadRequest, kNoHost, kTargetTooLong, kHeadTooLarge, kBodyTooLarge, kTimeout, kBadVersion, kUnsupportedCoding,
  kMaxForwards, kUnauthorized, kForbidden, kRouteShut, kPasswordsWait,
};
inline constexpr size_t kRefusedReasons = 13;

// Where a route leads, and what is done on the way; no middlewares: null.
struct RouteTarget {
  LocalRef<Cluster> cluster;
  LocalRef<RouteMiddlewares> middlewares;
};

class Worker {
 public:
  // `passwords` computes their hashes, for all workers.
  Worker(io::Proactor& proactor, Random& random, Metrics& metrics, io::Offload& passwords);
  ~Worker();  // after Stop() and a Drain of its group

  // Opens a listener (each worker its own, by SO_REUSEPORT) and serves it.
  Status Listen(const ListenerSpec& spec);
  SocketAddress address(size_t listener) const { return listeners_[listener]->address; }

  void Apply(const ChangeSet& changes);
  ChangeInbox& inbox() { return inbox_; }
  // Applies what is in the inbox: before each choice, and when it is told to look.
  void CatchUp() {
    if (!inbox_.empty()) [[unlikely]] ApplyInbox();
  }

  // No new connections; each session ends after the request it is at, idle ones at once.
  void BeginDrain();
  size_t sessions() const { return sessions_.live(); }
  // Ends everything; turns the loop until nothing is left.
  void Stop();

  io::Proactor& proactor() { return proactor_; }
  bool draining() const { return draining_; }

  // Why a connection was ended before a byte of it reached an endpoint.
  enum Refusal { kNoProxyHeader, kNoClientHello, kNoRoute, kNoEndpoint, kNotConnected, kRefusals };

  // Sessions of a listener that may close before them hold it.
  struct ListenerState final : LocalCounted {
    ListenerSpec spec;
    int index = kOfLabels;      // its bit in a route's listeners
    io::TaskGroup accepting;
    std::optional<io::Listener> socket;  // until the drain
    SocketAddress address;      // of the socket, with the port that 0 became
    Gauge* connections = nullptr;
    Counter* unrouted[6] = {};  // requests answered without a service, by code class
    Counter* refused[kRefusals] = {};  // connections, by Refusal
    Counter* handshake_failures = nullptr;  // of kHttps
    Counter* refused_requests[kRefusedReasons] = {};
    Cluster::TcpCounters tcp;   // of kOfLabels: all its connections are one service's
  };
  static constexpr int kOfLabels = -1;  // index of a port that labels opened: no route knows it
  void CountRefused(ListenerState& listener, Refusal why);
  void CountTlsFailure(Cluster& cluster);  // of a handshake with one of its endpoints

 private:
  friend class Session;
  friend class TcpSession;

  Cluster::Counters& CountersOf(Cluster& cluster, const ListenerState& listener);
  void CountUnrouted(ListenerState& listener, size_t code_class);
  Cluster::TcpCounters& TcpCountersOf(Cluster& cluster, ListenerState& listener);
  void CountRefusedRequest(ListenerState& listener, Refused reason);
  StatusOr<LocalRef<ListenerState>> Open(const ListenerSpec& spec);
  void OpenPort(const ListenerSpec& spec);
  void ClosePort(uint16_t port);
  io::Task<void> Accept(ListenerState& listener);
  template <class Do>
  void ForEachListener(Do what);
  LocalRef<Cluster> ClusterOf(const std::string& service);
  void ApplyInbox();

  io::Proactor& proactor_;
  Metrics& metrics_;
  ChangeInbox inbox_;
  RequestIds request_ids_;
  std::vector<LocalRef<ListenerState>> listeners_;         // of the file, in its order
  std::map<uint16_t, LocalRef<ListenerState>> ports_;      // that labels opened
  std::vector<LocalRef<ListenerState>> closing_;           // of those, until their accepting has ended
  std::unordered_map<std::string, LocalRef<Cluster>, StringHash, std::equal_to<>> clusters_;
  RouteTable<RouteTarget> routes_;
  PasswordBook passwords_;
  MiddlewareRun middleware_run_;   // scratch, as below
  FieldEdits answer_edits_;
  Counter& retries_;
  Counter& connect_failures_;
  IdleSessions idle_sessions_;
  bool draining_ = false;
  // Scratch of the synchronous parsing steps: 100 fields need not be initialised per request.
  http::RequestHead request_head_;
  http::ResponseHead response_head_;
  std::string strict_head_;   // of a lenient listener's client, or of an old backend
  std::string normal_path_;
  std::string edited_head_;   // by middlewares, or with a cookie
  std::string set_cookie_;
  io::TaskGroup sessions_;
};

}  // namespace fairlead::lb
