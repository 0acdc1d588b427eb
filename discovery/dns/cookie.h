// DNS cookies (RFC 7873) in the form that servers of one secret share (RFC 9018): who shows a cookie of ours has received an
// answer at its address before, so what it asks with was not forged by somebody on another path.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/net/ip_address.h"

namespace fairlead::dns {

inline constexpr size_t kClientCookieBytes = 8;
inline constexpr size_t kCookieBytes = 24;             // the client's and ours
inline constexpr uint32_t kCookieLife = 3600;          // seconds
inline constexpr uint32_t kCookieRenewed = 1800;       // of an older one a new one is made
inline constexpr uint32_t kCookieAhead = 300;          // of clocks that differ

using CookieSecret = std::array<uint8_t, 16>;

// SipHash-2-4 (Aumasson and Bernstein, 2012).
uint64_t SipHash(const CookieSecret& key, std::span<const uint8_t> bytes);

class CookieJar {
 public:
  explicit CookieJar(const CookieSecret& secret) : secret_(secret) {}

  // What the asker is to show next time. `shown` is its option, 8 or 16 to 40 bytes; `now_s` is the wall clock.
  std::array<uint8_t, kCookieBytes> Answer(std::span<const uint8_t> shown, const IpAddress& asker, uint32_t now_s) const;
  // It shows one that we made for that address, and not too long ago.
  bool IsOurs(std::span<const uint8_t> shown, const IpAddress& asker, uint32_t now_s) const;

 private:
  std::array<uint8_t, kCookieBytes> Make(std::span<const uint8_t> client, const IpAddress& asker, uint32_t made_s) const;
  CookieSecret secret_;
};

}  // namespace fairlead::dns
