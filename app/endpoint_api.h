// The API's changes of endpoints that are no containers: register and renew, remove (docs/api.md).
#pragma once

#include <functional>

#include "app/agent_api.h"
#include "app/endpoint_book.h"

namespace fairlead::app {

class EndpointApi {
 public:
  // Takes an endpoint of the file out of the traffic until it is loaded again; NotFound: the file has none such.
  using RemoveOfFile = std::function<io::Task<Status>(std::string service, HostPort address)>;

  EndpointApi(EndpointBook& book, RemoveOfFile remove_of_file) : book_(book), remove_of_file_(std::move(remove_of_file)) {}
  void AddTo(AgentApi& api);

 private:
  using Answer = io::Task<StatusOr<nlohmann::json>>;
  Answer Put(ApiCall call);
  Answer Remove(const AgentApi& api, ApiCall call);

  EndpointBook& book_;
  RemoveOfFile remove_of_file_;
};

}  // namespace fairlead::app
