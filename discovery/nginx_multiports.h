// VIRTUAL_HOST_MULTIPORTS of nginx-proxy (conventions, A3): hosts, their paths, and the port of each, as YAML or JSON.
//
//   www.example.com:            # without a path: "/"
//   api.example.com:
//     "/": {port: 8080}
//     "/admin": {port: 9090, dest: /}
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace fairlead::discovery {

inline constexpr size_t kMaxMultiportsBytes = 16 << 10;
inline constexpr size_t kMaxMultiportsPaths = 64;  // of one container; more: an error, since a part would mislead

// What is told of a path. As it was written; "": the default.
struct VirtualPath {
  std::string host, path, port, proto, dest;
};

// `problems`: keys that have no effect. The error says what is no such map.
StatusOr<std::vector<VirtualPath>> ParseMultiports(const std::string& text, std::vector<std::string>& problems);

}  // namespace fairlead::discovery
