// Normal form of a path for routing: runs of slashes become one and dot segments are resolved (RFC 3986 §5.2.4), also
// where their dots are written %2e. Everything else, other percent-encoding among it, stays as it is: decoding it could
// change what the backend understands.
#pragma once

#include <cstddef>
#include <string_view>

namespace fairlead::http {

// Would NormalizePath change nothing? One pass, so that the usual path is not copied.
bool IsNormalPath(std::string_view path);

// Writes the normal form of `path`, which begins with '/' and may have a query, into out[0, path.size()). Gives its
// size. What would climb above the root stays at the root.
size_t NormalizePath(std::string_view path, char* out);

}  // namespace fairlead::http
