// fairlead-cni: the CNI plugin, a static program that engines start for each container (type: fairlead-cni, or fairlead
// where it is linked so; also as ipam.type). It carries the call to the agent and the answer back.
#include <cstdlib>

#include "runtime-shim/programs/agent_call.h"
#include "runtime-shim/programs/cni_program.h"
#include "runtime-shim/programs/stdin_text.h"

int main(int argc, char** argv) {
  using namespace fairlead::programs;
  auto variable = [](const char* name) {
    const char* value = getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  CniInput input{.command = variable("CNI_COMMAND"), .container_id = variable("CNI_CONTAINERID"), .netns = variable("CNI_NETNS"),
                 .ifname = variable("CNI_IFNAME"),   .args = variable("CNI_ARGS"),                .path = variable("CNI_PATH"),
                 .config = {},                       .socket = SocketPath(argc, argv)};
  if (!input.command.empty() && input.command != "VERSION") input.config = ReadStdin();
  const ProgramOutput output = RunCni(input);
  WriteStdout(output.text);
  return output.status;
}
