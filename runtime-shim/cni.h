// CniPlugin: CNI's verbs for fairlead-cni (https://www.cni.dev/docs/spec/, 0.3.1 to 1.1.0), as a main plugin and as the
// IPAM of another one (`ipam.type: fairlead` below bridge, macvlan, ptp). The static program carries environment and
// stdin here and the answer back; what the words mean is in cni_config.h, what they do in attachments.h.
#pragma once

#include <string>

#include "runtime-shim/attachments.h"
#include "runtime-shim/cni_config.h"
#include "runtime-shim/container_names.h"

namespace fairlead::runtime {

class CniPlugin {
 public:
  struct Parts {
    io::Proactor& proactor;
    Attachments& attachments;
    io::Offload& file_thread;                      // for names that are in files
    std::string nerdctl_root = kNerdctlRoot;
  };
  explicit CniPlugin(Parts parts) : parts_(std::move(parts)) {}

  // {"result": {…}} or {"error": {"cniVersion", "code", "msg", "details"}}.
  io::Task<StatusOr<Json>> Handle(Json request);

 private:
  io::Task<StatusOr<Json>> Run(CniCall call);
  io::Task<StatusOr<Json>> Add(CniCall call);
  io::Task<Status> Delete(CniCall call);
  io::Task<std::string> NameOf(CniCall call);      // "": the engine has none that outlives the container

  Parts parts_;
};

}  // namespace fairlead::runtime
