#include "discovery/dns/rr_set.h"

#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "base/strings.h"

namespace fairlead::dns {
namespace {

std::map<std::string, std::string> RecordsOf(const RrSet& set) {
  std::map<std::string, std::string> records;
  for (size_t i = 0; i < set.count(); i++) records.emplace(set.data(i), set.glue(i));
  return records;
}

TEST(RrSet, HoldsARecordAsLongAsAnybodyWantsIt) {
  RrSet set(kTxt);
  EXPECT_TRUE(set.Add("x", 5));
  EXPECT_FALSE(set.Add("x", 5));
  EXPECT_FALSE(set.Remove("x"));
  EXPECT_EQ(set.count(), 1u);
  EXPECT_TRUE(set.Remove("x"));
  EXPECT_TRUE(set.empty());
}

TEST(RrSet, HasTheLeastTtlThatWasAskedFor) {
  RrSet set(kTxt);
  set.Add("x", 60);
  set.Add("y", 5);
  set.Add("z", 300);
  EXPECT_EQ(set.ttl_s(), 5u);
}

// Small sets are searched, large ones indexed, holes closed: none of it shows.
TEST(RrSet, IsWhatWasAddedAndNotRemovedAtAnySize) {
  SeededRandom random(7);
  RrSet set(kSrv);
  std::map<std::string, std::string> wanted;
  std::map<std::string, int> holders;
  for (int step = 0; step < 20000; step++) {
    bool growing = step / 4000 % 2 == 0;
    std::string data = Cat("record-", random.Below(3000), std::string(random.Below(2) * 9, '.'));
    if (holders[data] > 0 && random.Below(4) < (growing ? 1u : 3u)) {
      EXPECT_EQ(set.Remove(data), --holders[data] == 0);
      if (holders[data] == 0) wanted.erase(data);
    } else if (growing || random.OneIn(4)) {
      std::string glue = random.OneIn(2) ? "1234" : "";
      EXPECT_EQ(set.Add(data, 5, glue), holders[data]++ == 0);
      wanted.emplace(data, glue);
    }
    if (step % 500 == 0) ASSERT_EQ(RecordsOf(set), wanted);
  }
  EXPECT_GT(set.count(), 100u);
  for (const auto& [data, count] : holders)
    for (int i = 0; i < count; i++) set.Remove(data);
  EXPECT_TRUE(set.empty());
}

}  // namespace
}  // namespace fairlead::dns
