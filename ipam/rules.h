// What may be done to leases and pools, and how a refusal reads. Each function stages its change in the table, or says
// why not and stages nothing. Plain logic: the caller brings the time and makes the batch durable.
#pragma once

#include "ipam/ipam.h"
#include "ipam/lease_table.h"

namespace fairlead::ipam {

StatusOr<Lease> StageAcquire(LeaseTable& table, const AcquireRequest& request, Nanos now_wall);
Status StageDetach(LeaseTable& table, std::string_view pool, const IpAddress& ip, Nanos now_wall);
StatusOr<Lease> StageRename(LeaseTable& table, std::string_view pool, const IpAddress& ip, LeaseKey key,
                            const std::string& project, Nanos now_wall);
Status StageRelease(LeaseTable& table, const LeaseKey& key, Nanos now_wall);
// Ends at most `limit` leases whose time of retention is over; gives how many.
size_t StageExpire(LeaseTable& table, size_t limit, Nanos now_wall);

// The write that makes or changes the pool; unset when it is so already.
StatusOr<std::optional<PoolWrite>> CheckPutPool(LeaseTable& table, const PoolSpec& spec);
StatusOr<std::optional<PoolWrite>> CheckRemovePool(LeaseTable& table, const std::string& name);

}  // namespace fairlead::ipam
