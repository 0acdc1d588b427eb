// Allocator knows what each address of one pool is doing (free, resting, leased) and which one to give next. It never
// walks the pool: a nearly full /16 costs what an empty one does, a prefix more costs one look at it, and so does a
// detached address that LongestDetached() must spare. Times are
// monotonic: a wall clock that jumps neither cuts a quarantine nor makes it last. Plain logic: no I/O, no clock, no
// thread-safety.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "ipam/address_set.h"
#include "ipam/lease.h"

namespace fairlead::ipam {

// What an address is doing. `order` grows with every change of any address.
struct AddressUse {
  enum State : uint8_t { kFree, kResting, kAttached, kDetached, kReserved, kForeign };
  static constexpr size_t kStates = kForeign + 1;
  State state = kFree;
  LeaseKey key = {};         // the holder; of a resting address the last one
  uint64_t order = 0;
  Nanos usable = 0;          // monotonic; resting, detached, reserved: end of the quarantine; foreign: when it may be probed anew
  Nanos since = 0;           // monotonic; detached, reserved: since when, which may be before the boot
  bool leased() const { return state == kAttached || state == kDetached || state == kReserved; }
};

// Which prefixes of the pool are asked for.
struct PrefixFilter {
  bool v6 = false;
  std::optional<Prefix> within = {};
  std::string_view node = {}, site = {};  // of the asker
};

class Allocator {
 public:
  explicit Allocator(const PoolSpec& spec);

  // Sets what `ip`, an address of the pool's prefixes, is doing; gives what it did before. Setting that again undoes it.
  AddressUse Set(const IpAddress& ip, AddressUse use);
  const AddressUse& Get(const IpAddress& ip) const;

  // Which address to give to the key; the order of preference is that of Ipam::Acquire. Unset: none may be given.
  IpAddress Choose(const LeaseKey& key, const PrefixFilter& filter, Nanos now) const;
  // The address of the longest detached lease of those prefixes that is past its quarantine and not spared. Unset: none.
  IpAddress LongestDetached(const PrefixFilter& filter, Nanos now, const std::function<bool(const IpAddress&)>& spared) const;
  // The resting address of the longest released lease. Unset: none rests.
  IpAddress LongestResting() const;
  // When the first resting or detached address of those prefixes leaves its quarantine; kNever: there is none.
  Nanos NextUsable(const PrefixFilter& filter) const;
  // Whether the prefix of `ip` has as many leases as it may have.
  bool AtCap(const IpAddress& ip) const;

  uint64_t size() const { return size_; }  // addresses that may be chosen; saturates
  uint64_t count(AddressUse::State state) const { return counts_[state]; }
  uint64_t attached() const { return counts_[AddressUse::kAttached]; }
  uint64_t detached() const { return counts_[AddressUse::kDetached]; }
  uint64_t resting() const { return counts_[AddressUse::kResting]; }
  uint64_t leased() const { return attached() + detached() + counts_[AddressUse::kReserved]; }
  uint64_t quarantined(Nanos now) const;  // resting ones that may not be given yet; walks those
  // Occupied addresses that are not among those that may be chosen: they were wanted, or the pool was changed.
  uint64_t occupied_outside(Nanos now) const;
  uint64_t leased_in(size_t prefix) const { return prefixes_[prefix].leased; }  // by place in the specification

  // Calls f(ip, use) for detached addresses, the longest ones first, until it gives false.
  template <class F>
  void ForEachDetached(F f) const {
    for (const auto& [since, ip] : detached_since_)
      if (!f(ip, Get(ip))) break;
  }
  // Calls f(ip, use) for addresses that are not free, lowest first, until it gives false.
  template <class F>
  void ForEachUse(F f) const {
    for (const auto& [ip, use] : uses_)
      if (!f(ip, use)) break;
  }

 private:
  // By the end of the quarantine, then by order: what is usable comes first, the longest one foremost.
  struct Waiting {
    Nanos usable;
    uint64_t order;
    IpAddress ip;
    friend auto operator<=>(const Waiting&, const Waiting&) = default;
  };
  using Queue = std::set<Waiting>;
  struct PrefixState {
    Prefix prefix;
    std::string node, site;
    size_t domain = 0;           // of domains_
    uint64_t max_endpoints = 0;
    AddressSet assignable;       // by the specification alone
    AddressSet fresh;            // assignable, and neither leased nor resting nor foreign
    uint64_t size = 0;           // of assignable
    uint64_t occupied = 0;       // of assignable those that are not fresh
    uint64_t leased = 0;
    Queue resting, detached;     // assignable ones
    Queue resting_outside;       // that were wanted, or that the specification no longer has
    bool at_cap() const { return max_endpoints != 0 && leased >= max_endpoints; }
    uint64_t free() const { return size - occupied; }
  };
  PrefixState* StateOf(const IpAddress& ip);
  const PrefixState* StateOf(const IpAddress& ip) const;
  static bool Matches(const PrefixState& prefix, const PrefixFilter& filter);
  const PrefixState* Roomiest(const PrefixFilter& filter) const;
  IpAddress LongestRested(const PrefixFilter& filter, Nanos now) const;
  static uint64_t InQuarantine(const Queue& queue, Nanos now);
  void Unlink(PrefixState& prefix, const IpAddress& ip, const AddressUse& use);
  void Link(PrefixState& prefix, const IpAddress& ip, const AddressUse& use);

  std::vector<PrefixState> prefixes_;  // as in the specification
  std::vector<uint64_t> domains_;      // leases of each L2 domain
  uint64_t size_ = 0;
  std::map<IpAddress, AddressUse> uses_;  // those not free
  std::set<std::pair<Nanos, IpAddress>> detached_since_;
  std::map<LeaseKey, IpAddress> rests_of_;
  uint64_t counts_[AddressUse::kStates] = {};
  uint64_t outside_ = 0;  // leased or foreign, but not among those that may be chosen
};

}  // namespace fairlead::ipam
