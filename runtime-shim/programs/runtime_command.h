// What fairlead-runtime has to know of the command line of an OCI runtime (runc(8), crun(1)): the verb and, of
// `create`, whose container it is. Everything else is the real runtime's business.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fairlead::programs {

struct RuntimeCommand {
  std::string_view verb;       // "" when there is none
  std::string_view container;  // the id, of `create` only; "" when there is none
};

// `arguments` without the program's own name. Flags are skipped with their values: what takes one is known for runc and
// crun, any other flag is taken for one without. A wrong guess costs a call to the agent that means nothing there.
RuntimeCommand ParseRuntimeCommand(const std::vector<std::string_view>& arguments);

// The real runtime: `chosen` (FAIRLEAD_RUNTIME) if it is not empty, else the first of runc and crun at the usual places
// that may be executed and is not this program itself. "" when there is none.
std::string FindRuntime(std::string_view chosen);

}  // namespace fairlead::programs
