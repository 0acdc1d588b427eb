#include "app/agent_api.h"

#include <unistd.h>

#include <algorithm>

#include "app/api_reply.h"
#include "app/picture_json.h"
#include "app/wall_time.h"
#include "app/why.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr std::string_view kServicePrefix = "/v1/services/";
constexpr char kPages[] =
    "/v1/status, /v1/services, /v1/services/NAME, /v1/endpoints, /v1/routes, /v1/leases, /v1/leases/history, /v1/pools, "
    "/v1/nodes, /v1/why";

http::Reply ReplyOf(StatusOr<json> body) { return body.ok() ? JsonReply(*body) : ErrorReply(body.status()); }

http::Reply WrongMethod(const http::Request& request) {
  bool leases = request.path() == "/v1/leases";
  http::Reply reply = ErrorReply(InvalidArgument(request.method, " ", request.path(), ": ",
                                                 leases ? "leases are read by GET and released by DELETE"
                                                        : "nothing is changed here; this page is read by GET"));
  reply.status = 405;
  reply.headers.push_back({"Allow", leases ? "GET, HEAD, DELETE" : "GET, HEAD"});
  return reply;
}

// Changes: over the socket only, by root or by who runs the agent.
Status MayChange(const http::RequestContext& context) {
  if (!context.credentials)
    return WithFix(PermissionDenied("changes are taken over the unix socket only; this listener is read-only"),
                   "fairlead --api unix:/run/fairlead/api.sock …");
  uint32_t uid = context.credentials->uid;
  if (uid == 0 || uid == geteuid()) return OkStatus();
  return PermissionDenied("user ", uid, " may read but not change: root may, and the agent's own user");
}

}  // namespace

AgentApi::AgentApi(const discovery::Catalog& catalog, ipam::Ipam& ipam, const lb::Picture& picture,
                   const discovery::Publisher* publisher, AgentFacts facts)
    : catalog_(catalog), ipam_(ipam), picture_(picture), publisher_(publisher), facts_(std::move(facts)) {}

io::Task<http::Reply> AgentApi::Handle(http::Request request, const http::RequestContext& context) {
  Nanos now_wall = context.proactor.clock().WallNow();
  if (request.method == "DELETE" && request.path() == "/v1/leases") co_return ReplyOf(co_await Release(request, context));
  if (request.method != "GET" && request.method != "HEAD") co_return WrongMethod(request);
  if (request.path() == "/v1/leases/history") co_return ReplyOf(co_await History(request));
  if (request.path() == "/v1/why") {
    AgentView view(catalog_, ipam_, picture_);
    Explainer explainer(view, ipam_, picture_, facts_);
    co_return ReplyOf(co_await explainer.Explain(request.query("target")));
  }
  co_return ReplyOf(Read(request, now_wall));
}

StatusOr<json> AgentApi::Read(const http::Request& request, Nanos now_wall) const {
  std::string_view path = request.path();
  AgentView view(catalog_, ipam_, picture_);
  if (path == "/v1/status") return StatusJson(view, now_wall);
  if (path == "/v1/services") return view.ServicesJson();
  if (path == "/v1/routes") return RoutesJson(picture_);
  if (path == "/v1/pools") {
    std::string name = request.query("name");
    if (name.empty()) return view.PoolsJson();
    ASSIGN_OR_RETURN(ipam::PoolSpec pool, view.FindPool(name));
    return json::array({view.PoolJson(pool)});
  }
  if (path == "/v1/nodes") return view.NodesJson();
  if (path.starts_with(kServicePrefix)) {
    ASSIGN_OR_RETURN(std::string name, view.FindService(PercentDecode(path.substr(kServicePrefix.size()))));
    return view.ServiceJson(name);
  }
  if (path == "/v1/endpoints") {
    std::string service = request.query("service");
    if (!service.empty()) {
      ASSIGN_OR_RETURN(service, view.FindService(service));
    }
    return view.EndpointsJson(service);
  }
  if (path == "/v1/leases") {
    std::string name = request.query("name");
    if (name.empty()) return view.LeasesJson();
    ASSIGN_OR_RETURN(std::vector<ipam::Lease> leases, view.FindLeases(name, request.query("network")));
    json found = json::array();
    for (const ipam::Lease& lease : leases) found.push_back(AgentView::LeaseJson(lease));
    return found;
  }
  return NotFound("there is no page ", path, "; there are ", kPages);
}

