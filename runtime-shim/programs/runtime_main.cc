// fairlead-runtime: an OCI runtime (`docker --add-runtime`) that is runc or crun, but that tells the agent of each
// container before it is created. dockerd from 26 on asks for addresses after the runtime's create, without saying for
// whom; the agent lets one start at a time pass to its question and so knows the name.
//
// Whatever the agent says or does not say, the real runtime runs, with all arguments as they came.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "runtime-shim/programs/agent_call.h"
#include "runtime-shim/programs/runtime_command.h"

namespace fairlead::programs {
namespace {

constexpr Nanos kPatience = 50 * kMillisecond;  // for all of it, from before the connect

void Announce(const std::string& socket_path, std::string_view container) {
  Nanos deadline = MonotonicNow() + kPatience;
  // The pid stays: what runs next takes this process over.
  (void)CallAgent(socket_path, "starting", {{"container", container}, {"pid", getpid()}}, deadline);
}

int Run(int argc, char** argv) {
  std::string socket_path = SocketPath(argc, argv);
  RuntimeCommand command = ParseRuntimeCommand({argv + 1, argv + argc});
  if (!command.container.empty()) Announce(socket_path, command.container);
  const char* chosen = getenv("FAIRLEAD_RUNTIME");
  std::string runtime = FindRuntime(chosen != nullptr ? chosen : "");
  if (runtime.empty()) {
    fputs("fairlead-runtime: there is neither runc nor crun in /usr/bin, /usr/sbin, /usr/local/bin and /usr/local/sbin; "
          "install one or set FAIRLEAD_RUNTIME\n", stderr);
    return 127;
  }
  argv[0] = runtime.data();  // crun is told by it which of its kinds it is
  execv(runtime.c_str(), argv);
  fprintf(stderr, "fairlead-runtime: run %s: %s\n", runtime.c_str(), strerror(errno));
  return 127;
}

}  // namespace
}  // namespace fairlead::programs

int main(int argc, char** argv) { return fairlead::programs::Run(argc, argv); }
