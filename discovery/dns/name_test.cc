#include "discovery/dns/name.h"

#include <gtest/gtest.h>

namespace fairlead::dns {
namespace {

std::string Wire(std::string_view text) {
  auto name = ParseName(text);
  EXPECT_TRUE(name.ok()) << name.status();
  return name.ok() ? *name : "";
}

TEST(Name, IsReadAndWrittenAsText) {
  EXPECT_EQ(Wire("web.demo."), std::string("\3web\4demo\0", 10));
  EXPECT_EQ(NameToText(Wire("web.demo.")), "web.demo.");
  EXPECT_EQ(NameToText(kRoot), ".");
}

TEST(Name, KeepsADotInsideALabelAsData) {
  std::string name = Wire("a\\.b.demo.");
  EXPECT_EQ(name, std::string("\3a.b\4demo\0", 10));
  EXPECT_EQ(NameToText(name), "a\\.b.demo.");
}

TEST(Name, WritesBytesThatAreNoTextAsNumbers) {
  EXPECT_EQ(Wire("\\000\\255.x."), std::string("\2\0\xff\1x\0", 6));
  EXPECT_EQ(NameToText(Wire("\\000\\255.x.")), "\\000\\255.x.");
}

TEST(Name, IsCompletedByTheOriginUnlessItEndsInADot) {
  EXPECT_EQ(*ParseName("web", Wire("demo.")), Wire("web.demo."));
  EXPECT_EQ(*ParseName("web.", Wire("demo.")), Wire("web."));
  EXPECT_EQ(*ParseName("@", Wire("demo.")), Wire("demo."));
}

TEST(Name, RefusesWhatIsNoName) {
  for (std::string bad : {"", "a..b", ".a", "a\\", "a\\25", "a\\256"}) EXPECT_FALSE(ParseName(bad).ok()) << bad;
}

TEST(Name, HoldsLabelsOf63AndNamesOf255Bytes) {
  std::string label(63, 'a');
  EXPECT_TRUE(ParseName(label).ok());
  EXPECT_FALSE(ParseName(label + "a").ok());
  std::string longest = Cat(label, ".", label, ".", label, ".", std::string(61, 'a'));  // 3*64 + 62 + 1 = 255
  EXPECT_TRUE(ParseName(longest).ok());
  EXPECT_FALSE(ParseName(longest + "a").ok());
}

TEST(Name, FoldsAsciiLettersOnly) {
  for (int byte = 0; byte < 256; byte++) {
    for (size_t at = 0; at < 11; at++) {  // in a whole word and in the rest behind it
      uint8_t from[11] = {'A', 'z', 0x40, 0x5b, 0x7f, 0x80, 0xc1, 0xda, 0xff, '0', 0};
      from[at] = static_cast<uint8_t>(byte);
      uint8_t to[11];
      Fold(from, to, sizeof from);
      for (size_t i = 0; i < sizeof from; i++) {
        bool upper = from[i] >= 'A' && from[i] <= 'Z';
        ASSERT_EQ(to[i], upper ? from[i] + 32 : from[i]) << byte << " at " << at;
      }
    }
  }
}

TEST(Name, KnowsWhatIsWithinAZone) {
  EXPECT_TRUE(IsWithin(Wire("a.b.c."), Wire("b.c.")));
  EXPECT_TRUE(IsWithin(Wire("b.c."), Wire("b.c.")));
  EXPECT_FALSE(IsWithin(Wire("ab.c."), Wire("b.c.")));
  EXPECT_FALSE(IsWithin(Wire("c."), Wire("b.c.")));
}

}  // namespace
}  // namespace fairlead::dns
