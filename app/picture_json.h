// The balancer's picture as JSON: what its admin socket tells (docs/api.md).
#pragma once

#include <nlohmann/json.hpp>

#include "app/api_reply.h"
#include "lb/picture.h"

namespace fairlead::app {

nlohmann::json RoutesJson(const lb::Picture& picture);
nlohmann::json MiddlewaresJson(const lb::Picture& picture);
nlohmann::json ServicesJson(const lb::Picture& picture);

io::Task<http::Reply> DescribePicture(const lb::Picture& picture, http::Request request);

}  // namespace fairlead::app
