#include "ipam/address_set.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace fairlead::ipam {

namespace {

// The address below; `ip` is not the lowest of its family.
IpAddress Before(const IpAddress& ip) {
  if (ip.is_v4()) return IpAddress::V4(ip.v4() - 1);
  std::array<uint8_t, 16> bytes;
  std::ranges::copy(ip.bytes(), bytes.begin());
  for (size_t i = bytes.size(); i-- > 0;)
    if (bytes[i]-- != 0) break;
  return IpAddress::V6(bytes);
}

IpAddress Lowest(bool v6) { return v6 ? IpAddress::V6(std::array<uint8_t, 16>{}) : IpAddress::V4(0); }

uint64_t Size(const IpAddress& first, const IpAddress& last) {
  uint64_t distance = first.DistanceTo(last);
  return distance == UINT64_MAX ? UINT64_MAX : distance + 1;
}

}  // namespace

AddressSet::Map::const_iterator AddressSet::Holding(const IpAddress& ip) const {
  auto it = last_of_.upper_bound(ip);
  if (it == last_of_.begin()) return last_of_.end();
  --it;
  return it->first.is_v4() == ip.is_v4() && ip <= it->second ? it : last_of_.end();
}

bool AddressSet::Contains(const IpAddress& ip) const { return Holding(ip) != last_of_.end(); }

void AddressSet::Add(const IpAddress& first, const IpAddress& last) {
  CHECK(first.is_set() && first.is_v4() == last.is_v4() && first <= last);
  IpAddress from = first, to = last;
  // Swallow what overlaps or touches: the neighbour below, then everything that starts within.
  auto it = last_of_.upper_bound(from);
  if (it != last_of_.begin()) {
    auto below = std::prev(it);
    bool same_family = below->first.is_v4() == from.is_v4();
    if (same_family && (below->second >= from || below->second.Plus(1) == from)) it = below;
  }
  while (it != last_of_.end() && it->first.is_v4() == from.is_v4() && (it->first <= to || to.Plus(1) == it->first)) {
    from = std::min(from, it->first);
    to = std::max(to, it->second);
    it = last_of_.erase(it);
  }
  last_of_.emplace(from, to);
}

void AddressSet::Remove(const IpAddress& ip) {
  auto it = Holding(ip);
  if (it == last_of_.end()) return;
  auto [first, last] = *it;
  last_of_.erase(it);
  if (first < ip) last_of_.emplace(first, Before(ip));
  if (ip < last) last_of_.emplace(ip.Plus(1), last);
}

IpAddress AddressSet::NextFrom(const IpAddress& ip) const {
  if (Contains(ip)) return ip;
  auto it = last_of_.upper_bound(ip);
  if (it != last_of_.end() && it->first.is_v4() == ip.is_v4()) return it->first;
  it = last_of_.lower_bound(Lowest(ip.is_v6()));
  if (it != last_of_.end() && it->first.is_v4() == ip.is_v4()) return it->first;
  return {};
}

uint64_t AddressSet::Count(bool v6) const {
  uint64_t count = 0;
  for (const auto& [first, last] : last_of_) {
    if (first.is_v6() != v6) continue;
    uint64_t size = Size(first, last);
    count = size > UINT64_MAX - count ? UINT64_MAX : count + size;
  }
  return count;
}

IpAddress AddressSet::Nth(bool v6, uint64_t n) const {
  for (const auto& [first, last] : last_of_) {
    if (first.is_v6() != v6) continue;
    uint64_t size = Size(first, last);
    if (n < size) return first.Plus(n);
    n -= size;
  }
  CHECK(!"n is below Count()");
  return {};
}

}  // namespace fairlead::ipam
