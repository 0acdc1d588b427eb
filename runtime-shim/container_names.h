// Names of containers that the engine does not tell a plugin: nerdctl keeps them in files (docs/dir.md of nerdctl).
#pragma once

#include <string>
#include <string_view>

namespace fairlead::runtime {

inline constexpr const char kNerdctlRoot[] = "/var/lib/nerdctl";

// The name of nerdctl's container "<namespace>-<id>", of a file ROOT/<hash of containerd's address>/names/<namespace>/NAME
// whose content is the id; "" when there is none. Reads a folder: use it off the worker.
std::string NerdctlName(const std::string& root, std::string_view container_id);

}  // namespace fairlead::runtime
