// The command line: contract, "Programs", "Commands" and "Exit codes".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/output.h"
#include "base/clock.h"

namespace fairlead::app {

// A long-running program: `fairlead NAME [-c FILE]`.
struct Program {
  const char* name;
  const char* about;
  std::function<int(const Config&)> run;
};

// Runs what the arguments (without the program's own name) ask for; gives the exit code.
int RunCommandLine(const std::vector<std::string>& arguments, const std::vector<Program>& programs,
                   const std::string& version, const Terminal& terminal, const Clock& clock);

}  // namespace fairlead::app
