// The command line: contract, "Programs" and "Commands".
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "app/programs.h"

namespace fairlead::app {
namespace {

int Main(int argc, char** argv) {
  CLI::App app("Fairlead: addresses, names, routes and life-cycle of containers, from one catalog", "fairlead");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("fairlead ") + FAIRLEAD_VERSION);
  std::string file;
  int exit_code = 0;
  auto program = [&](const char* name, const char* about, std::function<int(const Config&)> run) {
    CLI::App* command = app.add_subcommand(name, about);
    command->add_option("-c,--config", file, "configuration file (default: /etc/fairlead/fairlead.yaml and conf.d)");
    command->callback([&, run] {
      StatusOr<Config> config = LoadConfig({.file = file});
      exit_code = config.ok() ? run(*config) : Fail(config.status());
    });
  };
  program("agent", "per host, root: engine, addresses, data plane, catalog, API", RunAgent);
  program("dns", "name server", RunDns);
  program("lb", "load balancer", RunLb);
  program("up", "all three as supervised processes, for trial and tests", [](const Config& config) {
    char self[4096];
    ssize_t bytes = readlink("/proc/self/exe", self, sizeof self);
    return RunUp(config, std::string(self, bytes > 0 ? static_cast<size_t>(bytes) : 0));
  });
  try {  // CLI11 throws on usage errors and on --help
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  return exit_code;
}

}  // namespace
}  // namespace fairlead::app

int main(int argc, char** argv) { return fairlead::app::Main(argc, argv); }
