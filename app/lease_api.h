// The API's pages of leases that are asked for with patience or changed: history, reserve, release, reclaim
// (docs/api.md).
#pragma once

#include "app/agent_api.h"
#include "app/operator_parts.h"

namespace fairlead::app {

class LeaseApi {
 public:
  explicit LeaseApi(OperatorParts parts) : parts_(std::move(parts)) {}
  void AddTo(AgentApi& api);

 private:
  using Answer = io::Task<StatusOr<nlohmann::json>>;
  Answer History(ApiCall call);
  Answer Release(ApiCall call);
  Answer Reserve(ApiCall call);
  Answer Reclaimable(ApiCall call);
  Answer Reclaim(ApiCall call);
  // Pool and network of a reservation, where they were not said: the only ones there are.
  struct Place {
    std::string pool, network;
  };
  io::Task<StatusOr<Place>> FindPlace(std::string pool, std::string network, std::optional<IpAddress> wanted);
  StatusOr<std::string> PoolFor(const std::string& pool, const std::vector<std::string>& of_network,
                                const std::optional<IpAddress>& wanted) const;
  StatusOr<Nanos> IdleOf(const std::string& text) const;

  OperatorParts parts_;
};

}  // namespace fairlead::app
