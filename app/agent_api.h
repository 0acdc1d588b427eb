// AgentApi: the agent's /v1 (docs/api.md). Reads for everyone who reaches it, but the audit log; that and changes only over the unix socket, from
// those who may operate (app/operators.h), each in the audit log. Belongs to the agent's worker.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "app/agent_facts.h"
#include "app/agent_view.h"
#include "app/audit_log.h"
#include "base/http/server.h"
#include "discovery/catalog.h"
#include "discovery/publisher.h"
#include "ipam/ipam.h"
#include "lb/config.h"

namespace fairlead::app {

// A request as a page or a change gets it.
struct ApiCall {
  http::Request request;
  std::string name = {};               // what follows a path that ends with "/", decoded
  nlohmann::json body = {};            // of a change: an object, empty where none was sent
  std::string query(std::string_view key) const { return request.query(key); }
};

class AgentApi {
 public:
  struct Parts {
    const discovery::Catalog& catalog;
    ipam::Ipam& ipam;
    const lb::Config& balancer;             // what the file says of this host's
    const discovery::Publisher* publisher;  // may be null
    AuditLog& audit;
  };
  // What is passed by reference outlives the API.
  AgentApi(Parts parts, AgentFacts facts);

  io::Task<http::Reply> Handle(http::Request request, const http::RequestContext& context);
  AgentView View(BalancerWord word = {}) const { return {parts_.catalog, parts_.ipam, parts_.balancer, std::move(word)}; }

  using Call = std::function<io::Task<StatusOr<nlohmann::json>>(ApiCall call)>;
  // GET of a path; one that ends with "/" takes what follows as a name.
  void AddPage(std::string path, Call call) { pages_.emplace(std::pair("GET", std::move(path)), Page{"", std::move(call)}); }
  // One that only those who may change things may read.
  void AddAuditPage(std::string path, Call call) { pages_.emplace(std::pair("GET", std::move(path)), Page{"", std::move(call), true}); }
  // `action` is what the audit log calls it: "ip reserve".
  // `routine`: what is too frequent and too little for the audit log, as a renewal is.
  using Routine = std::function<bool(const ApiCall& call)>;
  void AddChange(std::string method, std::string path, std::string action, Call call, Routine routine = nullptr) {
    pages_.emplace(std::pair(std::move(method), std::move(path)), Page{std::move(action), std::move(call), false, std::move(routine)});
  }

  // What the small programs (fairlead-cni and its likes) call: POST /v1/shim/NAME with a JSON object, from those who may
  // change things. `call` gives the answer's JSON.
  using ShimCall = std::function<io::Task<StatusOr<nlohmann::json>>(nlohmann::json request)>;
  void AddShim(std::string name, ShimCall call) { shims_[std::move(name)] = std::move(call); }

 private:
  struct Page {
    std::string action;                // "": nothing is changed
    Call call;
    bool for_operators = false;        // not for every reader
    Routine routine = nullptr;
  };
  // The page of the longest registered path that fits; `name` is what follows it. Null: there is none.
  const Page* FindPage(const std::string& method, std::string_view path, std::string& name) const;
  http::Reply WrongMethod(const http::Request& request) const;
  io::Task<StatusOr<nlohmann::json>> Why(ApiCall call) const;
  io::Task<StatusOr<nlohmann::json>> ReadAudit(ApiCall call) const;
  // The JSON of a page that needs no waiting; NotFound for a page that there is not.
  StatusOr<nlohmann::json> Read(const http::Request& request, BalancerWord word, Nanos now_wall) const;
  void AddExpiry(nlohmann::json& endpoints) const;
  nlohmann::json StatusJson(const AgentView& view, Nanos now_wall) const;
  io::Task<StatusOr<nlohmann::json>> Change(const Page& page, ApiCall call, const http::RequestContext& context);
  io::Task<StatusOr<nlohmann::json>> CallShim(http::Request request, const http::RequestContext& context);

  Parts parts_;
  const AgentFacts facts_;
  std::map<std::pair<std::string, std::string>, Page> pages_;  // by method and path
  std::map<std::string, ShimCall, std::less<>> shims_;
};

}  // namespace fairlead::app
