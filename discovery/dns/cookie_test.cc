#include "discovery/dns/cookie.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/check.h"

namespace fairlead::dns {
namespace {

std::vector<uint8_t> Hex(std::string_view text) {
  std::vector<uint8_t> bytes;
  auto digit = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (size_t i = 0; i < text.size(); i += 2) bytes.push_back(static_cast<uint8_t>(digit(text[i]) << 4 | digit(text[i + 1])));
  return bytes;
}
CookieSecret Secret(std::string_view hex) {
  CookieSecret secret;
  std::vector<uint8_t> bytes = Hex(hex);
  CHECK(bytes.size() == secret.size());
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}
std::vector<uint8_t> Bytes(const std::array<uint8_t, kCookieBytes>& cookie) { return {cookie.begin(), cookie.end()}; }
IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

const CookieJar kJar(Secret("e5e973e5a6b2a43f48e7dc849e37bfcf"));

// The first vector of Aumasson's reference implementation.
TEST(SipHash, IsTheReference) {
  CookieSecret key;
  for (uint8_t i = 0; i < 16; i++) key[i] = i;
  EXPECT_EQ(SipHash(key, {}), 0x726fdb47dd0e0e31u);
  std::vector<uint8_t> fifteen = Hex("000102030405060708090a0b0c0d0e");
  EXPECT_EQ(SipHash(key, fifteen), 0xa129ca6149be45e5u);
}

// RFC 9018, appendix A.1 to A.3: learning a cookie, learning it again, a renewed one.
TEST(CookieJar, MakesTheCookiesOfTheRfc) {
  EXPECT_EQ(Bytes(kJar.Answer(Hex("2464c4abcf10c957"), Ip("198.51.100.100"), 1559731985)),
            Hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
  EXPECT_EQ(Bytes(kJar.Answer(Hex("fc93fc62807ddb8601000000" "5cf7a8710a4ae7c8a1b2c3d4"), Ip("203.0.113.203"), 1559734700)),
            Hex("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"));
}

TEST(CookieJar, KnowsItsOwn) {
  auto cookie = Hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
  EXPECT_TRUE(kJar.IsOurs(cookie, Ip("198.51.100.100"), 1559731985));
  EXPECT_TRUE(kJar.IsOurs(cookie, Ip("198.51.100.100"), 1559731985 + kCookieLife));
  EXPECT_TRUE(kJar.IsOurs(cookie, Ip("198.51.100.100"), 1559731985 - kCookieAhead));
}

TEST(CookieJar, DoesNotTakeAnothersOldOrFutureOnes) {
  auto cookie = Hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
  EXPECT_FALSE(kJar.IsOurs(cookie, Ip("198.51.100.101"), 1559731985));
  EXPECT_FALSE(kJar.IsOurs(cookie, Ip("198.51.100.100"), 1559731985 + kCookieLife + 1));
  EXPECT_FALSE(kJar.IsOurs(cookie, Ip("198.51.100.100"), 1559731985 - kCookieAhead - 1));
  EXPECT_FALSE(CookieJar({}).IsOurs(cookie, Ip("198.51.100.100"), 1559731985));
  for (size_t i = 0; i < cookie.size(); i++) {
    auto wrong = cookie;
    wrong[i] ^= 1;
    EXPECT_FALSE(kJar.IsOurs(wrong, Ip("198.51.100.100"), 1559731985)) << "byte " << i;
  }
  EXPECT_FALSE(kJar.IsOurs(std::span(cookie).first(8), Ip("198.51.100.100"), 1559731985));
}

TEST(CookieJar, KeepsAFreshOneAndRenewsAnOldOne) {
  auto cookie = Hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
  EXPECT_EQ(Bytes(kJar.Answer(cookie, Ip("198.51.100.100"), 1559731985 + kCookieRenewed - 1)), cookie);
  auto renewed = kJar.Answer(cookie, Ip("198.51.100.100"), 1559731985 + kCookieRenewed);
  EXPECT_NE(Bytes(renewed), cookie);
  EXPECT_TRUE(kJar.IsOurs(renewed, Ip("198.51.100.100"), 1559731985 + kCookieRenewed + kCookieLife));
}

// RFC 9018, appendix A.4.
TEST(CookieJar, MakesCookiesForIpv6) {
  CookieJar jar(Secret("445536bcd2513298075a5d379663c962"));
  EXPECT_EQ(Bytes(jar.Answer(Hex("22681ab97d52c298"), Ip("2001:db8:220:1:59de:d0f4:8769:82b8"), 1559741961)),
            Hex("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
}

}  // namespace
}  // namespace fairlead::dns
