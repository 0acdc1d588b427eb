// `fairlead install podman`: a drop-in of containers.conf(5) that has Podman look for CNI and netavark plugins in
// Fairlead's folder, too. Podman reads it at each command; nothing is to be restarted.
#pragma once

#include <ostream>
#include <string>

#include "base/status.h"

namespace fairlead::app {

struct PodmanPlan {
  std::string conf = "/etc/containers/containers.conf";  // drop-ins are in the folder of that name with .d
  std::string plugin_dir = "/usr/libexec/fairlead";      // has fairlead-cni and fairlead-netavark
};

std::string PodmanDropIn(const PodmanPlan& plan);

// FailedPrecondition where another file sets these lists, which a drop-in would replace: it says what to add to them.
Status InstallPodman(const PodmanPlan& plan, std::ostream& out);
Status UninstallPodman(const PodmanPlan& plan, std::ostream& out);

}  // namespace fairlead::app
