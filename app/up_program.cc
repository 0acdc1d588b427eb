// fairlead up: for trial and tests, the three programs as supervised children, the holder of the plugin socket
// (docs/decisions/0003-plugin-holder.md), and the authorization plugin at a socket that is held here
// (docs/decisions/0007-authorization-plugin.md). A child that ends is started again; all end with their parent, by
// SIGKILL too.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "app/process.h"
#include "app/programs.h"
#include "base/log.h"
#include "base/io/signals.h"
#include "runtime-shim/plugin_holder.h"

namespace fairlead::app {
namespace {

constexpr Nanos kRestartPause = 500 * kMillisecond;  // doubled while a child keeps ending at once
constexpr Nanos kLongestPause = 10 * kSecond;
constexpr Nanos kStopGrace = 15 * kSecond;           // then SIGKILL
constexpr Nanos kLookInterval = 100 * kMillisecond;

constexpr Nanos kAtOncePause = 50 * kMillisecond;    // of one that is wanted back at once, if it ended within that time
constexpr int kListenFd = 3;                         // sd_listen_fds(3)

struct Child {
  const char* name;
  std::string program;
  std::vector<std::string> arguments;
  int listener = -1;                // passed on as systemd does it
  bool at_once = false;             // dockerd waits for it
  pid_t pid = -1;
  Nanos started = 0, restart_at = 0;
  Nanos pause = kRestartPause;
};

Child OwnProgram(const Config& config, const std::string& program, const char* command) {
  Child child{.name = command, .program = program, .arguments = {command}};
  if (!config.file.empty()) child.arguments.insert(child.arguments.end(), {"-c", config.file});
  return child;
}

// In the child: where its parent is told to find a listening socket, and that this one is meant.
void PassListener(int listener) {
  if (listener == kListenFd) fcntl(listener, F_SETFD, 0);
  if (listener != kListenFd) dup2(listener, kListenFd);
  setenv("LISTEN_PID", Cat(getpid()).c_str(), 1);
  setenv("LISTEN_FDS", "1", 1);
}

class Supervisor {
 public:
  Supervisor(Process& process, io::SignalWaiter& ends, std::string holder_control, std::vector<Child> children)
      : process_(process), ends_(ends), holder_control_(std::move(holder_control)), children_(std::move(children)) {}

  void Start() {
    for (Child& child : children_) Launch(child);
    process_.tasks().Spawn(WatchEnds());
    process_.tasks().Spawn(WatchPauses());
  }

  void Stop() {
    for (Child& child : children_)
      if (child.pid > 0) kill(child.pid, SIGTERM);
    Nanos deadline = process_.clock().Now() + kStopGrace;
    while (Reap() > 0) {
      if (process_.clock().Now() > deadline)
        for (Child& child : children_)
          if (child.pid > 0) kill(child.pid, SIGKILL);
      process_.proactor().Turn(20 * kMillisecond);
    }
  }

 private:
  void Launch(Child& child) {
    std::string parent = Cat(getpid());
    child.started = process_.proactor().Now();
    child.pid = fork();
    if (child.pid != 0) return;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    prctl(PR_SET_PDEATHSIG, SIGTERM);              // of programs that do not know EndWithParent
    if (Cat(getppid()) != parent) _exit(1);
    setenv("FAIRLEAD_PARENT", parent.c_str(), 1);  // see EndWithParent
    setenv("FAIRLEAD_PLUGIN_HOLDER", holder_control_.c_str(), 1);
    std::vector<const char*> arguments{child.program.c_str()};
    for (const std::string& argument : child.arguments) arguments.push_back(argument.c_str());
    arguments.push_back(nullptr);
    if (child.listener >= 0) PassListener(child.listener);
    execv(child.program.c_str(), const_cast<char* const*>(arguments.data()));
    _exit(127);
  }

  // Number of children that still run.
  size_t Reap() {
    size_t running = 0;
    for (Child& child : children_) {
      int status = 0;
      if (child.pid > 0 && waitpid(child.pid, &status, WNOHANG) == child.pid) Ended(child, status);
      running += child.pid > 0;
    }
    return running;
  }

  void Ended(Child& child, int status) {
    Nanos now = process_.proactor().Now();
    child.pid = -1;
    child.pause = now - child.started > kLongestPause ? kRestartPause : std::min(child.pause * 2, kLongestPause);
    if (child.at_once) child.pause = now - child.started > kAtOncePause ? 0 : kAtOncePause;
    child.restart_at = now + child.pause;
    LOG(kWarning, "program ended", {"program", child.name},
        {"how", WIFSIGNALED(status) ? Cat("signal ", WTERMSIG(status)) : Cat("exit code ", WEXITSTATUS(status))},
        {"again_in_ms", child.pause / kMillisecond});
  }

