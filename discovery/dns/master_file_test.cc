#include "discovery/dns/master_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::dns {
namespace {

using ::testing::HasSubstr;

StatusOr<std::vector<StaticRecord>> Parse(std::string_view text) {
  return ParseMasterFile(text, "a.zone", {*ParseName("fl.internal"), 5});
}

std::vector<std::string> Owners(const std::vector<StaticRecord>& records) {
  std::vector<std::string> owners;
  for (const StaticRecord& record : records) owners.push_back(NameToText(record.owner));
  return owners;
}

TEST(MasterFile, ReadsEveryTypeThatIsServed) {
  auto records = Parse(R"(
$TTL 1h
@      IN SOA ns hostmaster ( 2026010100 ; serial
                              1h 10m 1d 30 )
       IN NS  ns
ns     300 IN A 192.0.2.1
ns     IN 300 AAAA 2001:db8::1
www    CNAME ns
mail   MX 10 ns.example.org.
_ldap._tcp SRV 0 5 389 ns
txt    TXT "two words" second "semi;colon"
7.2.0.192.in-addr.arpa. PTR ns
odd    TYPE65280 \# 3 0a0B0c
)");
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(Owners(*records), ::testing::ElementsAre(
      "fl.internal.", "fl.internal.", "ns.fl.internal.", "ns.fl.internal.", "www.fl.internal.", "mail.fl.internal.",
      "_ldap._tcp.fl.internal.", "txt.fl.internal.", "7.2.0.192.in-addr.arpa.", "odd.fl.internal."));
  EXPECT_EQ((*records)[1].ttl_s, 3600u);
  EXPECT_EQ((*records)[2].ttl_s, 300u);
  EXPECT_EQ((*records)[3].ttl_s, 300u);
  EXPECT_EQ((*records)[2].data, std::string("\xc0\0\2\1", 4));
  EXPECT_EQ((*records)[6].data, std::string("\0\0\0\5\1\x85\2ns\2fl\10internal\0", 22));
  EXPECT_EQ((*records)[7].data, std::string("\11two words\6second\12semi;colon", 28));
  EXPECT_EQ((*records)[9].type, 65280);
  EXPECT_EQ((*records)[9].data, std::string("\x0a\x0b\x0c", 3));
}

TEST(MasterFile, FollowsOrigin) {
  auto records = Parse("$ORIGIN sub\na A 192.0.2.1\n$ORIGIN example.org.\na A 192.0.2.1\n@ A 192.0.2.1\n");
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(Owners(*records), ::testing::ElementsAre("a.sub.fl.internal.", "a.example.org.", "example.org."));
}

struct Refused {
  const char* text;
  const char* error;
};

TEST(MasterFile, RefusesWithFileAndLine) {
  const Refused kCases[] = {
      {"\n\na A 192.0.2.300\n", "a.zone:3: \"192.0.2.300\" is no IPv4 address"},
      {"a A 2001:db8::1\n", "a.zone:1: \"2001:db8::1\" is no IPv4 address"},
      {"a A\n", "a.zone:1: an address is missing"},
      {"a A 192.0.2.1 192.0.2.2\n", "a.zone:1: unexpected \"192.0.2.2\""},
      {"a 300 IN\n", "a.zone:1: a type is missing"},
      {"a DNAME b\n", "a.zone:1: \"DNAME\" is no type that is served"},
      {"  A 192.0.2.1\n", "a.zone:1: the first record needs an owner"},
      {"a..b A 192.0.2.1\n", "a.zone:1: name a..b has an empty label"},
      {"a SRV 0 0 70000 b\n", "a.zone:1: \"70000\" is not a port"},
      {"a MX ten b\n", "a.zone:1: \"ten\" is not a preference"},
      {"a TXT \"open\n", "a.zone:1: a quotation mark is not closed"},
      {"a SOA b c ( 1 2 3\n", "a parenthesis is not closed"},
      {"$INCLUDE other\n", "a.zone:1: $INCLUDE is not understood here"},
      {"$TTL soon\n", "a.zone:1: \"soon\" is not a TTL"},
      {"a CNAME b\na A 192.0.2.1\n", "a.zone:2: a.fl.internal. is an alias already (CNAME at a.zone:1)"},
      {"a CNAME b\na CNAME c\n", "a.zone:2: a.fl.internal. has a second CNAME"},
      {"a TYPE41 \\# 0\n", "is no type that is served"},
      {"a TYPE99 \\# 2 00\n", "the length does not fit"},
  };
  for (const Refused& test : kCases) {
    auto records = Parse(test.text);
    ASSERT_FALSE(records.ok()) << test.text;
    EXPECT_THAT(Message(records.status()), HasSubstr(test.error));
  }
}

TEST(MasterFile, RecordsOutsideAllZonesAreRefusedUntilTheirZoneIsOpened) {
  ManualClock clock;
  auto zone = *Zone::Make({}, clock);
  auto stray = Parse("www.example.org. A 192.0.2.1\n");
  Status status = zone->SetRecords(*stray);
  EXPECT_THAT(Message(status), HasSubstr("a.zone:1: www.example.org. lies in no zone of this server"));
  auto opened = Parse("example.org. SOA ns hostmaster 1 1h 10m 1d 30\nwww.example.org. A 192.0.2.1\n");
  EXPECT_TRUE(zone->SetRecords(*opened).ok());
}

}  // namespace
}  // namespace fairlead::dns
