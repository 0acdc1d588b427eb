// why: from a URL, a name or an address to the container behind it, hop by hop: what holds (✔), what does not (✖), where
// the fact comes from and how old it is. It asks the parts that do the work (route table, names of rows, leases), so
// that it cannot tell another story than they do.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/agent_facts.h"
#include "app/agent_view.h"
#include "app/dns_names.h"
#include "base/io/task.h"
#include "lb/route_table.h"

namespace fairlead::app {

struct Hop {
  std::string what;             // dns, listener, route, service, endpoint, rule, lease, container, address, name, node, note
  std::optional<bool> ok;       // nothing: told for information
  std::string text;
  std::string source = {};      // "configuration", "label", "node host1", "lease store"
  Nanos since_wall = 0;         // 0: the fact has no age
  int depth = 0;                // below the last hop of less depth
};

// What a rule may ask of a request beyond its URL.
struct AskedRequest {
  std::string method = "GET", query = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  IpAddress client = {};
  // `headers`: "Name: value" lines. InvalidArgument when one is none, or `client` no address.
  static StatusOr<AskedRequest> Parse(std::string method, const std::string& headers, const std::string& client);
  static bool NextField(const void* fields, std::string_view name, int& at, std::string_view& value);  // of RequestView
};

class Explainer {
 public:
  // All outlive the task of Explain().
  Explainer(const AgentView& view, ipam::Ipam& ipam, const AgentFacts& facts)
      : view_(view), picture_(view.picture()), ipam_(ipam), facts_(facts) {}

  // {"target", "kind", "ok", "hops": [{"hop", "ok", "text", "source", "since", "depth"}]}. `ok`: a request, a query or a
  // packet for the target would arrive. NotFound when nothing is called that; InvalidArgument when it cannot be a target.
  // `asked` concerns URLs.
  io::Task<StatusOr<nlohmann::json>> Explain(std::string target, AskedRequest asked = {});

 private:
  Status Url(std::string_view url);
  Status Name(const std::string& name);
  io::Task<Status> Address(IpAddress ip, uint16_t port);

  std::optional<DnsAnswer> DnsHop(const std::string& name);  // nothing: not in a zone of ours
  void FollowDns(const std::string& name, const DnsAnswer& answer);
  std::vector<size_t> ListenerHop(std::string_view scheme, std::optional<uint16_t> port);
  void RouteHops(const std::string& host, const std::string& path, const std::vector<size_t>& listeners);
  void MiddlewareHops(const lb::Picture::RouteInfo& route);
  // Routes whose rule did not hold, before the winner's turn.
  void TriedHops(const lb::RouteTable<size_t>& table, const std::vector<lb::Picture::RouteInfo>& routes,
                 const discovery::RequestView& view, int listener, std::optional<size_t> winner);
  void NoRoute(const std::string& host, const std::string& path);
  void ServiceHops(const std::string& service, int depth);
  void EndpointHop(const EndpointFact& fact, int depth);
  void ContainerHops(const discovery::EndpointRow& row, int depth);
  void LeaseHop(const ipam::Lease& lease, int depth);
  void LeaseHopOf(const IpAddress& ip, int depth);
  void NodeHop(const discovery::NodeRow& node);
  io::Task<Status> NoLeaseHop(IpAddress ip);
  Status NothingCalled(const std::string& name) const;
  void Add(Hop hop) { hops_.push_back(std::move(hop)); }
  nlohmann::json Render(const std::string& target) const;

  const AgentView& view_;
  const lb::Picture& picture_;
  ipam::Ipam& ipam_;
  const AgentFacts& facts_;
  std::string kind_;
  AskedRequest asked_;
  std::vector<Hop> hops_;
};

}  // namespace fairlead::app
