#include "lb/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

#include "base/strings.h"

namespace fairlead::lb {
namespace {

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }
const ProxyAddresses kV4{Ip("192.0.2.7"), Ip("198.51.100.1"), 56324, 443};
const ProxyAddresses kV6{Ip("2001:db8::7"), Ip("2001:db8::1"), 65535, 1};
const ProxyAddresses kNone;

ProxyParse Parse(std::string_view bytes) {
  ReceivedProxyHeader header;
  return ParseProxyHeader(bytes, header);
}

// A whole header: every prefix needs more, and what follows it changes nothing.
ProxyAddresses Accepted(const std::string& header) {
  ReceivedProxyHeader got;
  for (size_t n = 0; n < header.size(); n++) EXPECT_EQ(Parse(header.substr(0, n)), ProxyParse::kNeedMore) << n;
  EXPECT_EQ(ParseProxyHeader(header + "PROXY \r\nx", got), ProxyParse::kOk);
  EXPECT_EQ(got.bytes, header.size());
  EXPECT_EQ(ParseProxyHeader(header, got), ProxyParse::kOk);
  return got.addresses;
}

std::string Bytes(std::initializer_list<int> values) {
  std::string bytes;
  for (int value : values) bytes += static_cast<char>(value);
  return bytes;
}

std::string V2(int version_command, int family, std::string_view block) {
  return Cat(std::string_view("\r\n\r\n\0\r\nQUIT\n", 12),
             Bytes({version_command, family, static_cast<int>(block.size() >> 8), static_cast<int>(block.size() & 0xff)}),
             block);
}
const std::string kBlock4 = Bytes({192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb});

TEST(ProxyHeaderV1, TakesTcp4) { EXPECT_EQ(Accepted("PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"), kV4); }
TEST(ProxyHeaderV1, TakesTcp6) { EXPECT_EQ(Accepted("PROXY TCP6 2001:db8::7 2001:DB8::1 65535 1\r\n"), kV6); }
TEST(ProxyHeaderV1, IgnoresWhatFollowsUnknown) {
  EXPECT_EQ(Accepted("PROXY UNKNOWN\r\n"), kNone);
  EXPECT_EQ(Accepted("PROXY UNKNOWN ffff::f ffff::f 65535 65535\r\n"), kNone);
}
TEST(ProxyHeaderV1, TakesTheLongestLineAndNoLongerOne) {
  std::string longest = Cat("PROXY UNKNOWN ", std::string(kMaxProxyV1Bytes - 16, 'x'), "\r\n");
  ASSERT_EQ(longest.size(), kMaxProxyV1Bytes);
  Accepted(longest);
  EXPECT_EQ(Parse(Cat("PROXY UNKNOWN ", std::string(kMaxProxyV1Bytes - 15, 'x'), "\r\n")), ProxyParse::kBad);
  EXPECT_EQ(Parse(Cat("PROXY UNKNOWN ", std::string(kMaxProxyV1Bytes - 14, 'x'))), ProxyParse::kBad);
}
TEST(ProxyHeaderV1, RefusesOtherForms) {
  for (std::string line : {"TCP4 1.2.3.4 1.2.3.5 1 2 ", "TCP4 1.2.3.4 1.2.3.5 1 2 3", "TCP4  1.2.3.4 1.2.3.5 1 2",
                           "TCP4 1.2.3.4  1.2.3.5 1 2", "TCP4 1.2.3.4 1.2.3.5 1", "TCP4", "", "UDP4 1.2.3.4 1.2.3.5 1 2",
                           "tcp4 1.2.3.4 1.2.3.5 1 2", "TCP4\t1.2.3.4 1.2.3.5 1 2", "UNKNOWNX", "TCP5 1.2.3.4 1.2.3.5 1 2"})
    EXPECT_EQ(Parse(Cat("PROXY ", line, "\r\n")), ProxyParse::kBad) << line;
}
TEST(ProxyHeaderV1, RefusesAddressesOfTheWrongFamilyOrForm) {
  for (std::string line : {"TCP4 ::1 ::1 1 2", "TCP6 1.2.3.4 1.2.3.5 1 2", "TCP4 1.2.3 1.2.3.5 1 2", "TCP4 1.2.3.256 1.2.3.5 1 2",
                           "TCP4 01.2.3.4 1.2.3.5 1 2", "TCP6 ::ffff:1.2.3.4 ::1 1 2", "TCP6 fe80::1%eth0 ::1 1 2", "TCP6 [::1] ::1 1 2"})
    EXPECT_EQ(Parse(Cat("PROXY ", line, "\r\n")), ProxyParse::kBad) << line;
}
TEST(ProxyHeaderV1, RefusesPortsOutOfRangeOrWithLeadingZeros) {
  for (std::string ports : {"65536 1", "1 65536", "01 1", "1 00", "-1 1", "+1 1", "1 ", " 1", "1 1a", "0x1 1", "99999999999 1"})
    EXPECT_EQ(Parse(Cat("PROXY TCP4 1.2.3.4 1.2.3.5 ", ports, "\r\n")), ProxyParse::kBad) << ports;
  EXPECT_EQ(Parse("PROXY TCP4 1.2.3.4 1.2.3.5 0 0\r\n"), ProxyParse::kOk);
}
TEST(ProxyHeaderV1, RefusesBareCrAndBareLf) {
  EXPECT_EQ(Parse("PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n"), ProxyParse::kBad);
  EXPECT_EQ(Parse("PROXY TCP4 1.2.3.4 1.2.3.5 1 2\rG"), ProxyParse::kBad);
  EXPECT_EQ(Parse("PROXY UNKNOWN\n\r\n"), ProxyParse::kBad);
}
TEST(ProxyHeader, RefusesWhatBeginsOtherwiseAtTheFirstByteThatDiffers) {
  EXPECT_EQ(Parse("G"), ProxyParse::kBad);
  EXPECT_EQ(Parse("PROXZ"), ProxyParse::kBad);
  EXPECT_EQ(Parse("PROXY\t"), ProxyParse::kBad);
  EXPECT_EQ(Parse("\r\n\r\nG"), ProxyParse::kBad);
  EXPECT_EQ(Parse(""), ProxyParse::kNeedMore);
}

TEST(ProxyHeaderV2, TakesIPv4AndIPv6) {
  EXPECT_EQ(Accepted(V2(0x21, 0x11, kBlock4)), kV4);
  std::string block6;
  for (const IpAddress* ip : {&kV6.source, &kV6.destination})
    for (uint8_t byte : ip->bytes()) block6 += static_cast<char>(byte);
  EXPECT_EQ(Accepted(V2(0x21, 0x21, block6 + Bytes({0xff, 0xff, 0, 1}))), kV6);
}
TEST(ProxyHeaderV2, KeepsTheConnectionsAddressesForLocalUnspecUnixAndDatagrams) {
  EXPECT_EQ(Accepted(V2(0x20, 0x00, "")), kNone);
  EXPECT_EQ(Accepted(V2(0x20, 0x11, kBlock4)), kNone);
  EXPECT_EQ(Accepted(V2(0x20, 0xff, "any bytes")), kNone);
  EXPECT_EQ(Accepted(V2(0x21, 0x00, "")), kNone);
  EXPECT_EQ(Accepted(V2(0x21, 0x00, "any bytes")), kNone);
  EXPECT_EQ(Accepted(V2(0x21, 0x31, std::string(216, 'p'))), kNone);
  EXPECT_EQ(Accepted(V2(0x21, 0x12, kBlock4)), kNone);
}
TEST(ProxyHeaderV2, SkipsTlvsThatAddUp) {
  EXPECT_EQ(Accepted(V2(0x21, 0x11, kBlock4 + Bytes({1, 0, 2, 'h', '2', 4, 0, 0}))), kV4);
}
TEST(ProxyHeaderV2, RefusesTlvsThatDoNotAddUp) {
  EXPECT_EQ(Parse(V2(0x21, 0x11, kBlock4 + Bytes({1}))), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x21, 0x11, kBlock4 + Bytes({1, 0, 3, 'h', '2'}))), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x21, 0x11, kBlock4 + Bytes({1, 0, 1, 'h', '2'}))), ProxyParse::kBad);
}
TEST(ProxyHeaderV2, RefusesOtherVersionsCommandsFamiliesAndTransports) {
  EXPECT_EQ(Parse(V2(0x11, 0x11, kBlock4)), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x31, 0x11, kBlock4)), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x22, 0x11, kBlock4)), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x21, 0x41, kBlock4)), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x21, 0x13, kBlock4)), ProxyParse::kBad);
}
TEST(ProxyHeaderV2, RefusesABlockTooShortForItsFamily) {
  EXPECT_EQ(Parse(V2(0x21, 0x11, kBlock4.substr(1))), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x21, 0x21, std::string(35, 'x'))), ProxyParse::kBad);
  EXPECT_EQ(Parse(V2(0x21, 0x31, std::string(215, 'x'))), ProxyParse::kBad);
}
TEST(ProxyHeaderV2, TakesUpToItsLimitAndRefusesMoreBeforeItComes) {
  std::string tlv = Cat(Bytes({4, (kMaxProxyV2Bytes - 31) >> 8, (kMaxProxyV2Bytes - 31) & 0xff}), std::string(kMaxProxyV2Bytes - 31, '\0'));
  std::string whole = V2(0x21, 0x11, kBlock4 + tlv);
  ASSERT_EQ(whole.size(), kMaxProxyV2Bytes);
  EXPECT_EQ(Accepted(whole), kV4);
  std::string longer = V2(0x20, 0, std::string(kMaxProxyV2Bytes - 15, 'x'));
  EXPECT_EQ(Parse(longer.substr(0, 16)), ProxyParse::kBad);
}

