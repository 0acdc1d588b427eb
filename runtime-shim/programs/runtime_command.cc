#include "runtime-shim/programs/runtime_command.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

namespace fairlead::programs {
namespace {

// Flags whose value is the next argument unless it is behind a '='.
constexpr std::string_view kGlobalFlags[] = {"cgroup-manager", "criu", "log", "log-format", "log-level", "root", "rootless"};
constexpr std::string_view kCreateFlags[] = {"b", "bundle", "config", "console-socket", "f", "pid-file", "pidfd-socket",
                                             "preserve-fds"};
constexpr const char* kRuntimes[] = {"/usr/bin/runc",  "/usr/sbin/runc",  "/usr/local/bin/runc", "/usr/local/sbin/runc",
                                     "/usr/bin/crun",  "/usr/sbin/crun",  "/usr/local/bin/crun", "/usr/local/sbin/crun"};

using Arguments = std::vector<std::string_view>;

// The next argument from `at` on that is neither flag nor value of one; `at` goes behind it.
template <size_t kFlags>
std::string_view NextWord(const Arguments& arguments, size_t& at, const std::string_view (&with_value)[kFlags]) {
  while (at < arguments.size()) {
    std::string_view argument = arguments[at++];
    if (argument == "--") return at < arguments.size() ? arguments[at++] : "";
    if (argument.size() < 2 || argument[0] != '-') return argument;
    argument.remove_prefix(argument[1] == '-' ? 2 : 1);  // runc takes one dash for two
    if (std::ranges::find(with_value, argument) != std::end(with_value)) at++;
  }
  return "";
}

bool IsThisProgram(const struct stat& file) {
  struct stat self;
  return stat("/proc/self/exe", &self) == 0 && self.st_dev == file.st_dev && self.st_ino == file.st_ino;
}

}  // namespace

RuntimeCommand ParseRuntimeCommand(const Arguments& arguments) {
  size_t at = 0;
  RuntimeCommand command{.verb = NextWord(arguments, at, kGlobalFlags)};
  if (command.verb == "create") command.container = NextWord(arguments, at, kCreateFlags);
  return command;
}

std::string FindRuntime(std::string_view chosen) {
  if (!chosen.empty()) return std::string(chosen);
  for (const char* path : kRuntimes) {
    struct stat file;
    if (stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, X_OK) == 0 && !IsThisProgram(file)) return path;
  }
  return "";
}

}  // namespace fairlead::programs
