#include "app/picture_json.h"

namespace fairlead::app {

using nlohmann::json;

json RoutesJson(const lb::Picture& picture) {
  json routes = json::array();
  for (const lb::Picture::RouteInfo& route : picture.Routes())
    routes.push_back({{"host", route.host},
                      {"path_prefix", route.path_prefix},
                      {"service", route.service},
                      {"source", route.source},
                      {"shadowed", route.shadowed},
                      {"listeners", route.listeners}});
  return routes;
}

json ServicesJson(const lb::Picture& picture) {
  json services = json::array();
  for (const std::string& name : picture.Services()) {
    json endpoints = json::array();
    size_t ready = 0;
    for (const lb::Picture::EndpointInfo& endpoint : picture.Endpoints(name)) {
      ready += endpoint.ready;
      endpoints.push_back({{"name", endpoint.view.name},
                           {"uid", endpoint.view.uid},
                           {"address", endpoint.view.address.ToString()},
                           {"weight", endpoint.view.weight},
                           {"source", endpoint.source},
                           {"ready", endpoint.ready},
                           {"reason", endpoint.why_not}});
    }
    services.push_back({{"name", name}, {"ready", ready}, {"endpoints", std::move(endpoints)}});
  }
  return services;
}

http::Reply JsonReply(const json& body, int status) {
  http::Reply reply;
  reply.status = status;
  reply.headers.push_back({"Content-Type", "application/json"});
  // Bytes that are no UTF-8 (names come from outside) are shown as U+FFFD rather than failing the answer.
  reply.body = body.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  return reply;
}

http::Reply ErrorReply(const Status& status) {
  int code = 500;
  switch (status.code()) {
    case StatusCode::kInvalidArgument: code = 400; break;
    case StatusCode::kPermissionDenied: code = 403; break;
    case StatusCode::kNotFound: code = 404; break;
    case StatusCode::kAlreadyExists:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kAborted: code = 409; break;
    case StatusCode::kResourceExhausted: code = 429; break;
    case StatusCode::kUnimplemented: code = 501; break;
    case StatusCode::kUnavailable: code = 503; break;
    default: break;
  }
  return JsonReply({{"error", {{"code", CodeName(status.code())}, {"message", Message(status)}}}}, code);
}

io::Task<http::Reply> DescribePicture(const lb::Picture& picture, http::Request request) {
  if (request.path() == "/v1/routes") co_return JsonReply(RoutesJson(picture));
  if (request.path() == "/v1/services") co_return JsonReply(ServicesJson(picture));
  co_return ErrorReply(NotFound("no such page: ", request.path(), "; there are /v1/routes and /v1/services"));
}

}  // namespace fairlead::app
