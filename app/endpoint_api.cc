#include "app/endpoint_api.h"

#include "app/api_reply.h"
#include "app/wall_time.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

// What an address belongs to that nobody wrote or registered as such.
std::string WhoseAddress(const lb::Picture::EndpointInfo& endpoint) {
  if (endpoint.view->uid.starts_with("api/")) return "an address of a host name that was registered: remove that, as endpoint ls shows it";
  return Cat("container ", endpoint.view->name, " of ", endpoint.source, ": it leaves when the container stops");
}

}  // namespace

void EndpointApi::AddTo(AgentApi& api) {
  // Owners renew every few seconds: that is no change that an operator would look for.
  auto renewal = [this](const ApiCall& call) {
    auto what = Registration::Parse(call.body);
    return what.ok() && book_.WouldRenew(*what);
  };
  api.AddChange("PUT", "/v1/endpoints", "endpoint add", [this](ApiCall call) { return Put(std::move(call)); }, renewal);
  api.AddChange("DELETE", "/v1/endpoints", "endpoint rm", [this, &api](ApiCall call) { return Remove(api, std::move(call)); });
}

EndpointApi::Answer EndpointApi::Put(ApiCall call) {
  CO_ASSIGN_OR_RETURN(Registration what, Registration::Parse(call.body));
  const std::string service = what.Service();
  const HostPort address = what.address;
  CO_ASSIGN_OR_RETURN(bool renewed, co_await book_.Put(std::move(what)));
  const EndpointBook::Entry* entry = book_.Find(service, address);
  if (entry == nullptr) co_return Aborted("endpoint ", address.ToString(), " of ", service, " was removed meanwhile");
  json answer = entry->what.ToJson();
  answer["service"] = service;
  answer["renewed"] = renewed;
  const Nanos expires = book_.ExpiresWall(*entry);
  answer["expires"] = expires == kNever ? json(nullptr) : json(FormatTime(expires));
  co_return answer;
}

EndpointApi::Answer EndpointApi::Remove(const AgentApi& api, ApiCall call) {
  std::string service = call.query("service");
  if (service.empty()) co_return InvalidArgument("service is missing: DELETE /v1/endpoints?service=SERVICE&address=ADDRESS");
  if (service.find('.') == service.npos) service += ".default";
  CO_ASSIGN_OR_RETURN(HostPort address, HostPort::Parse(call.query("address")));
  Status removed = co_await book_.Remove(service, address);
  if (removed.code() == StatusCode::kNotFound) removed = co_await remove_of_file_(service, address);
  if (removed.code() == StatusCode::kNotFound) {
    const AgentView view = api.View();
    for (const lb::Picture::EndpointInfo& endpoint : view.picture().Endpoints(service))
      if (endpoint.view->address == address.address && address.address.is_set())
        co_return FailedPrecondition("endpoint ", address.ToString(), " of ", service, " is ", WhoseAddress(endpoint));
    co_return WithFix(NotFound("there is no endpoint ", address.ToString(), " of ", service), "fairlead endpoint ls");
  }
  if (!removed.ok()) co_return removed;
  co_return json{{"service", service}, {"address", address.ToString()}};
}

}  // namespace fairlead::app
