// The API's pages of the engine's networks: list, create on a pool, remove (docs/api.md).
#pragma once

#include "app/agent_api.h"
#include "app/operator_parts.h"

namespace fairlead::app {

class NetworkApi {
 public:
  explicit NetworkApi(OperatorParts parts) : parts_(std::move(parts)) {}
  void AddTo(AgentApi& api);

 private:
  using Answer = io::Task<StatusOr<nlohmann::json>>;
  Answer List(ApiCall call);
  Answer Create(ApiCall call);
  Answer Remove(ApiCall call);
  nlohmann::json NetworkJson(const runtime::NetworkDetails& network) const;

  OperatorParts parts_;
};

}  // namespace fairlead::app
