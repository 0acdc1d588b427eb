// Limits the answers that go to one network over UDP, so that a listener on a LAN is of no use to flood somebody whose address
// is forged: a full bucket of answers each second, and beyond it every second question is told to come back over TCP,
// which a forger cannot, and the others hear nothing. A fixed table: networks that share a place share its bucket. One for all
// workers, from any thread: the kernel spreads a network's questions over them by port, and the limit is of all of these.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "base/net/ip_address.h"
#include "base/time.h"
#include "discovery/dns/cookie.h"

namespace fairlead::dns {

enum class RateVerdict { kAnswer, kTruncate, kDrop };

class RateLimit {
 public:
  static constexpr size_t kPlaces = 1 << 16;  // 512 KiB

  // Answers a second to a /24, of IPv6 to a /56. `secret` keeps others from choosing who shares a place.
  RateLimit(uint32_t per_second, const CookieSecret& secret);

  // An answer is to go there now (monotonic).
  RateVerdict Take(const IpAddress& asker, Nanos now);

 private:
  uint32_t per_second_;
  CookieSecret secret_;
  std::vector<std::atomic<uint64_t>> buckets_;  // a second, and how many were taken in it
};

}  // namespace fairlead::dns
