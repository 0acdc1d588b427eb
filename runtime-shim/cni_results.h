// CNI results: what libcni keeps of each attachment (/var/lib/cni/results/NETWORK-CONTAINER-INTERFACE), whichever program
// asked for it (nerdctl, ctr, Podman). It tells which addresses a container has where its engine does not know.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"
#include "base/time.h"

namespace fairlead::runtime {

inline constexpr size_t kMaxCniResultBytes = 1 << 20;   // of one file; a longer one is left out
inline constexpr size_t kMaxCniResults = 20'000;        // of a folder

struct CniResult {
  std::string network, container_id, interface;
  std::vector<std::string> plugins = {};                // types of the network's list, in order
  std::vector<InterfaceAddress> addresses = {};
  MacAddress mac = {};                                  // of the interface in the container
  Nanos written_wall = 0;                               // of the file; 0: not read from one
  friend bool operator==(const CniResult&, const CniResult&) = default;
};

// One file's text. An error says what is missing.
StatusOr<CniResult> ParseCniResult(std::string_view text);
// Those of a container; of all where `container_id` is "". A folder that is not there has none, a file that cannot be read
// is left out: it is being written or removed. Blocks; for an io::Offload.
std::vector<CniResult> ReadCniResults(const std::string& folder, const std::string& container_id);

}  // namespace fairlead::runtime
