// fairlead: the long-running programs and the operator's commands in one binary.
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <string>

#include "app/command_line.h"
#include "app/process.h"
#include "app/programs.h"

namespace fairlead::app {
namespace {

// The programs (app/programs.h); everything else on the command line is a command (app/commands.h).
std::vector<Program> Programs() {
  std::error_code none;
  std::string self = std::filesystem::read_symlink("/proc/self/exe", none);
  return {
      {"agent", "per host, root: engine, addresses, data plane, catalog, API", RunAgent},
      {"dns", "name server", RunDns},
      {"lb", "load balancer", RunLb},
      {"up", "all three as supervised processes, for trial and tests",
       [self](const Config& config) { return RunUp(config, self); }},
  };
}

std::optional<bool> Ask(const std::string& question) {
  if (isatty(STDIN_FILENO) == 0) return std::nullopt;
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "yes";
}

}  // namespace
}  // namespace fairlead::app

int main(int argc, char** argv) {
  using namespace fairlead::app;
  Terminal terminal{std::cout, std::cerr, Ask};
  return RunCommandLine({argv + 1, argv + argc}, Programs(), FAIRLEAD_VERSION, terminal, TheClock());
}