std::string Written(size_t (*write)(const ProxyAddresses&, char*), const ProxyAddresses& addresses) {
  char out[kMaxWrittenProxyBytes];
  return {out, write(addresses, out)};
}
TEST(ProxyHeaderWrite, V1) {
  EXPECT_EQ(Written(WriteProxyV1, kV4), "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n");
  EXPECT_EQ(Written(WriteProxyV1, kV6), "PROXY TCP6 2001:db8::7 2001:db8::1 65535 1\r\n");
  EXPECT_EQ(Written(WriteProxyV1, kNone), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(Written(WriteProxyV1, {kV4.source, kV6.destination, 1, 2}), "PROXY TCP6 0:0:0:0:0:ffff:c000:207 2001:db8::1 1 2\r\n");
  IpAddress longest = Ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_LE(Written(WriteProxyV1, {longest, longest, 65535, 65535}).size(), kMaxWrittenProxyBytes);
}
TEST(ProxyHeaderWrite, V2) {
  EXPECT_EQ(Written(WriteProxyV2, kV4), V2(0x21, 0x11, kBlock4));
  EXPECT_EQ(Written(WriteProxyV2, kNone), V2(0x21, 0x00, ""));
}
TEST(ProxyHeaderWrite, WhatIsWrittenIsUnderstood) {
  ProxyAddresses mixed{kV4.source, kV6.destination, 1, 2};
  ProxyAddresses mapped{Ip("::ffff:192.0.2.7"), kV6.destination, 1, 2};
  for (auto write : {WriteProxyV1, WriteProxyV2}) {
    for (const ProxyAddresses& addresses : {kV4, kV6, kNone, mapped}) EXPECT_EQ(Accepted(Written(write, addresses)), addresses);
    EXPECT_EQ(Accepted(Written(write, mixed)), mapped);
  }
}

}  // namespace
}  // namespace fairlead::lb
