#include "discovery/dns/rate_limit.h"

#include <cstring>

namespace fairlead::dns {

RateLimit::RateLimit(uint32_t per_second, const CookieSecret& secret)
    : per_second_(per_second), secret_(secret), buckets_(kPlaces) {}

RateVerdict RateLimit::Take(const IpAddress& asker, Nanos now) {
  auto network = asker.bytes().first(asker.is_v4() ? 3 : 7);
  std::atomic<uint64_t>& bucket = buckets_[SipHash(secret_, network) % kPlaces];
  const uint64_t fresh = static_cast<uint64_t>(now / kSecond) << 32;
  uint64_t before = bucket.load(std::memory_order_relaxed), after;
  do {
    after = (before >> 32 == fresh >> 32 ? before : fresh) + 1;
  } while (!bucket.compare_exchange_weak(before, after, std::memory_order_relaxed));
  const auto taken = static_cast<uint32_t>(after);
  if (taken <= per_second_) return RateVerdict::kAnswer;
  return (taken - per_second_) % 2 == 1 ? RateVerdict::kTruncate : RateVerdict::kDrop;
}

}  // namespace fairlead::dns
