// fairlead-netavark: the netavark plugin of Podman >= 4.5 (`podman network create -d fairlead-netavark`), a static
// program in one of containers.conf's netavark_plugin_dirs. It carries the call to the agent and the answer back.
#include "runtime-shim/programs/agent_call.h"
#include "runtime-shim/programs/netavark_program.h"
#include "runtime-shim/programs/stdin_text.h"

int main(int argc, char** argv) {
  using namespace fairlead::programs;
  const std::string socket = SocketPath(argc, argv);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const bool reads = !arguments.empty() && arguments[0] != "info";
  const ProgramOutput output = RunNetavark(arguments, reads ? ReadStdin() : "", socket);
  WriteStdout(output.text);
  return output.status;
}
