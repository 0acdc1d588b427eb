#include "runtime-shim/address_giver.h"

#include "base/log.h"

namespace fairlead::runtime {

io::Task<StatusOr<ipam::Lease>> AddressGiver::Give(ipam::AcquireRequest request, std::optional<dataplane::NetworkSpec> network) {
  for (int i = 0; i < kProbeTries; i++) {
    CO_ASSIGN_OR_RETURN(ipam::Lease lease, co_await ipam_.Acquire(request));
    if (!lease.first_use || !network) co_return lease;
    stats_.probes++;
    auto owner = co_await io::OffloadTo(probe_thread_, proactor_, [&] { return driver_.Probe(*network, lease.ip); });
    if (!owner.ok()) {
      stats_.failures++;
      LOG(kWarning, "address not probed", {"address", lease.ip.ToString()}, {"error", Message(owner.status())});
      co_return lease;
    }
    if (!*owner || **owner == lease.mac) co_return lease;  // nobody, or the very container
    stats_.foreign++;
    LOG(kWarning, "address is used by somebody outside", {"address", lease.ip.ToString()}, {"mac", (*owner)->ToString()},
        {"pool", lease.pool}, {"network", network->name});
    CO_RETURN_IF_ERROR(co_await ipam_.MarkForeign(lease.pool, lease.ip, **owner));
    if (request.wanted || lease.kept()) {
      co_return AlreadyExists("address ", lease.ip.ToString(), " of ", lease.key.ToString(), " is used by ", (*owner)->ToString(),
                              " on the LAN of network ", network->name, "; take it from that machine, or choose another address");
    }
  }
  co_return ResourceExhausted("pool ", request.pool, ": ", kProbeTries, " addresses in a row are used by machines outside (",
                              "fairlead pool inspect ", request.pool, " names them); exclude them from the pool");
}

}  // namespace fairlead::runtime
