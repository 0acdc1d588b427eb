// lint: checks a file without using it. What kind of file it is, its content tells: a configuration of Fairlead, or a
// compose file, whose labels and variables of every dialect are read as the agent will read them.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace fairlead::app {

struct LintReport {
  std::string kind;                  // "configuration", "compose file"
  std::string summary;               // "3 services, 5 labels"
  std::vector<std::string> warnings; // what works but should be written otherwise
  std::vector<std::string> faults;   // "compose.yaml:12: service web: label fairlead.hots is not understood …"
};

// An error when the text is no YAML at all. `file` opens every fault.
StatusOr<LintReport> Lint(const std::string& text, const std::string& file);

}  // namespace fairlead::app