json AgentApi::StatusJson(const AgentView& view, Nanos now_wall) const {
  json engines = json::array(), readers = json::array();
  if (facts_.engines)
    for (const EngineState& engine : facts_.engines())
      engines.push_back({{"name", engine.name}, {"connected", engine.connected}, {"detail", engine.detail}});
  if (publisher_ != nullptr)
    for (const discovery::ConsumerInfo& reader : publisher_->consumers())
      readers.push_back({{"name", reader.name}, {"revision", reader.acked_revision},
                         {"behind", catalog_.revision() - std::min(catalog_.revision(), reader.acked_revision)}});
  size_t endpoints = 0, ready = 0, services_ready = 0;
  for (const std::string& service : view.services()) {
    size_t before = ready;
    for (const EndpointFact& fact : view.Endpoints(service)) {
      ++endpoints;
      ready += fact.info.ready;
    }
    services_ready += ready > before;
  }
  std::vector<ipam::Lease> leases = ipam_.Leases();
  auto attached = std::ranges::count_if(leases, [](const ipam::Lease& lease) { return lease.attached; });
  return {{"node", facts_.node},
          {"version", facts_.version},
          {"started", FormatTime(facts_.started_wall)},
          {"uptime_seconds", (now_wall - facts_.started_wall) / kSecond},
          {"engines", std::move(engines)},
          {"catalog", {{"epoch", catalog_.epoch()}, {"revision", catalog_.revision()}, {"synced", catalog_.synced()}}},
          {"containers", view.rows().size()},
          {"services", {{"total", view.services().size()}, {"ready", services_ready}}},
          {"endpoints", {{"total", endpoints}, {"ready", ready}}},
          {"leases", {{"attached", attached}, {"detached", leases.size() - static_cast<size_t>(attached)}}},
          {"pools", ipam_.Pools().size()},
          {"readers", std::move(readers)}};
}

io::Task<StatusOr<json>> AgentApi::History(http::Request request) {
  auto ip = IpAddress::Parse(request.query("ip"));
  if (!ip.ok()) co_return InvalidArgument("a history is of an address: ", Message(ip.status()));
  AgentView view(catalog_, ipam_, picture_);
  std::string pool = request.query("pool");
  if (!pool.empty()) {
    CO_ASSIGN_OR_RETURN(ipam::PoolSpec spec, view.FindPool(pool));
    pool = spec.name;
  }
  for (const ipam::PoolSpec& candidate : ipam_.Pools())
    if (pool.empty() && candidate.PrefixOf(*ip) != nullptr) pool = candidate.name;
  if (pool.empty())
    co_return WithFix(NotFound(ip->ToString(), " is in none of the pools"), "fairlead pool ls");
  CO_ASSIGN_OR_RETURN(std::vector<ipam::HistoryEntry> history, co_await ipam_.History(pool, *ip));
  co_return AgentView::HistoryJson(history);
}

// All leases of one name on one network (both families), or the one of an address.
io::Task<StatusOr<json>> AgentApi::Release(http::Request request, const http::RequestContext& context) {
  CO_RETURN_IF_ERROR(MayChange(context));
  std::string name = request.query("name");
  if (name.empty()) co_return InvalidArgument("which lease? DELETE /v1/leases?name=NAME");
  AgentView view(catalog_, ipam_, picture_);
  CO_ASSIGN_OR_RETURN(std::vector<ipam::Lease> leases, view.FindLeases(name, request.query("network")));
  for (const ipam::Lease& lease : leases)
    if (lease.key.network != leases[0].key.network || lease.key.scope != leases[0].key.scope)
      co_return WithFix(FailedPrecondition(name, " has leases on several networks: ", leases[0].key.ToString(), ", ",
                                           lease.key.ToString(), "; say which network"),
                        Cat("fairlead ip release ", name, " --network ", lease.key.network));
  json released = json::array();
  for (const ipam::Lease& lease : leases) {
    fairlead::Status status = co_await ipam_.Release(lease.key);
    LOG(kInfo, "audit", {"action", "release lease"}, {"lease", lease.key.ToString()}, {"address", lease.ip.ToString()},
        {"peer_uid", context.credentials->uid}, {"peer_pid", context.credentials->pid},
        {"outcome", status.ok() ? "done" : Message(status)});
    if (!status.ok()) co_return status;
    released.push_back(AgentView::LeaseJson(lease));
  }
  co_return released;
}

}  // namespace fairlead::app
