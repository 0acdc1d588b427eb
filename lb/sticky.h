// Sticky cookies: what a client shows, and what it is given. Bytes in, bytes out.
#pragma once

#include <string>
#include <string_view>

#include "base/http/head.h"
#include "discovery/row.h"

namespace fairlead::lb {

// The value of the first cookie of this name; "": the client has none.
std::string_view CookieIn(const http::RequestHead& head, std::string_view name);

// The value of Set-Cookie (RFC 6265 §4.1).
void WriteCookie(const discovery::StickyCookie& sticky, std::string_view value, std::string& out);

}  // namespace fairlead::lb
