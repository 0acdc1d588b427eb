// fairlead-authz: Docker authorization plugin that allows everything. dockerd before 29 does not say for whom it asks an
// address; this program is told of a container between its creation and its start, and lets the agent write the
// container's own address into its configuration then (docs/decisions/0007-authorization-plugin.md).
//
//   fairlead-authz [--fairlead-socket PATH] [--socket PATH]
//
// The plugin's socket is passed on by systemd or by `fairlead up`; --socket PATH makes one.
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

#include "runtime-shim/programs/agent_call.h"
#include "runtime-shim/programs/authz_server.h"
#include "runtime-shim/programs/service_socket.h"

namespace fairlead::programs {
namespace {

constexpr int kUsage = 2;

int Fail(int code, std::string_view why) {
  fprintf(stderr, "fairlead-authz: %.*s\n", static_cast<int>(why.size()), why.data());
  return code;
}

int Run(int argc, char** argv) {
  std::string agent = SocketPath(argc, argv);
  int listener = TakeListenFd();
  if (argc == 3 && std::string_view(argv[1]) == "--socket" && listener < 0) {
    StatusOr<int> made = ListenAtPath(argv[2]);
    if (!made.ok()) return Fail(1, Message(made.status()));
    listener = *made;
  } else if (argc != 1) {
    return Fail(kUsage, "usage: fairlead-authz [--fairlead-socket PATH] [--socket PATH]");
  }
  if (listener < 0) return Fail(kUsage, "no socket was passed on; --socket /run/docker/plugins/fairlead-authz.sock makes it");

  AuthzSecret secret((std::filesystem::path(agent).parent_path() / "authz.secret").string());
  AuthzRules rules{secret, [&agent](const PinQuestion& question, Nanos deadline) { AskAgent(agent, question, deadline); }};
  NotifyService("READY=1");
  ServeAllAuthz(listener, rules, [] { NotifyService("WATCHDOG=1"); });
}

}  // namespace
}  // namespace fairlead::programs

int main(int argc, char** argv) { return fairlead::programs::Run(argc, argv); }
