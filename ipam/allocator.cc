#include "ipam/allocator.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace fairlead::ipam {

namespace {

AddressSet AssignableOf(const PrefixSpec& p) {
  AddressSet set;
  if (p.ranges.empty()) set.Add(p.prefix.network(), p.prefix.last());
  for (const auto& [first, last] : p.ranges) set.Add(first, last);
  for (const IpAddress& ip : p.exclude) set.Remove(ip);
  for (const IpAddress& ip : {p.prefix.network(), p.Gateway(), p.prefix.last()})
    if (ip.is_set() && !p.WhyReserved(ip).empty()) set.Remove(ip);
  return set;
}

uint64_t SaturatingSum(uint64_t a, uint64_t b) { return a + std::min(b, std::numeric_limits<uint64_t>::max() - a); }

}  // namespace

Allocator::Allocator(const PoolSpec& spec) {
  std::map<std::pair<std::string, uint16_t>, size_t> domain_of;
  for (const PrefixSpec& p : spec.prefixes) {
    PrefixState state{.prefix = p.prefix, .node = p.node, .site = p.site, .max_endpoints = p.max_endpoints};
    state.domain = domain_of.emplace(std::pair(p.site, p.vlan), domain_of.size()).first->second;
    state.assignable = AssignableOf(p);
    state.fresh = state.assignable;
    state.size = state.assignable.Count(p.prefix.network().is_v6());
    size_ = SaturatingSum(size_, state.size);
    prefixes_.push_back(std::move(state));
  }
  domains_.resize(domain_of.size());
}

Allocator::PrefixState* Allocator::StateOf(const IpAddress& ip) {
  return const_cast<PrefixState*>(std::as_const(*this).StateOf(ip));
}

const Allocator::PrefixState* Allocator::StateOf(const IpAddress& ip) const {
  for (const PrefixState& prefix : prefixes_)
    if (prefix.prefix.Contains(ip)) return &prefix;
  return nullptr;
}

const AddressUse& Allocator::Get(const IpAddress& ip) const {
  static const AddressUse kFreeUse;
  auto it = uses_.find(ip);
  return it != uses_.end() ? it->second : kFreeUse;
}

AddressUse Allocator::Set(const IpAddress& ip, AddressUse use) {
  PrefixState* prefix = StateOf(ip);
  CHECK(prefix != nullptr);
  AddressUse before = Get(ip);
  Unlink(*prefix, ip, before);
  Link(*prefix, ip, use);
  if (use.state == AddressUse::kFree)
    uses_.erase(ip);
  else
    uses_[ip] = std::move(use);
  return before;
}

void Allocator::Unlink(PrefixState& prefix, const IpAddress& ip, const AddressUse& use) {
  const bool assignable = prefix.assignable.Contains(ip);
  if (use.state == AddressUse::kFree) {
    prefix.fresh.Remove(ip);
    prefix.occupied += assignable;
    return;
  }
  counts_[use.state]--;
  if (use.leased()) {
    prefix.leased--;
    domains_[prefix.domain]--;
  }
  if (use.state != AddressUse::kResting) outside_ -= !assignable;
  if (use.state == AddressUse::kDetached) {
    detached_since_.erase({use.since, ip});
    if (assignable) prefix.detached.erase({use.usable, use.order, ip});
  }
  if (use.state == AddressUse::kResting) {
    (assignable ? prefix.resting : prefix.resting_outside).erase({use.usable, use.order, ip});
    auto it = rests_of_.find(use.key);
    if (it != rests_of_.end() && it->second == ip) rests_of_.erase(it);
  }
}

void Allocator::Link(PrefixState& prefix, const IpAddress& ip, const AddressUse& use) {
  const bool assignable = prefix.assignable.Contains(ip);
  if (use.state == AddressUse::kFree) {
    if (!assignable) return;
    prefix.fresh.Add(ip);
    prefix.occupied--;
    return;
  }
  counts_[use.state]++;
  if (use.leased()) {
    prefix.leased++;
    domains_[prefix.domain]++;
  }
  if (use.state != AddressUse::kResting) outside_ += !assignable;
  if (use.state == AddressUse::kDetached) {
    detached_since_.emplace(use.since, ip);
    if (assignable) prefix.detached.insert({use.usable, use.order, ip});
  }
  if (use.state == AddressUse::kResting) {
    (assignable ? prefix.resting : prefix.resting_outside).insert({use.usable, use.order, ip});
    rests_of_[use.key] = ip;
  }
}

