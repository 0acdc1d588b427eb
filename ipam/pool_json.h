// A pool's specification as JSON, the way SqliteLeaseStore keeps it: readable with the sqlite3 shell.
#pragma once

#include <string>
#include <string_view>

#include "ipam/lease.h"

namespace fairlead::ipam {

std::string PoolToJson(const PoolSpec& spec);
StatusOr<PoolSpec> PoolFromJson(std::string_view text);

}  // namespace fairlead::ipam
