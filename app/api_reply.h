// Replies of the HTTP API, and how an error travels in one: {"error": {"code": "NOT_FOUND", "message": "…", "fix": "…"}}.
// `fix` is a command that leads on; it is there where one is obvious (conventions, B13).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/http/server.h"
#include "base/status.h"

namespace fairlead::app {

Status WithFix(Status status, std::string_view fix);
std::string FixOf(const Status& status);  // "": none

http::Reply JsonReply(const nlohmann::json& body, int status = 200);
// With the HTTP status that belongs to the code.
http::Reply ErrorReply(const Status& status);
// The error that a reply's body carries; Internal when it carries none.
Status ErrorOf(int http_status, const nlohmann::json& body);

// "a%2Fb" for "a/b": one value within a path or query.
std::string PercentEncode(std::string_view text);
std::string PercentDecode(std::string_view text);

}  // namespace fairlead::app
