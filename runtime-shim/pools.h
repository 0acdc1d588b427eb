// What the engines' parts ask and say of pools.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/strings.h"
#include "ipam/ipam.h"

namespace fairlead::runtime {

inline bool HasFamily(const ipam::PoolSpec& pool, bool v6) {
  return std::ranges::any_of(pool.prefixes, [v6](const ipam::PrefixSpec& prefix) { return prefix.prefix.network().is_v6() == v6; });
}

// "dmz, shop"; "none" without any.
inline std::string PoolNames(const ipam::Ipam& ipam) {
  std::vector<std::string> names;
  for (const ipam::PoolSpec& pool : ipam.Pools()) names.push_back(pool.name);
  return names.empty() ? "none" : Join(names, ", ");
}

// What follows after the refusal of a pool that there is not.
inline std::string NameOrMakePool(const ipam::Ipam& ipam, const std::string& pool) {
  return Cat(" (there is: ", PoolNames(ipam), "); name one of these, or make it: fairlead pool create ", pool, " --cidr PREFIX");
}

}  // namespace fairlead::runtime
