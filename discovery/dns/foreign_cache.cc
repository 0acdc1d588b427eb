#include "discovery/dns/foreign_cache.h"

#include <algorithm>

namespace fairlead::dns {

ForeignCache::ForeignCache(Metrics& metrics)
    : bytes_gauge_(metrics.gauge("fairlead_dns_cache_bytes", "Kept answers of other servers.")),
      evicted_(metrics.counter("fairlead_dns_cache_evicted_total", "Answers dropped for want of room.")) {}

std::string ForeignCache::KeyOf(const Query& query) {
  std::string key(query.name());
  Append16(key, query.type);
  key += static_cast<char>((query.dnssec_ok ? 1 : 0) | ((query.flags & flag::kCheckingDisabled) != 0 ? 2 : 0));
  return key;
}

const ForeignCache::Entry* ForeignCache::Find(const std::string& key, Nanos now) {
  auto it = entries_.find(key);
  if (it == entries_.end()) return nullptr;
  auto slot = it->second;
  if (slot->entry.answer.message.empty()) return nullptr;  // a failure alone
  if (now - slot->entry.stored > static_cast<Nanos>(slot->entry.answer.ttl_s) * kSecond + kStaleFor) {
    Evict(slot);
    return nullptr;
  }
  slots_.splice(slots_.begin(), slots_, slot);
  return &slot->entry;
}

void ForeignCache::Keep(const std::string& key, ForeignAnswer answer, Nanos now) {
  if (answer.ttl_s == 0) return;
  Slot& slot = Touch(key);
  bytes_ -= slot.bytes();
  answer.message.shrink_to_fit();
  slot.entry = {std::move(answer), now};
  slot.failed_until = 0;
  bytes_ += slot.bytes();
  Shrink();
}

void ForeignCache::KeepFailure(const std::string& key, Nanos now) {
  Touch(key).failed_until = now + static_cast<Nanos>(kFailureTtl) * kSecond;
  Shrink();
}

bool ForeignCache::HasFailed(const std::string& key, Nanos now) const {
  auto it = entries_.find(key);
  return it != entries_.end() && it->second->failed_until > now;
}

ForeignCache::Slot& ForeignCache::Touch(const std::string& key) {
  if (auto it = entries_.find(key); it != entries_.end()) {
    slots_.splice(slots_.begin(), slots_, it->second);
    return *it->second;
  }
  slots_.push_front({key, {}, 0});
  entries_.emplace(slots_.front().key, slots_.begin());
  bytes_ += slots_.front().bytes();
  return slots_.front();
}

void ForeignCache::Evict(std::list<Slot>::iterator slot) {
  bytes_ -= slot->bytes();
  entries_.erase(slot->key);
  slots_.erase(slot);
}

void ForeignCache::Shrink() {
  while (bytes_ > kMaxBytes && !slots_.empty()) {
    Evict(std::prev(slots_.end()));
    evicted_.Add();
  }
  bytes_gauge_.Set(static_cast<double>(bytes_));
}

}  // namespace fairlead::dns
