// AddressGiver: addresses that may be used at once. An address that nobody of its name had on a network of ours is first
// asked for on the network's LAN: somebody outside may have it already, a forgotten printer or virtual machine. On the
// worker; the probe waits on a thread of its own.
#pragma once

#include <optional>
#include <string>

#include "base/io/offload.h"
#include "dataplane/dataplane.h"
#include "ipam/ipam.h"

namespace fairlead::runtime {

inline constexpr int kProbeTries = 4;  // of free choice: addresses that squatters have

class AddressGiver {
 public:
  // `probe_thread` may wait: no other work should queue behind it.
  AddressGiver(io::Proactor& proactor, ipam::Ipam& ipam, dataplane::Driver& driver, io::Offload& probe_thread)
      : proactor_(proactor), ipam_(ipam), driver_(driver), probe_thread_(probe_thread) {}

  // Ipam::Acquire, and the probe where it is the name's first use. `network`: where it will be used; unset: on a network
  // that is not ours to probe. An address that somebody outside has is marked and the next one tried; one that was asked
  // for, or is reserved, is refused with their MAC (AlreadyExists).
  io::Task<StatusOr<ipam::Lease>> Give(ipam::AcquireRequest request, std::optional<dataplane::NetworkSpec> network);

  struct Stats {
    uint64_t probes = 0, foreign = 0, failures = 0;  // failures of the probe itself: the address is given
  };
  const Stats& stats() const { return stats_; }

 private:
  io::Proactor& proactor_;
  ipam::Ipam& ipam_;
  dataplane::Driver& driver_;
  io::Offload& probe_thread_;
  Stats stats_;
};

}  // namespace fairlead::runtime
