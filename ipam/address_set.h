// AddressSet is a set of IP addresses kept as disjoint intervals. A pool's free addresses are few intervals when it is
// empty and few when it is nearly full; every operation costs O(log intervals), of a /64 as of a /24. No thread-safety.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/net/ip_address.h"

namespace fairlead::ipam {

class AddressSet {
 public:
  void Add(const IpAddress& first, const IpAddress& last);  // one family, first <= last
  void Add(const IpAddress& ip) { Add(ip, ip); }
  void Remove(const IpAddress& ip);
  bool Contains(const IpAddress& ip) const;
  bool empty() const { return last_of_.empty(); }
  size_t intervals() const { return last_of_.size(); }

  // The lowest address of the family at or above `ip`; from the bottom again when there is none. Unset: family is empty.
  IpAddress NextFrom(const IpAddress& ip) const;

  uint64_t Count(bool v6) const;  // saturates; walks the intervals
  // The address with `n` lower ones of its family in the set, n < Count(v6). Walks the intervals.
  IpAddress Nth(bool v6, uint64_t n) const;

 private:
  using Map = std::map<IpAddress, IpAddress>;  // first -> last; IPv4 sorts before IPv6
  Map::const_iterator Holding(const IpAddress& ip) const;

  Map last_of_;
};

}  // namespace fairlead::ipam
