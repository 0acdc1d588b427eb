// What may be done to leases and pools, and how a refusal reads. Each function stages its change in the table, or says
// why not and stages nothing. Plain logic: the caller brings the time and makes the batch durable.
#pragma once

#include "ipam/ipam.h"
#include "ipam/lease_table.h"

namespace fairlead::ipam {

StatusOr<Lease> StageAcquire(LeaseTable& table, const AcquireRequest& request, const Moment& at);
Status StageDetach(LeaseTable& table, std::string_view pool, const IpAddress& ip, const Moment& at);
StatusOr<Lease> StageRename(LeaseTable& table, std::string_view pool, const IpAddress& ip, LeaseKey key,
                            const std::string& project, const Moment& at);
StatusOr<Lease> StageReserve(LeaseTable& table, const ReserveRequest& request, const Moment& at);
Status StageStandIn(LeaseTable& table, std::string_view pool, const IpAddress& ip, const std::string& name,
                    const Moment& at);
// Whether the address is remembered (Ipam::kMaxForeign).
StatusOr<bool> StageForeign(LeaseTable& table, std::string_view pool, const IpAddress& ip, MacAddress by, const Moment& at);
Status StageRelease(LeaseTable& table, const LeaseKey& key, const Moment& at);
// Ends at most `limit` leases of the pool ("": of all) that are detached for `idle`; gives them.
StatusOr<std::vector<Lease>> StageReclaim(LeaseTable& table, const std::string& pool, Nanos idle, size_t limit,
                                          const Moment& at);
// Ends at most `limit` leases whose time of retention is over; gives how many. Foreign addresses may be probed anew.
size_t StageExpire(LeaseTable& table, size_t limit, const Moment& at);

// The write that makes or changes the pool; unset when it is so already.
StatusOr<std::optional<PoolWrite>> CheckPutPool(LeaseTable& table, const PoolSpec& spec);
StatusOr<std::optional<PoolWrite>> CheckRemovePool(LeaseTable& table, const std::string& name);

}  // namespace fairlead::ipam
