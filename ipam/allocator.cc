#include "ipam/allocator.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace fairlead::ipam {

Allocator::Allocator(const PoolSpec& spec) {
  for (const PrefixSpec& p : spec.prefixes) {
    if (p.ranges.empty()) assignable_.Add(p.prefix.network(), p.prefix.last());
    for (const auto& [first, last] : p.ranges) assignable_.Add(first, last);
    for (const IpAddress& ip : p.exclude) assignable_.Remove(ip);
    for (const IpAddress& ip : {p.prefix.network(), p.Gateway(), p.prefix.last()})
      if (ip.is_set() && !p.WhyReserved(ip).empty()) assignable_.Remove(ip);
  }
  fresh_ = assignable_;
  for (bool v6 : {false, true}) per_family_[v6] = assignable_.Count(v6);
  uint64_t room = std::numeric_limits<uint64_t>::max() - per_family_[0];
  size_ = per_family_[0] + std::min(room, per_family_[1]);
}

const AddressUse& Allocator::Get(const IpAddress& ip) const {
  static const AddressUse kFreeUse;
  auto it = uses_.find(ip);
  return it != uses_.end() ? it->second : kFreeUse;
}

AddressUse Allocator::Set(const IpAddress& ip, AddressUse use) {
  AddressUse before = Get(ip);
  Unlink(ip, before);
  Link(ip, use);
  if (use.state == AddressUse::kFree)
    uses_.erase(ip);
  else
    uses_[ip] = std::move(use);
  return before;
}

void Allocator::Unlink(const IpAddress& ip, const AddressUse& use) {
  if (use.state == AddressUse::kFree) {
    fresh_.Remove(ip);
    return;
  }
  counts_[use.state]--;
  if (use.state == AddressUse::kDetached) detached_[ip.is_v6()].erase({use.order, ip});
  if (use.state == AddressUse::kResting) {
    resting_[ip.is_v6()].erase({use.order, ip});
    auto it = rests_of_.find(use.key);
    if (it != rests_of_.end() && it->second == ip) rests_of_.erase(it);
  }
}

void Allocator::Link(const IpAddress& ip, const AddressUse& use) {
  if (use.state == AddressUse::kFree) {
    if (assignable_.Contains(ip)) fresh_.Add(ip);
    return;
  }
  counts_[use.state]++;
  if (use.state == AddressUse::kDetached) detached_[ip.is_v6()].emplace(use.order, ip);
  if (use.state == AddressUse::kResting) {
    resting_[ip.is_v6()].emplace(use.order, ip);
    rests_of_[use.key] = ip;
  }
}

IpAddress Allocator::FirstUsable(const Queue& queue, Nanos now_wall) const {
  for (const auto& [order, ip] : queue) {
    if (!assignable_.Contains(ip)) continue;  // one that was wanted, outside the ranges
    // Where the longest one is still in quarantine, so are the others.
    return Get(ip).usable_wall <= now_wall ? ip : IpAddress();
  }
  return {};
}

IpAddress Allocator::Choose(const LeaseKey& key, Nanos now_wall) const {
  // The same name on the same address surprises nobody, quarantine or not.
  auto own = rests_of_.find(key);
  if (own != rests_of_.end() && assignable_.Contains(own->second)) return own->second;

  if (per_family_[key.v6] == 0) return {};
  // By the key's hash, so that state made anew tends to give the same addresses.
  IpAddress home = assignable_.Nth(key.v6, StableHash(key) % per_family_[key.v6]);
  IpAddress fresh = fresh_.NextFrom(home);
  return fresh.is_set() ? fresh : FirstUsable(resting_[key.v6], now_wall);
}

IpAddress Allocator::LongestDetached(bool v6, Nanos now_wall) const { return FirstUsable(detached_[v6], now_wall); }

IpAddress Allocator::LongestResting() const {
  const Queue& a = resting_[0];
  const Queue& b = resting_[1];
  if (a.empty() || b.empty()) return a.empty() && b.empty() ? IpAddress() : (a.empty() ? b : a).begin()->second;
  return std::min(*a.begin(), *b.begin()).second;
}

Nanos Allocator::NextUsableWall(bool v6) const {
  Nanos next = kNever;
  for (const Queue* queue : {&resting_[v6], &detached_[v6]})
    if (!queue->empty()) next = std::min(next, Get(queue->begin()->second).usable_wall);
  return next;
}

uint64_t Allocator::quarantined(Nanos now_wall) const {
  uint64_t count = 0;
  for (const Queue& queue : resting_)
    for (auto it = queue.rbegin(); it != queue.rend() && Get(it->second).usable_wall > now_wall; ++it) count++;
  return count;
}

}  // namespace fairlead::ipam
