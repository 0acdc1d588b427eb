// What an image of containerd says: its blobs are JSON (OCI image specification; Docker's forms have the same fields).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime-shim/engine.h"

namespace fairlead::runtime {

// An index, and a manifest, name the blob to go on with (of an index the manifest for this host's architecture, else the
// first); a configuration says which ports are exposed.
struct ImageBlob {
  std::string next;                     // digest; "": there is nothing more
  std::vector<ContainerPort> exposed = {};
};

ImageBlob ReadImageBlob(std::string_view json);

}  // namespace fairlead::runtime