  void LaunchWhatIsDue() {
    for (Child& child : children_)
      if (child.pid < 0 && process_.proactor().Now() >= child.restart_at) Launch(child);
  }

  io::Task<void> WatchEnds() {
    while ((co_await ends_.Next()).ok()) {
      Reap();
      LaunchWhatIsDue();
    }
  }

  io::Task<void> WatchPauses() {
    while ((co_await io::Sleep(process_.proactor(), kLookInterval)).ok()) LaunchWhatIsDue();
  }

  Process& process_;
  io::SignalWaiter& ends_;   // SIGCHLD
  std::string holder_control_;
  std::vector<Child> children_;
};

// The authorization plugin, at a socket that stays while the plugin is started again. dockerd calls it only if its
// daemon.json names it; so `up` does without it where it cannot be served.
StatusOr<Child> AuthorizationPlugin(const Config& config, Process& process, const std::string& program) {
  std::string authz = (std::filesystem::path(program).parent_path() / "fairlead-authz").string();
  if (access(authz.c_str(), X_OK) != 0) return ErrnoStatus(errno, Cat("find ", authz));
  ASSIGN_OR_RETURN(SocketAddress address, SocketAddress::Unix(AuthzSocket(config)));
  ASSIGN_OR_RETURN(int listener, process.proactor().Listen(address, {.replace_stale = true}));
  return Child{.name = "authz", .program = authz, .arguments = {"--fairlead-socket", config.api_socket},
               .listener = listener, .at_once = true};
}

// Both sockets of the holder: dockerd's, and the one where the agent comes for it.
StatusOr<std::unique_ptr<runtime::PluginHolder>> MakeHolder(const Config& config, Process& process,
                                                            const std::string& control_path) {
  io::Proactor& proactor = process.proactor();
  for (const std::string& folder : {config.plugin_dir, std::string(std::filesystem::path(control_path).parent_path())}) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return ErrnoStatus(error.value(), Cat("make folder ", folder));
  }
  ASSIGN_OR_RETURN(SocketAddress plugin, SocketAddress::Unix(Cat(config.plugin_dir, "/", config.plugin_name, ".sock")));
  ASSIGN_OR_RETURN(SocketAddress control, SocketAddress::Unix(control_path));
  ASSIGN_OR_RETURN(int plugin_fd, proactor.Listen(plugin, {.replace_stale = true}));
  ASSIGN_OR_RETURN(int control_fd, proactor.Listen(control, {.replace_stale = true}));
  return std::make_unique<runtime::PluginHolder>(proactor, plugin_fd, control_fd);
}

Status Run(const Config& config, const std::string& program) {
  if (geteuid() != 0) return PermissionDenied("up starts the agent, which needs root: run it as root");
  ASSIGN_OR_RETURN(std::unique_ptr<Process> process, Process::Make("up"));
  std::string control = Cat(std::filesystem::path(config.api_socket).parent_path().string(), "/plugin-holder.sock");
  ASSIGN_OR_RETURN(std::unique_ptr<runtime::PluginHolder> holder, MakeHolder(config, *process, control));
  process->tasks().Spawn(holder->Run());
  ASSIGN_OR_RETURN(io::SignalWaiter ends, io::SignalWaiter::Open(process->proactor(), {SIGCHLD}));
  std::vector<Child> children;
  for (const char* command : {"agent", "dns", "lb"}) children.push_back(OwnProgram(config, program, command));
  StatusOr<Child> authz = AuthorizationPlugin(config, *process, program);
  const bool serves_authz = authz.ok();
  if (serves_authz) {
    children.push_back(*std::move(authz));
  } else {
    LOG(kWarning, "the authorization plugin is not served", {"because", Message(authz.status())});
  }
  Supervisor supervisor(*process, ends, control, std::move(children));
  supervisor.Start();
  process->Run();
  supervisor.Stop();
  unlink(control.c_str());
  unlink(Cat(config.plugin_dir, "/", config.plugin_name, ".sock").c_str());
  if (serves_authz) unlink(AuthzSocket(config).c_str());
  return OkStatus();
}

}  // namespace

int RunUp(const Config& config, const std::string& program) {
  Status status = Run(config, program);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace fairlead::app