bool Allocator::Matches(const PrefixState& prefix, const PrefixFilter& filter) {
  return prefix.prefix.network().is_v6() == filter.v6 && (!filter.within || *filter.within == prefix.prefix) &&
         (prefix.node.empty() || prefix.node == filter.node) && (prefix.site.empty() || prefix.site == filter.site);
}

bool Allocator::AtCap(const IpAddress& ip) const {
  const PrefixState* prefix = StateOf(ip);
  return prefix != nullptr && prefix->at_cap();
}

// Small broadcast domains first, then much room: the order of the specification decides between equals.
const Allocator::PrefixState* Allocator::Roomiest(const PrefixFilter& filter) const {
  const PrefixState* best = nullptr;
  for (const PrefixState& prefix : prefixes_) {
    if (!Matches(prefix, filter) || prefix.at_cap() || prefix.fresh.empty()) continue;
    auto rank = [&](const PrefixState& p) { return std::pair(domains_[p.domain], ~p.free()); };
    if (best == nullptr || rank(prefix) < rank(*best)) best = &prefix;
  }
  return best;
}

// Of prefixes below their cap. Unset: none has rested long enough.
IpAddress Allocator::LongestRested(const PrefixFilter& filter, Nanos now) const {
  const Waiting* best = nullptr;
  for (const PrefixState& prefix : prefixes_) {
    const Queue& waiting = prefix.resting;
    if (!Matches(prefix, filter) || prefix.at_cap() || waiting.empty()) continue;
    if (waiting.begin()->usable <= now && (best == nullptr || *waiting.begin() < *best)) best = &*waiting.begin();
  }
  return best != nullptr ? best->ip : IpAddress();
}

IpAddress Allocator::Choose(const LeaseKey& key, const PrefixFilter& filter, Nanos now) const {
  // The same name on the same address surprises nobody, quarantine or not.
  if (auto own = rests_of_.find(key); own != rests_of_.end()) {
    const PrefixState* prefix = StateOf(own->second);
    if (Matches(*prefix, filter) && !prefix->at_cap() && prefix->assignable.Contains(own->second)) return own->second;
  }
  if (const PrefixState* prefix = Roomiest(filter)) {
    // By the key's hash, so that state made anew tends to give the same addresses.
    return prefix->fresh.NextFrom(prefix->assignable.Nth(filter.v6, StableHash(key) % prefix->size));
  }
  return LongestRested(filter, now);
}

IpAddress Allocator::LongestDetached(const PrefixFilter& filter, Nanos now,
                                     const std::function<bool(const IpAddress&)>& spared) const {
  const Waiting* best = nullptr;
  for (const PrefixState& prefix : prefixes_) {
    if (!Matches(prefix, filter)) continue;
    for (const Waiting& waiting : prefix.detached) {
      if (waiting.usable > now || (best != nullptr && *best < waiting)) break;
      if (spared(waiting.ip)) continue;
      best = &waiting;
      break;
    }
  }
  return best != nullptr ? best->ip : IpAddress();
}

IpAddress Allocator::LongestResting() const {
  const Waiting* longest = nullptr;
  for (const PrefixState& prefix : prefixes_)
    for (const Queue* queue : {&prefix.resting, &prefix.resting_outside})
      if (!queue->empty() && (longest == nullptr || *queue->begin() < *longest)) longest = &*queue->begin();
  return longest != nullptr ? longest->ip : IpAddress();
}

Nanos Allocator::NextUsable(const PrefixFilter& filter) const {
  Nanos next = kNever;
  for (const PrefixState& prefix : prefixes_) {
    if (!Matches(prefix, filter)) continue;
    for (const Queue* queue : {&prefix.resting, &prefix.detached})
      if (!queue->empty()) next = std::min(next, queue->begin()->usable);
  }
  return next;
}

uint64_t Allocator::InQuarantine(const Queue& queue, Nanos now) {
  uint64_t count = 0;
  for (auto it = queue.rbegin(); it != queue.rend() && it->usable > now; ++it) count++;
  return count;
}

uint64_t Allocator::quarantined(Nanos now) const {
  uint64_t count = 0;
  for (const PrefixState& prefix : prefixes_)
    count += InQuarantine(prefix.resting, now) + InQuarantine(prefix.resting_outside, now);
  return count;
}

uint64_t Allocator::occupied_outside(Nanos now) const {
  uint64_t count = outside_;
  for (const PrefixState& prefix : prefixes_) count += InQuarantine(prefix.resting_outside, now);
  return count;
}

}  // namespace fairlead::ipam
