#include "dataplane/bridge_filter.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

namespace fairlead::dataplane {
namespace {

struct Family {
  const char* command;
  const char* sysctl;  // absent while br_netfilter is not loaded
};
constexpr Family kFamilies[] = {
    {"iptables", "/proc/sys/net/bridge/bridge-nf-call-iptables"},
    {"ip6tables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"},
};

bool Filtered(const Family& family) {
  int value = 0;
  std::ifstream(family.sysctl) >> value;
  return value != 0;
}

// The exit code of a command that writes nowhere; -1 with errno when it could not be run.
int Run(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  errno = error;
  if (error != 0) return -1;
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// -w: another program may hold the lock of the tables.
std::vector<std::string> Rule(const Family& family, const char* action, const std::string& bridge) {
  return {family.command, "-w", "5", action, "FORWARD", "-i", bridge, "-o", bridge,
          "-m", "comment", "--comment", "fairlead", "-j", "ACCEPT"};
}

Status AllowFamily(const Family& family, const std::string& bridge) {
  if (Run(Rule(family, "-C", bridge)) == 0) return OkStatus();
  const int code = Run(Rule(family, "-I", bridge));
  if (code == 0) return OkStatus();
  const std::string problem = code < 0 ? std::string(std::strerror(errno)) : Cat("exit code ", code);
  return Unavailable("accept bridged packets of ", bridge, ": ", problem, "; where FORWARD drops, run: ", family.command,
                     " -I FORWARD -i ", bridge, " -o ", bridge, " -j ACCEPT");
}

}  // namespace

Status BridgeFilter::Allow(const std::string& bridge) {
  Status first;
  for (const Family& family : kFamilies) {
    if (!Filtered(family)) continue;
    allowed_.insert(bridge);
    if (Status status = AllowFamily(family, bridge); first.ok()) first = status;
  }
  return first;
}

Status BridgeFilter::AllowOnce(const std::string& bridge) {
  return allowed_.contains(bridge) ? OkStatus() : Allow(bridge);
}

Status BridgeFilter::Forget(const std::string& bridge) {
  allowed_.erase(bridge);
  for (const Family& family : kFamilies)
    if (Filtered(family) && Run(Rule(family, "-C", bridge)) == 0 && Run(Rule(family, "-D", bridge)) != 0)
      return Unavailable("remove the rule of bridge ", bridge, " from ", family.command, "'s FORWARD chain");
  return OkStatus();
}

}  // namespace fairlead::dataplane
