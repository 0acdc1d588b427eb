// The API's pages of pools: list, create, update, remove (docs/api.md). Pools of the configuration file are the file's:
// what was changed here would be gone with the next start, so it is refused. Pools made here are in the lease store.
#pragma once

#include <set>

#include "app/agent_api.h"
#include "app/operator_parts.h"

namespace fairlead::app {

class PoolApi {
 public:
  // `file_pools`: names of the configuration's pools; `file`: where they are.
  PoolApi(OperatorParts parts, std::set<std::string> file_pools, std::string file)
      : parts_(std::move(parts)), file_pools_(std::move(file_pools)), file_(std::move(file)) {}
  void AddTo(AgentApi& api);

 private:
  using Answer = io::Task<StatusOr<nlohmann::json>>;
  Answer List(ApiCall call);
  Answer Create(ApiCall call);
  Answer Update(ApiCall call);
  Answer Remove(ApiCall call);
  nlohmann::json PoolJson(const ipam::PoolSpec& pool) const;
  Status RefuseOfFile(const std::string& name) const;
  Status CheckOverlap(const ipam::PoolSpec& pool) const;

  OperatorParts parts_;
  const std::set<std::string> file_pools_;
  const std::string file_;
};

}  // namespace fairlead::app
