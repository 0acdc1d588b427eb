// A file of users as htpasswd writes it: NAME:HASH in each line; blank lines and those that begin with # say nothing.
#pragma once

#include <string>

#include "discovery/middleware.h"

namespace fairlead::lb {

inline constexpr size_t kMaxUsersFileBytes = 1 << 20;

// Blocks, as short as a local file takes. The error names file and line, and shows no hash. The path may come from a
// label: what is no regular file (a device, a pipe) is refused without reading.
StatusOr<discovery::NamedValues> ReadUsersFile(const std::string& path);

}  // namespace fairlead::lb
