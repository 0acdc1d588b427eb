// Answers of other servers, for as long as they say, and a while longer for when these servers cannot be reached (RFC 8767).
// Never in front of our own zones. Bounded in bytes; what was asked for longest ago goes first.
#pragma once

#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/metrics.h"
#include "base/time.h"
#include "discovery/dns/foreign_message.h"

namespace fairlead::dns {

class ForeignCache {
 public:
  static constexpr size_t kMaxBytes = 16 << 20;
  static constexpr Nanos kStaleFor = 86400 * kSecond;  // behind its time an answer is kept so long
  static constexpr uint32_t kStaleTtl = 30;            // RFC 8767 §4
  static constexpr uint32_t kFailureTtl = 5;           // that nobody answered (RFC 9520)

  explicit ForeignCache(Metrics& metrics);

  struct Entry {
    ForeignAnswer answer;
    Nanos stored = 0;
    bool IsFresh(Nanos now) const { return now - stored < static_cast<Nanos>(answer.ttl_s) * kSecond; }
    uint32_t age_s(Nanos now) const { return static_cast<uint32_t>((now - stored) / kSecond); }
  };
  // Name, type, and what else makes another answer: DO and CD.
  static std::string KeyOf(const Query& query);
  // Valid until the next Keep(). Null: nothing, not even something stale.
  const Entry* Find(const std::string& key, Nanos now);
  void Keep(const std::string& key, ForeignAnswer answer, Nanos now);
  // Nobody could be asked: for a short while that is known, unless there is something stale to say instead.
  void KeepFailure(const std::string& key, Nanos now);
  bool HasFailed(const std::string& key, Nanos now) const;
  size_t bytes() const { return bytes_; }
  size_t size() const { return entries_.size(); }

 private:
  struct Slot {
    std::string key;
    Entry entry;
    Nanos failed_until = 0;
    size_t bytes() const { return 2 * key.size() + entry.answer.message.size() + 2 * entry.answer.ttl_at.size() + 200; }
  };
  Slot& Touch(const std::string& key);
  void Evict(std::list<Slot>::iterator slot);
  void Shrink();

  std::list<Slot> slots_;  // the last one was asked for longest ago
  std::unordered_map<std::string_view, std::list<Slot>::iterator> entries_;
  size_t bytes_ = 0;
  Gauge& bytes_gauge_;
  Counter& evicted_;
};

}  // namespace fairlead::dns
