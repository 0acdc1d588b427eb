#include "app/install_podman.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "app/install.h"
#include "app/whole_file.h"
#include "base/strings.h"

namespace fairlead::app {
namespace {

constexpr std::string_view kKeys[] = {"cni_plugin_dirs", "netavark_plugin_dirs"};

// The lists as Podman has them without a file (containers/common, pkg/config/default.go), and ours.
std::string DropInText(const std::string& folder) {
  auto list = [&](std::string_view key, std::initializer_list<std::string_view> usual) {
    std::string text = Cat(key, " = [");
    for (std::string_view path : usual) text += Cat("\"", path, "\", ");
    return Cat(text, "\"", folder, "\"]\n");
  };
  return Cat("# Written by `fairlead install podman`; `fairlead uninstall podman` takes it away.\n[network]\n",
             list(kKeys[0], {"/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni", "/opt/cni/bin"}),
             list(kKeys[1], {"/usr/local/libexec/netavark", "/usr/libexec/netavark", "/usr/local/lib/netavark", "/usr/lib/netavark"}));
}

// Where `file` sets one of the lists: "FILE:LINE: KEY"; "": nowhere.
StatusOr<std::string> WhereSet(const std::string& file) {
  ASSIGN_OR_RETURN(std::optional<std::string> text, ReadWhole(file));
  int number = 0;
  for (std::string_view line : Split(text.value_or(""), '\n')) {
    number++;
    std::string_view key = Trim(Trim(line).substr(0, Trim(line).find('=')));
    if (std::ranges::find(kKeys, key) != std::end(kKeys)) return Cat(file, ":", number, ": ", key);
  }
  return std::string();
}

std::vector<std::string> OtherFiles(const PodmanPlan& plan) {
  std::vector<std::string> files = {plan.conf};
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(Cat(plan.conf, ".d"), none))
    if (entry.path().extension() == ".conf" && entry.path() != PodmanDropIn(plan)) files.push_back(entry.path().string());
  return files;
}

}  // namespace

std::string PodmanDropIn(const PodmanPlan& plan) { return Cat(plan.conf, ".d/50-fairlead.conf"); }

Status InstallPodman(const PodmanPlan& plan, std::ostream& out) {
  if (plan.plugin_dir.find_first_of("\"\\\n") != std::string::npos) return InvalidArgument(plan.plugin_dir, " is no folder of plugins");
  for (const char* program : {"fairlead-cni", "fairlead-netavark"})
    if (std::string path = Cat(plan.plugin_dir, "/", program); access(path.c_str(), X_OK) != 0)
      return ErrnoStatus(errno, Cat("find ", path, " (name its folder by --plugin-dir)"));
  for (const std::string& file : OtherFiles(plan)) {
    ASSIGN_OR_RETURN(std::string set, WhereSet(file));
    if (!set.empty())
      return FailedPrecondition(set, " is set already, and a second list would replace it; add \"", plan.plugin_dir,
                                "\" there, and nothing more is to do");
  }
  ASSIGN_OR_RETURN(std::optional<std::string> before, ReadWhole(PodmanDropIn(plan)));
  std::string text = DropInText(plan.plugin_dir);
  if (before == text) {
    out << PodmanDropIn(plan) << " is there already\n";
    return OkStatus();
  }
  RETURN_IF_ERROR(WriteWhole(PodmanDropIn(plan), text));
  out << PodmanDropIn(plan) << ": Podman finds fairlead-cni and fairlead-netavark in " << plan.plugin_dir
      << " from its next command on; networks: docs/podman.md\n";
  return OkStatus();
}

Status UninstallPodman(const PodmanPlan& plan, std::ostream& out) {
  std::string file = PodmanDropIn(plan);
  if (unlink(file.c_str()) == 0) {
    out << file << " is gone\n";
  } else if (errno == ENOENT) {
    out << file << " is not there\n";
  } else {
    return ErrnoStatus(errno, Cat("remove ", file));
  }
  return OkStatus();
}

}  // namespace fairlead::app
