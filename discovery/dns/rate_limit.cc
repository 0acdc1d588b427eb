#include "discovery/dns/rate_limit.h"

#include <cstring>

namespace fairlead::dns {

RateLimit::RateLimit(uint32_t per_second, const CookieSecret& secret)
    : per_second_(per_second), secret_(secret), buckets_(per_second != 0 ? kPlaces : 0) {}

RateVerdict RateLimit::Take(const IpAddress& asker, Nanos now) {
  auto network = asker.bytes().first(asker.is_v4() ? 3 : 7);
  Bucket& bucket = buckets_[SipHash(secret_, network) % kPlaces];
  auto second = static_cast<uint32_t>(now / kSecond);
  if (bucket.second != second) bucket = {second, 0};
  ++bucket.taken;
  if (bucket.taken <= per_second_) return RateVerdict::kAnswer;
  return (bucket.taken - per_second_) % 2 == 1 ? RateVerdict::kTruncate : RateVerdict::kDrop;
}

}  // namespace fairlead::dns
