// The authority of a request: the value of Host and the part between "//" and the path of an absolute-form target.
#pragma once

#include <string_view>

namespace fairlead::http {

// uri-host [":" port] of RFC 3986 §3.2.2 with a host that is not empty and without userinfo (RFC 9110 §4.2.4).
bool IsAuthority(std::string_view text);

// Splits a target of absolute-form with the scheme http or https (RFC 9112 §3.2.2). `path` becomes the rest behind the
// authority, "" where there is none. False when it is none of ours or its authority is no valid one.
bool SplitAbsoluteTarget(std::string_view target, std::string_view& authority, std::string_view& path);

}  // namespace fairlead::http
