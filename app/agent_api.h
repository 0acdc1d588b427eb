// AgentApi: the agent's /v1 (docs/api.md). Reads for everyone who reaches it; changes only over the unix socket, from
// root or the agent's own user, each with the peer in the audit log. Belongs to the agent's worker.
#pragma once

#include <string>
#include <vector>

#include "app/agent_facts.h"
#include "app/agent_view.h"
#include "base/http/server.h"
#include "discovery/catalog.h"
#include "discovery/publisher.h"
#include "ipam/ipam.h"
#include "lb/picture.h"

namespace fairlead::app {

class AgentApi {
 public:
  // What is passed by reference outlives the API. `publisher` may be null.
  AgentApi(const discovery::Catalog& catalog, ipam::Ipam& ipam, const lb::Picture& picture,
           const discovery::Publisher* publisher, AgentFacts facts);

  io::Task<http::Reply> Handle(http::Request request, const http::RequestContext& context);

 private:
  // The JSON of a page that needs no waiting; NotFound for a page that there is not.
  StatusOr<nlohmann::json> Read(const http::Request& request, Nanos now_wall) const;
  nlohmann::json StatusJson(const AgentView& view, Nanos now_wall) const;
  io::Task<StatusOr<nlohmann::json>> History(http::Request request);
  io::Task<StatusOr<nlohmann::json>> Release(http::Request request, const http::RequestContext& context);

  const discovery::Catalog& catalog_;
  ipam::Ipam& ipam_;
  const lb::Picture& picture_;
  const discovery::Publisher* publisher_;
  const AgentFacts facts_;
};

}  // namespace fairlead::app
