#include "discovery/dns/cookie.h"

#include <bit>
#include <cstring>

#include "discovery/dns/wire.h"

namespace fairlead::dns {

namespace {

constexpr size_t kTimeAt = 12, kHashAt = 16;  // behind the client's cookie: version, three reserved bytes, time, hash

uint64_t LoadLittle(const uint8_t* p, size_t n = 8) {
  uint64_t word = 0;
  for (size_t i = 0; i < n; i++) word |= uint64_t{p[i]} << (8 * i);
  return word;
}

struct Sip {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Take(uint64_t word) {
    v3 ^= word;
    Round();
    Round();
    v0 ^= word;
  }
};

bool Same(const uint8_t* a, const uint8_t* b, size_t n) {
  uint8_t differs = 0;
  for (size_t i = 0; i < n; i++) differs = static_cast<uint8_t>(differs | (a[i] ^ b[i]));
  return differs == 0;
}

}  // namespace

uint64_t SipHash(const CookieSecret& key, std::span<const uint8_t> bytes) {
  uint64_t k0 = LoadLittle(key.data()), k1 = LoadLittle(key.data() + 8);
  Sip sip{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};
  size_t whole = bytes.size() & ~size_t{7};
  for (size_t i = 0; i < whole; i += 8) sip.Take(LoadLittle(&bytes[i]));
  sip.Take(LoadLittle(bytes.data() + whole, bytes.size() - whole) | uint64_t{bytes.size()} << 56);
  sip.v2 ^= 0xff;
  for (int i = 0; i < 4; i++) sip.Round();
  return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

std::array<uint8_t, kCookieBytes> CookieJar::Make(std::span<const uint8_t> client, const IpAddress& asker,
                                                  uint32_t made_s) const {
  std::array<uint8_t, kHashAt + 16> hashed = {};
  std::memcpy(hashed.data(), client.data(), kClientCookieBytes);
  hashed[kClientCookieBytes] = 1;  // version
  Store32(&hashed[kTimeAt], made_s);
  auto address = asker.bytes();
  std::memcpy(&hashed[kHashAt], address.data(), address.size());
  uint64_t hash = SipHash(secret_, std::span(hashed).first(kHashAt + address.size()));
  std::array<uint8_t, kCookieBytes> cookie;
  std::memcpy(cookie.data(), hashed.data(), kHashAt);
  for (size_t i = 0; i < 8; i++) cookie[kHashAt + i] = static_cast<uint8_t>(hash >> (8 * i));
  return cookie;
}

bool CookieJar::IsOurs(std::span<const uint8_t> shown, const IpAddress& asker, uint32_t now_s) const {
  if (shown.size() != kCookieBytes) return false;
  uint32_t made_s = Load32(&shown[kTimeAt]);
  // Serial arithmetic (RFC 1982): the time wraps in 2106.
  auto age = static_cast<int32_t>(now_s - made_s);
  if (age > static_cast<int32_t>(kCookieLife) || age < -static_cast<int32_t>(kCookieAhead)) return false;
  auto made = Make(shown, asker, made_s);
  return Same(made.data(), shown.data(), kCookieBytes);
}

std::array<uint8_t, kCookieBytes> CookieJar::Answer(std::span<const uint8_t> shown, const IpAddress& asker,
                                                    uint32_t now_s) const {
  if (IsOurs(shown, asker, now_s) && static_cast<int32_t>(now_s - Load32(&shown[kTimeAt])) < static_cast<int32_t>(kCookieRenewed)) {
    std::array<uint8_t, kCookieBytes> same;
    std::memcpy(same.data(), shown.data(), kCookieBytes);
    return same;
  }
  return Make(shown, asker, now_s);
}

}  // namespace fairlead::dns
