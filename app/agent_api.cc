#include "app/agent_api.h"

#include <algorithm>

#include "app/api_reply.h"
#include "app/envs.h"
#include "app/picture_json.h"
#include "app/wall_time.h"
#include "app/why.h"
#include "base/log.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr std::string_view kServicePrefix = "/v1/services/";
constexpr std::string_view kShimPrefix = "/v1/shim/";
constexpr char kPages[] =
    "/v1/status, /v1/services, /v1/services/NAME, /v1/endpoints, /v1/routes, /v1/middlewares, /v1/leases, /v1/nodes, "
    "/v1/envs";

bool TellsOfEndpoints(std::string_view path) {
  return path == "/v1/status" || path == "/v1/endpoints" || path.starts_with("/v1/services");
}

http::Reply ReplyOf(StatusOr<json> body) { return body.ok() ? JsonReply(*body) : ErrorReply(body.status()); }

// What the audit log says was changed: an address, or the name in the path, the query or the body.
std::string ObjectOf(const ApiCall& call) {
  if (auto address = call.query("address"); !address.empty()) return std::string(address);
  if (auto at = call.body.find("service"); at != call.body.end() && at->is_string() && call.body.contains("address"))
    return Cat(at->get<std::string>(), " ", call.body["address"].is_string() ? call.body["address"].get<std::string>() : "");
  std::string object = call.name.empty() ? call.query("name") : call.name;
  for (const char* key : {"name", "network", "pool"})
    if (auto found = call.body.find(key); object.empty() && found != call.body.end() && found->is_string())
      object = found->get<std::string>();
  return object;
}

AuditedChange AuditedOf(const std::string& action, const ApiCall& call, const http::RequestContext& context) {
  AuditedChange change{.action = action, .object = ObjectOf(call), .request = call.body, .peer = *context.credentials};
  if (size_t query = call.request.target.find('?'); query != call.request.target.npos)
    change.request["query"] = call.request.target.substr(query + 1);
  return change;
}

}  // namespace

AgentApi::AgentApi(Parts parts, AgentFacts facts) : parts_(parts), facts_(std::move(facts)) {
  AddPage("/v1/why", [this](ApiCall call) { return Why(std::move(call)); });
  AddAuditPage("/v1/audit", [this](ApiCall call) { return ReadAudit(std::move(call)); });
}

io::Task<StatusOr<json>> AgentApi::Why(ApiCall call) const {
  const AgentView view = View();
  Explainer explainer(view, parts_.ipam, facts_);
  CO_ASSIGN_OR_RETURN(AskedRequest asked, AskedRequest::Parse(call.query("method"), call.query("header"), call.query("client")));
  co_return co_await explainer.Explain(call.query("target"), std::move(asked));
}

io::Task<StatusOr<json>> AgentApi::ReadAudit(ApiCall call) const {
  std::string limit = call.query("limit");
  std::optional<uint32_t> count = limit.empty() ? AuditLog::kMaxEntries : ParseNumber<uint32_t>(limit);
  if (!count) co_return InvalidArgument("limit: \"", limit, "\" is no number");
  co_return co_await parts_.audit.Read(*count);
}

const AgentApi::Page* AgentApi::FindPage(const std::string& method, std::string_view path, std::string& name) const {
  if (auto page = pages_.find({method, std::string(path)}); page != pages_.end()) return &page->second;
  size_t slash = path.rfind('/');
  auto page = pages_.find({method, std::string(path.substr(0, slash + 1))});
  if (page == pages_.end() || slash + 1 == path.size()) return nullptr;
  name = PercentDecode(path.substr(slash + 1));
  return &page->second;
}

http::Reply AgentApi::WrongMethod(const http::Request& request) const {
  std::string allowed = "GET, HEAD", name;
  for (const char* method : {"POST", "PUT", "DELETE"})
    if (FindPage(method, request.path(), name) != nullptr) allowed += Cat(", ", method);
  http::Reply reply = ErrorReply(InvalidArgument(request.method, " ", request.path(), ": this page takes ", allowed));
  reply.status = 405;
  reply.headers.push_back({"Allow", allowed});
  return reply;
}

io::Task<http::Reply> AgentApi::Handle(http::Request request, const http::RequestContext& context) {
  Nanos now_wall = context.proactor.clock().WallNow();
  if (request.method == "POST" && request.path().starts_with(kShimPrefix))
    co_return ReplyOf(co_await CallShim(request, context));
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  ApiCall call{.request = request};
  if (const Page* page = FindPage(method, request.path(), call.name)) {
    if (!page->action.empty()) co_return ReplyOf(co_await Change(*page, std::move(call), context));
    fairlead::Status may = page->for_operators ? facts_.operators.MayReadAudit(context) : OkStatus();
    if (!may.ok()) co_return ErrorReply(may);
    co_return ReplyOf(co_await page->call(std::move(call)));
  }
  if (method != "GET") co_return WrongMethod(request);
  BalancerWord word;
  if (TellsOfEndpoints(request.path())) word = co_await AskBalancer(context.proactor, facts_.balancer_admin);
  co_return ReplyOf(Read(request, std::move(word), now_wall));
}

io::Task<StatusOr<json>> AgentApi::Change(const Page& page, ApiCall call, const http::RequestContext& context) {
  call.body = call.request.body.empty() ? json::object() : json::parse(call.request.body, nullptr, /*allow_exceptions=*/false);
  bool readable = call.body.is_object();
  if (!readable) call.body = json::object();
  if (fairlead::Status may = facts_.operators.MayChange(context); !may.ok()) {
    if (context.credentials) co_await parts_.audit.Refused(AuditedOf(page.action, call, context), may);
    co_return may;
  }
  if (!readable) co_return InvalidArgument(call.request.method, " ", call.request.path(), " needs a JSON object");
  if (page.routine && page.routine(call)) co_return co_await page.call(std::move(call));
  const AuditedChange change = AuditedOf(page.action, call, context);
  CO_ASSIGN_OR_RETURN(std::string id, co_await parts_.audit.Begin(change));
  StatusOr<json> answer = co_await page.call(std::move(call));
  co_await parts_.audit.End(std::move(id), change, answer.status());
  co_return answer;
}

