// fairlead-netavark without its process: netavark's external plugins (plugin-API.md of containers/netavark, API 1.0.0).
#pragma once

#include <string>
#include <vector>

#include "runtime-shim/programs/cni_program.h"

namespace fairlead::programs {

// `arguments` without the program's name: create | setup NETNS | teardown NETNS | info. `input` is stdin.
ProgramOutput RunNetavark(const std::vector<std::string>& arguments, const std::string& input, const std::string& socket);

}  // namespace fairlead::programs
