// fairlead-cni without its process: environment and stdin in, stdout and exit status out. The agent does the work; what
// is left here is what must work without it (docs/decisions/0008).
#pragma once

#include <string>

#include "base/time.h"

namespace fairlead::programs {

// Of an ADD that has to wait for a LAN's silence and for a namespace to go; far below what engines wait.
inline constexpr Nanos kCniPatience = 15 * kSecond;

struct CniInput {
  std::string command, container_id, netns, ifname, args, path;  // CNI_COMMAND and so on; "": not set
  std::string config;                                            // stdin
  std::string socket;                                            // of the agent, unless the configuration names one
};

struct ProgramOutput {
  std::string text;                                              // stdout
  int status = 0;
};

ProgramOutput RunCni(const CniInput& input);

}  // namespace fairlead::programs
