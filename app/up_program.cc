// fairlead up: for trial and tests, the three programs as supervised children, and the holder of the plugin socket
// (docs/decisions/0003-plugin-holder.md). A child that ends is started again; all end with their parent, by SIGKILL too.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "app/process.h"
#include "app/programs.h"
#include "base/log.h"
#include "runtime-shim/plugin_holder.h"

namespace fairlead::app {
namespace {

constexpr Nanos kRestartPause = 500 * kMillisecond;  // doubled while a child keeps ending at once
constexpr Nanos kLongestPause = 10 * kSecond;
constexpr Nanos kStopGrace = 15 * kSecond;           // then SIGKILL
constexpr Nanos kLookInterval = 100 * kMillisecond;

struct Child {
  const char* name;                 // the subcommand
  pid_t pid = -1;
  Nanos started = 0, restart_at = 0;
  Nanos pause = kRestartPause;
};

class Supervisor {
 public:
  Supervisor(const Config& config, Process& process, std::string program, std::string holder_control)
      : config_(config), process_(process), program_(std::move(program)), holder_control_(std::move(holder_control)),
        children_{{"agent"}, {"dns"}, {"lb"}} {}

  void Start() {
    for (Child& child : children_) Launch(child);
    process_.tasks().Spawn(Watch());
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
    setenv("FAIRLEAD_PARENT", parent.c_str(), 1);  // see EndWithParent
    setenv("FAIRLEAD_PLUGIN_HOLDER", holder_control_.c_str(), 1);
    std::vector<const char*> arguments{program_.c_str(), child.name};
    if (!config_.file.empty()) arguments.insert(arguments.end(), {"-c", config_.file.c_str()});
    arguments.push_back(nullptr);
    execv(program_.c_str(), const_cast<char* const*>(arguments.data()));
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
    child.restart_at = now + child.pause;
    LOG(kWarning, "program ended", {"program", child.name},
        {"how", WIFSIGNALED(status) ? Cat("signal ", WTERMSIG(status)) : Cat("exit code ", WEXITSTATUS(status))},
        {"again_in_ms", child.pause / kMillisecond});
  }

  io::Task<void> Watch() {
    while ((co_await io::Sleep(process_.proactor(), kLookInterval)).ok()) {
      Reap();
      for (Child& child : children_)
        if (child.pid < 0 && process_.proactor().Now() >= child.restart_at) Launch(child);
    }
  }

  const Config& config_;
  Process& process_;
  std::string program_;
  std::string holder_control_;
  std::vector<Child> children_;
};

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
  Supervisor supervisor(config, *process, program, control);
  supervisor.Start();
  process->Run();
  supervisor.Stop();
  unlink(control.c_str());
  unlink(Cat(config.plugin_dir, "/", config.plugin_name, ".sock").c_str());
  return OkStatus();
}

}  // namespace

int RunUp(const Config& config, const std::string& program) {
  Status status = Run(config, program);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace fairlead::app
