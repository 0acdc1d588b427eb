#include "app/picture_json.h"

#include <map>

namespace fairlead::app {

using nlohmann::json;

json RoutesJson(const lb::Picture& picture) {
  std::vector<lb::Picture::RouteInfo> all = picture.Routes();
  std::map<std::pair<std::string, std::string>, std::string> winners;
  for (const auto& route : all)
    if (!route.shadowed) winners.try_emplace({route.host, route.path_prefix}, route.service);
  json routes = json::array();
  for (const auto& route : all) {
    json shadowed_by = nullptr;
    if (route.shadowed) shadowed_by = winners[{route.host, route.path_prefix}];
    routes.push_back({{"host", route.host},
                      {"path_prefix", route.path_prefix},
                      {"service", route.service},
                      {"source", route.source},
                      {"shadowed", route.shadowed},
                      {"shadowed_by", std::move(shadowed_by)},
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
      if (endpoint.view.address.is_set()) address = endpoint.view.address.ToString();
      endpoints.push_back({{"name", endpoint.view.name},
                           {"uid", endpoint.view.uid},
                           {"address", std::move(address)},
                           {"weight", endpoint.view.weight},
                           {"source", endpoint.source},
                           {"ready", endpoint.ready},
                           {"reason", endpoint.why_not}});
    }
    size_t total = endpoints.size();
    services.push_back({{"name", name}, {"ready", ready}, {"total", total}, {"endpoints", std::move(endpoints)}});
  }
  return services;
}

io::Task<http::Reply> DescribePicture(const lb::Picture& picture, http::Request request) {
  if (request.path() == "/v1/routes") co_return JsonReply(RoutesJson(picture));
  if (request.path() == "/v1/services") co_return JsonReply(ServicesJson(picture));
  co_return ErrorReply(NotFound("no such page: ", request.path(), "; there are /v1/routes, /v1/services and /v1/reload"));
}

}  // namespace fairlead::app
