#include "runtime-shim/container_names.h"

#include <filesystem>
#include <fstream>

#include "base/strings.h"

namespace fairlead::runtime {

namespace fs = std::filesystem;

// A namespace may have dashes itself, an id has none.
std::string NerdctlName(const std::string& root, std::string_view container_id) {
  const size_t dash = container_id.rfind('-');
  if (dash == container_id.npos) return "";
  const std::string_view space = container_id.substr(0, dash), id = container_id.substr(dash + 1);
  std::error_code error;
  for (const fs::directory_entry& daemon : fs::directory_iterator(root, error)) {
    std::error_code no_such;
    for (const fs::directory_entry& name : fs::directory_iterator(daemon.path() / "names" / space, no_such)) {
      std::string held;
      std::getline(std::ifstream(name.path()), held);
      if (Trim(held) == id) return name.path().filename();
    }
  }
  return "";
}

}  // namespace fairlead::runtime
