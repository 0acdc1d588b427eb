// Neighbours: what one engine's part of the agent must know of the engines beside it, whose containers may have names,
// addresses and bridges in common with its own: Docker's plugin asks about Podman's attachments, and the other way round.
// By default there is nobody. On the worker.
#pragma once

#include <functional>
#include <string>

#include "base/io/await.h"
#include "dataplane/dataplane.h"
#include "ipam/ipam.h"

namespace fairlead::runtime {

struct Neighbours {
  // Who has the lease of that key there, or is just getting it: "container 0123456789ab of Podman"; "": nobody.
  std::function<std::string(const ipam::LeaseKey& key)> holder = [](const ipam::LeaseKey&) { return ""; };
  // The network of that name is about to be removed. True: containers there are still on its bridge, which is theirs now
  // and goes with the last of them.
  std::function<io::Task<StatusOr<bool>>(dataplane::NetworkSpec)> keep_network = KeepNothing;
  // Whether a new network may have these gateways and this bridge; the error names who has them and the way out.
  std::function<Status(const dataplane::NetworkSpec&)> may_make = [](const dataplane::NetworkSpec&) { return OkStatus(); };

 private:
  static io::Task<StatusOr<bool>> KeepNothing(dataplane::NetworkSpec) { co_return false; }
};

// The refusal of an address whose name runs in another engine.
inline Status RunsElsewhere(const ipam::Ipam& ipam, const ipam::LeaseKey& key, const std::string& holder) {
  const auto lease = ipam.Find(key);
  return AlreadyExists(lease ? Cat("address ", lease->ip.ToString(), " of name ") : "name ", key.name, " on network ", key.network,
                       " is in use by ", holder, "; stop that one, or take another name");
}

}  // namespace fairlead::runtime
