#include "app/picture_json.h"

#include "app/agent_view.h"
#include "app/balancer_word.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

// In the order they are applied, chains laid out; what has no effect comes as a note.
json MiddlewaresJson(const lb::Picture::RouteInfo& route) {
  json steps = json::array();
  if (route.resolved.chain != nullptr && route.resolved.fault.empty())
    for (const auto& step : route.resolved.chain->steps()) steps.push_back({{"id", step.id}, {"does", step.what}});
  return {{"references", route.middlewares}, {"steps", std::move(steps)}, {"notes", route.resolved.notes}};
}

}  // namespace

json MiddlewaresJson(const lb::Picture& picture) {
  json list = json::array();
  for (const lb::MiddlewareBook::Info& info : picture.Middlewares()) {
    list.push_back({{"id", info.id}, {"kind", info.kind}, {"source", info.holder}, {"does", info.what}, {"fault", nullptr}});
    if (!info.fault.empty()) list.back()["fault"] = info.fault;
  }
  return list;
}

json RoutesJson(const lb::Picture& picture) {
  json routes = json::array();
  auto or_null = [](const std::string& text) { return text.empty() ? json(nullptr) : json(text); };
  for (const auto& route : picture.Routes()) {
    routes.push_back({{"host", route.host},
                      {"path_prefix", route.path_prefix},
                      {"service", route.service},
                      {"source", route.source},
                      {"rule", or_null(route.rule)},
                      {"priority", route.priority},
                      {"fault", or_null(route.fault.empty() ? route.resolved.fault : route.fault)},
                      {"middlewares", MiddlewaresJson(route)},
                      {"shadowed", route.shadowed()},
                      {"shadowed_by", or_null(route.shadowed_by)},
                      {"listeners", route.listeners}});
  }
  return routes;
}

json ServicesJson(const lb::Picture& picture) {
  json services = json::array();
  for (const std::string& name : picture.Services()) {
    json endpoints = json::array();
    size_t ready = 0;
    for (const lb::Picture::EndpointInfo& endpoint : picture.Endpoints(name)) {
      ready += endpoint.ready;
      json address = nullptr;
      if (endpoint.view->address.is_set()) address = endpoint.view->address.ToString();
      endpoints.push_back({{"name", endpoint.view->name},
                           {"uid", endpoint.view->uid},
                           {"address", std::move(address)},
                           {"weight", endpoint.view->weight},
                           {"source", endpoint.source},
                           {"ready", endpoint.ready},
                           {"reason", endpoint.why_not},
                           {"note", endpoint.note},
                           {"health", HealthName(endpoint.health.state)},
                           {"checked_by", endpoint.checked_by},
                           {"fails_open", endpoint.fails_open},
                           {"listen", endpoint.listen == 0 ? json(nullptr) : json(endpoint.listen)},
                           {"listen_fault", endpoint.listen_fault}});
    }
    size_t total = endpoints.size();
    services.push_back({{"name", name}, {"ready", ready}, {"total", total}, {"endpoints", std::move(endpoints)}});
  }
  return services;
}

io::Task<http::Reply> DescribePicture(const lb::Picture& picture, http::Request request) {
  if (request.path() == "/v1/routes") co_return JsonReply(RoutesJson(picture));
  if (request.path() == "/v1/services") co_return JsonReply(ServicesJson(picture));
  if (request.path() == "/v1/checks") co_return JsonReply(ChecksJson(picture));
  if (request.path() == "/v1/middlewares") co_return JsonReply(MiddlewaresJson(picture));
  co_return ErrorReply(NotFound("no such page: ", request.path(),
                               "; there are /v1/routes, /v1/middlewares, /v1/services, /v1/checks and /v1/reload"));
}

}  // namespace fairlead::app
