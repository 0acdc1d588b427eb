// The balancer's picture as JSON (contract, "Commands"): /v1/routes, /v1/services, /v1/why.
#pragma once

#include <nlohmann/json.hpp>

#include "base/http/server.h"
#include "lb/picture.h"

namespace fairlead::app {

nlohmann::json RoutesJson(const lb::Picture& picture);
nlohmann::json ServicesJson(const lb::Picture& picture);

http::Reply JsonReply(const nlohmann::json& body, int status = 200);
// {"error": {"code": "NOT_FOUND", "message": "…"}} with the HTTP status that belongs to the code.
http::Reply ErrorReply(const Status& status);

io::Task<http::Reply> DescribePicture(const lb::Picture& picture, http::Request request);

}  // namespace fairlead::app
