// Allocator knows what each address of one pool is doing (free, resting, leased) and which one to give next. It never
// walks the pool: a nearly full /16 costs what an empty one does. Plain logic: no I/O, no clock, no thread-safety.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "ipam/address_set.h"
#include "ipam/lease.h"

namespace fairlead::ipam {

// What an address is doing. `order` grows with every change of any address: the wall clock may jump, order may not.
struct AddressUse {
  enum State : uint8_t { kFree, kResting, kAttached, kDetached };
  State state = kFree;
  LeaseKey key = {};         // the holder; of a resting address the last one
  uint64_t order = 0;
  Nanos usable_wall = 0;     // resting, detached: end of the quarantine
};

class Allocator {
 public:
  explicit Allocator(const PoolSpec& spec);

  // Sets what `ip`, an address of the pool's prefixes, is doing; gives what it did before. Setting that again undoes it.
  AddressUse Set(const IpAddress& ip, AddressUse use);
  const AddressUse& Get(const IpAddress& ip) const;

  // Which address to give to the key; the order of preference is that of Ipam::Acquire. Unset: none may be given.
  IpAddress Choose(const LeaseKey& key, Nanos now_wall) const;
  // The address of the longest detached lease of the family that is past its quarantine. Unset: none.
  IpAddress LongestDetached(bool v6, Nanos now_wall) const;
  // The resting address of the longest released lease. Unset: none rests.
  IpAddress LongestResting() const;
  // When the first resting or detached address of the family leaves its quarantine; kNever: there is none.
  Nanos NextUsableWall(bool v6) const;

  uint64_t size() const { return size_; }  // addresses that may be chosen; saturates
  uint64_t attached() const { return counts_[AddressUse::kAttached]; }
  uint64_t detached() const { return counts_[AddressUse::kDetached]; }
  uint64_t resting() const { return counts_[AddressUse::kResting]; }
  uint64_t quarantined(Nanos now_wall) const;  // resting ones that may not be given yet; walks those

  // Calls f(ip, use) for detached addresses of either family, the longest ones first, until it gives false.
  template <class F>
  void ForEachDetached(F f) const {
    for (const Queue& queue : detached_)
      for (const auto& [order, ip] : queue)
        if (!f(ip, Get(ip))) break;
  }
  // Calls f(ip, use) for addresses that are not free, lowest first, until it gives false.
  template <class F>
  void ForEachUse(F f) const {
    for (const auto& [ip, use] : uses_)
      if (!f(ip, use)) break;
  }

 private:
  using Queue = std::set<std::pair<uint64_t, IpAddress>>;  // by order
  void Unlink(const IpAddress& ip, const AddressUse& use);
  void Link(const IpAddress& ip, const AddressUse& use);
  IpAddress FirstUsable(const Queue& queue, Nanos now_wall) const;

  AddressSet assignable_;  // by the specification alone
  AddressSet fresh_;       // assignable, and neither leased nor resting
  uint64_t size_ = 0;
  uint64_t per_family_[2] = {};
  std::map<IpAddress, AddressUse> uses_;  // those not free
  Queue resting_[2], detached_[2];        // by family
  std::map<LeaseKey, IpAddress> rests_of_;
  uint64_t counts_[4] = {};
};

}  // namespace fairlead::ipam
