// install docker --authz, install podman, and the way back.
#include <unistd.h>

#include <memory>
#include <ostream>

#include "app/commands.h"
#include "app/config.h"
#include "app/daemon_json.h"
#include "app/install_host.h"
#include "app/install_podman.h"
#include "app/process.h"
#include "app/whole_file.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

struct InstallOptions {
  bool authz = false, runtime = false, dns = false;
  std::string daemon_json = "/etc/docker/daemon.json";
  std::string pid_file;                       // "": what daemon.json says, else /run/docker.pid
};

Status CheckOptions(const InstallOptions& options, const char* verb) {
  if (options.runtime) return InvalidArgument("--runtime: not yet: this version cannot do it");
  if (!options.authz && !options.dns) return InvalidArgument("what is to be done? fairlead ", verb, " docker --authz, or --dns");
  if (geteuid() != 0) return PermissionDenied(options.daemon_json, " and dockerd are root's; be root");
  return OkStatus();
}

StatusOr<std::string> PidFile(const InstallOptions& options) {
  if (!options.pid_file.empty()) return options.pid_file;
  ASSIGN_OR_RETURN(std::optional<std::string> text, ReadWhole(options.daemon_json));
  ASSIGN_OR_RETURN(std::string named, JsonText(text.value_or(""), options.daemon_json, "pidfile"));
  return named.empty() ? "/run/docker.pid" : named;
}

// What containers can reach: not loopback, and at the port that resolvers ask.
StatusOr<std::string> NameServerFor(const Config& config) {
  for (const SocketAddress& address : config.dns_listen) {
    if (address.port() != 53 || address.ip().is_loopback() || address.ip().is_unspecified()) continue;
    if (!config.dns_forward.empty()) return address.ip().ToString();
    return FailedPrecondition("dns.forward is empty: containers would find no names but ours; set it to the servers that this host "
                              "uses (/etc/resolv.conf)");
  }
  return FailedPrecondition("dns.listen has no address that containers can use: port 53, not loopback; as 169.254.53.53:53");
}

struct Steps {
  Status (*authz)(const DaemonJsonPlan&, InstallHost&, std::ostream&);
  Status (*dns)(const std::string& file, const std::string& address, std::ostream& out);
  bool installs;
};

Status Run(Session& session, const InstallOptions& options, const char* verb, const Steps& steps) {
  RETURN_IF_ERROR(CheckOptions(options, verb));
  ASSIGN_OR_RETURN(Config config, LoadConfig({.file = session.options.config}));
  if (options.dns) {
    auto address = NameServerFor(config);
    // What is not configured any more can still be taken out where it was the default.
    if (!address.ok() && steps.installs) return address.status();
    RETURN_IF_ERROR(steps.dns(options.daemon_json, address.value_or("169.254.53.53"), session.out()));
    if (!options.authz) return OkStatus();
  }
  ASSIGN_OR_RETURN(std::string pid_file, PidFile(options));
  DockerdPlace place{.api_socket = config.docker_socket, .pid_file = pid_file, .plugin_socket = AuthzSocket(config)};
  ASSIGN_OR_RETURN(std::unique_ptr<DockerHost> host, DockerHost::Open(std::move(place), TheClock()));
  return steps.authz({.file = options.daemon_json, .plugin = AuthzPlugin(config)}, *host, session.out());
}

void AddDocker(CommandTree& tree, CLI::App& noun, const char* verb, const char* about, const Steps& steps) {
  auto options = std::make_shared<InstallOptions>();
  CLI::App& command = tree.Local(noun, "docker", about, [options, verb, steps](Session& session) { return Run(session, *options, verb, steps); });
  command.add_flag("--authz", options->authz, "authorization plugin: names before dockerd 29 (docs/decisions/0007)");
  command.add_flag("--runtime", options->runtime, "not yet");
  command.add_flag("--dns", options->dns, "name server of all containers; dockerd has to be restarted for it");
  command.add_option("--daemon-json", options->daemon_json, "dockerd's configuration")->type_name("FILE");
  command.add_option("--pid-file", options->pid_file, "of dockerd (default: what daemon.json says, or /run/docker.pid)")->type_name("FILE");
  command.add_option("-c,--config", tree.options().config, "Fairlead's configuration: names dockerd's socket and plugin folder")->type_name("FILE");
}

void AddPodman(CommandTree& tree, CLI::App& noun, Status (*step)(const PodmanPlan&, std::ostream&)) {
  auto plan = std::make_shared<PodmanPlan>();
  CLI::App& command = tree.Local(noun, "podman", "Podman, by CNI or netavark", [plan, step](Session& session) -> Status {
    if (geteuid() != 0) return PermissionDenied(plan->conf, " is root's; be root");
    return step(*plan, session.out());
  });
  command.add_option("--containers-conf", plan->conf, "Podman's configuration; the drop-in is beside it")->type_name("FILE");
  command.add_option("--plugin-dir", plan->plugin_dir, "where fairlead-cni and fairlead-netavark are")->type_name("FOLDER");
}

}  // namespace

void AddInstallCommands(CommandTree& tree) {
  CLI::App& install = tree.Noun("install", "have a container engine use what Fairlead offers");
  CLI::App& uninstall = tree.Noun("uninstall", "the way back of install");
  AddDocker(tree, install, "install", "dockerd", {InstallAuthz, InstallDns, true});
  AddDocker(tree, uninstall, "uninstall", "dockerd", {UninstallAuthz, UninstallDns, false});
  AddPodman(tree, install, InstallPodman);
  AddPodman(tree, uninstall, UninstallPodman);
}

}  // namespace fairlead::app