StatusOr<json> AgentApi::Read(const http::Request& request, BalancerWord word, Nanos now_wall) const {
  std::string_view path = request.path();
  const AgentView view = View(std::move(word));
  if (path == "/v1/status") return StatusJson(view, now_wall);
  if (path == "/v1/services") return view.ServicesJson();
  if (path == "/v1/routes") return RoutesJson(view.picture());
  if (path == "/v1/middlewares") return MiddlewaresJson(view.picture());
  if (path == "/v1/nodes") return view.NodesJson();
  if (path == "/v1/envs") return EnvsJson(view);
  if (path.starts_with(kServicePrefix)) {
    ASSIGN_OR_RETURN(std::string name, view.FindService(PercentDecode(path.substr(kServicePrefix.size()))));
    json service = view.ServiceJson(name);
    AddExpiry(service["endpoints"]);
    return service;
  }
  if (path == "/v1/endpoints") {
    std::string service = request.query("service");
    if (!service.empty()) {
      ASSIGN_OR_RETURN(service, view.FindService(service));
    }
    json endpoints = view.EndpointsJson(service), found = json::array();
    AddExpiry(endpoints);
    const std::string address = request.query("address");
    if (address.empty()) return endpoints;
    for (json& endpoint : endpoints)
      if (endpoint["address"] == address) found.push_back(std::move(endpoint));
    if (found.empty())
      return WithFix(NotFound("there is no endpoint ", address, service.empty() ? "" : Cat(" of ", service)), "fairlead endpoint ls");
    return found;
  }
  if (path == "/v1/leases") {
    std::string name = request.query("name");
    if (name.empty()) return view.LeasesJson();
    ASSIGN_OR_RETURN(std::vector<ipam::Lease> leases, FindLeases(parts_.ipam, name, request.query("network")));
    json found = json::array();
    for (const ipam::Lease& lease : leases) found.push_back(LeaseJson(parts_.ipam, lease));
    return found;
  }
  std::string more;
  for (const auto& [key, page] : pages_)
    if (key.first == "GET") more += Cat(", ", key.second, key.second.ends_with('/') ? "NAME" : "");
  return NotFound("there is no page ", path, "; there are ", kPages, more);
}

// Of registered ones: when they lapse.
void AgentApi::AddExpiry(json& endpoints) const {
  for (json& endpoint : endpoints) {
    if (endpoint["source"] != "api" || !facts_.expires_wall) continue;
    const auto uid = endpoint["uid"].get<std::string>();
    const Nanos expires = facts_.expires_wall(uid.substr(0, uid.rfind('/')));
    endpoint["expires"] = expires == kNever ? json(nullptr) : json(FormatTime(expires));
  }
}

json AgentApi::StatusJson(const AgentView& view, Nanos now_wall) const {
  json engines = json::array(), readers = json::array();
  if (facts_.engines)
    for (const EngineState& engine : facts_.engines())
      engines.push_back({{"name", engine.name}, {"connected", engine.connected}, {"detail", engine.detail}});
  if (parts_.publisher != nullptr)
    for (const discovery::ConsumerInfo& reader : parts_.publisher->consumers())
      readers.push_back({{"name", reader.name}, {"revision", reader.acked_revision},
                         {"behind", parts_.catalog.revision() - std::min(parts_.catalog.revision(), reader.acked_revision)}});
  size_t endpoints = 0, ready = 0, services_ready = 0;
  for (const std::string& service : view.services()) {
    size_t before = ready;
    for (const EndpointFact& fact : view.Endpoints(service)) {
      ++endpoints;
      ready += fact.info.ready;
    }
    services_ready += ready > before;
  }
  std::vector<ipam::Lease> leases = parts_.ipam.Leases();
  auto attached = std::ranges::count_if(leases, [](const ipam::Lease& lease) { return lease.attached; });
  return {{"node", facts_.node},
          {"version", facts_.version},
          {"started", FormatTime(facts_.started_wall)},
          {"uptime_seconds", (now_wall - facts_.started_wall) / kSecond},
          {"engines", std::move(engines)},
          {"catalog", {{"epoch", parts_.catalog.epoch()}, {"revision", parts_.catalog.revision()}, {"synced", parts_.catalog.synced()}}},
          {"containers", view.rows().size()},
          {"services", {{"total", view.services().size()}, {"ready", services_ready}}},
          {"endpoints", {{"total", endpoints}, {"ready", ready}}},
          {"leases", {{"attached", attached}, {"detached", leases.size() - static_cast<size_t>(attached)}}},
          {"pools", parts_.ipam.Pools().size()},
          {"readers", std::move(readers)}};
}

io::Task<StatusOr<json>> AgentApi::CallShim(http::Request request, const http::RequestContext& context) {
  CO_RETURN_IF_ERROR(facts_.operators.MayChange(context));
  auto shim = shims_.find(request.path().substr(kShimPrefix.size()));
  if (shim == shims_.end()) co_return NotFound("there is no page ", request.path());
  json body = json::parse(request.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) co_return InvalidArgument("POST ", request.path(), " needs a JSON object");
  co_return co_await shim->second(std::move(body));
}

}  // namespace fairlead::app
