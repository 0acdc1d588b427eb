#include "base/net/ip_address.h"

#include <gtest/gtest.h>

#include "base/net/socket_address.h"

namespace fairlead {
namespace {

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

TEST(IpAddress, ParsesAndPrintsBothFamilies) {
  EXPECT_EQ(Ip("10.40.0.7").ToString(), "10.40.0.7");
  EXPECT_EQ(Ip("2001:DB8:0:0:0:0:0:1").ToString(), "2001:db8::1");
  for (const char* bad : {"", "10.40.0", "10.40.0.256", "1::2::3", "fe80::1%eth0", "10.0.0.1/8", "localhost"})
    EXPECT_FALSE(IpAddress::Parse(bad).ok()) << bad;
}

TEST(IpAddress, UnsetIsNoAddress) {
  IpAddress none;
  EXPECT_FALSE(none.is_set() || none.is_v4() || none.is_v6());
  EXPECT_EQ(none.ToString(), "");
  EXPECT_NE(none, Ip("0.0.0.0"));
}

TEST(IpAddress, CountsOverByteBorders) {
  EXPECT_EQ(Ip("10.0.0.255").Plus(1), Ip("10.0.1.0"));
  EXPECT_EQ(Ip("2001:db8::ffff:ffff").Plus(1), Ip("2001:db8::1:0:0"));
  EXPECT_EQ(Ip("10.0.0.0").DistanceTo(Ip("10.1.0.0")), 65536u);
  EXPECT_EQ(Ip("::").DistanceTo(Ip("ffff::")), UINT64_MAX);
}

TEST(IpAddress, KnowsLoopback) {
  EXPECT_TRUE(Ip("127.3.0.1").is_loopback());
  EXPECT_TRUE(Ip("::1").is_loopback());
  EXPECT_FALSE(Ip("::2").is_loopback());
}

TEST(Prefix, ContainsWhatItSays) {
  Prefix p = *Prefix::Parse("10.40.0.0/22");
  EXPECT_TRUE(p.Contains(Ip("10.40.3.255")));
  EXPECT_FALSE(p.Contains(Ip("10.40.4.0")));
  EXPECT_FALSE(p.Contains(Ip("::ffff:10.40.0.1")));
  EXPECT_EQ(p.last(), Ip("10.40.3.255"));
  EXPECT_TRUE(Prefix::Parse("0.0.0.0/0")->Contains(Ip("255.255.255.255")));
  EXPECT_TRUE(Prefix::Parse("::/0")->Contains(Ip("ffff::")));
}

TEST(Prefix, OverlapsInEitherDirection) {
  Prefix wide = *Prefix::Parse("10.40.0.0/16"), narrow = *Prefix::Parse("10.40.7.0/24"), other = *Prefix::Parse("10.41.0.0/16");
  EXPECT_TRUE(wide.Overlaps(narrow) && narrow.Overlaps(wide));
  EXPECT_FALSE(wide.Overlaps(other));
}

TEST(Prefix, RefusesHostBitsAndNamesThePrefix) {
  auto bad = Prefix::Parse("10.40.0.1/24");
  EXPECT_EQ(Message(bad.status()), "\"10.40.0.1/24\" has host bits set; the prefix is 10.40.0.0/24");
  for (const char* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "/24"}) EXPECT_FALSE(Prefix::Parse(text).ok()) << text;
}

TEST(MacAddress, ParsesAndPrints) {
  EXPECT_EQ(MacAddress::Parse("02:42:AC:11:00:02")->ToString(), "02:42:ac:11:00:02");
  for (const char* bad : {"", "02:42:ac:11:00", "02-42-ac-11-00-02", "02:42:ac:11:00:0g", "2:42:ac:11:00:002"})
    EXPECT_FALSE(MacAddress::Parse(bad).ok()) << bad;
}

TEST(SocketAddress, ParsesWhatItPrints) {
  for (const char* text : {"10.0.0.1:80", "[::1]:65535", "unix:/run/x.sock", "0.0.0.0:0"}) {
    auto address = SocketAddress::Parse(text);
    ASSERT_TRUE(address.ok()) << text;
    EXPECT_EQ(address->ToString(), text);
    EXPECT_EQ(SocketAddress::FromKernel(address->raw(), address->size()), *address);
  }
}

TEST(SocketAddress, RefusesWhatIsAmbiguous) {
  for (const char* bad : {"", "80", "::1:80", "[10.0.0.1]:80", "10.0.0.1:", "10.0.0.1:65536", "host:80", "unix:"})
    EXPECT_FALSE(SocketAddress::Parse(bad).ok()) << bad;
  EXPECT_FALSE(SocketAddress::Unix(std::string(108, 'x')).ok());
  EXPECT_TRUE(SocketAddress::Unix(std::string(107, 'x')).ok());
}

}  // namespace
}  // namespace fairlead
