#include "discovery/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "discovery/test_rows.h"

namespace fairlead::discovery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Item {
  std::string key;
  int value = 0;
};

struct PoorHash {  // three buckets: everything collides
  size_t operator()(std::string_view s) const { return s.size() % 3; }
};

template <class Hash>
void AgreesWithStdMap() {
  SeededRandom random(1);
  PersistentMap<Item, Hash> map;
  std::map<std::string, int> expected;
  for (int i = 0; i < 3000; i++) {
    const std::string key = std::string(random.Below(6), 'x') + std::to_string(random.Below(100));
    if (random.OneIn(3)) {
      map = map.Without(key);
      expected.erase(key);
    } else {
      map = map.With(std::make_shared<Item>(Item{key, i}));
      expected[key] = i;
    }
    ASSERT_EQ(map.size(), expected.size());
  }
  size_t seen = 0;
  map.ForEach([&](const std::shared_ptr<const Item>& item) {
    ++seen;
    EXPECT_EQ(expected.at(item->key), item->value);
  });
  EXPECT_EQ(seen, expected.size());
  for (const auto& [key, value] : expected) EXPECT_EQ((*map.Find(key))->value, value);
  for (const auto& [key, value] : expected) map = map.Without(key);
  EXPECT_TRUE(map.empty());
}

TEST(PersistentMap, AgreesWithStdMap) { AgreesWithStdMap<StringHash>(); }
TEST(PersistentMap, AgreesWithStdMapWhenHashesCollide) { AgreesWithStdMap<PoorHash>(); }

template <class Hash>
void ChangesInPlaceOnlyWhatNoCopyShares() {
  PersistentMap<Item, Hash> map;
  std::map<std::string, int> expected;
  std::vector<std::pair<PersistentMap<Item, Hash>, std::map<std::string, int>>> copies;
  SeededRandom random(1);
  for (int i = 0; i < 3000; i++) {
    const std::string key = std::to_string(random.Below(200));
    if (random.OneIn(3)) {
      map.Drop(key);
      expected.erase(key);
    } else {
      map.Put(std::make_shared<Item>(Item{key, i}));
      expected[key] = i;
    }
    ASSERT_EQ(map.size(), expected.size());
    if (random.OneIn(40)) copies.emplace_back(map, expected);
  }
  copies.emplace_back(map, expected);
  for (const auto& [copy, values] : copies) {
    ASSERT_EQ(copy.size(), values.size());
    for (const auto& [key, value] : values) ASSERT_EQ((*copy.Find(key))->value, value);
  }
}

TEST(PersistentMap, ChangesInPlaceOnlyWhatNoCopyShares) {
  ChangesInPlaceOnlyWhatNoCopyShares<StringHash>();
  ChangesInPlaceOnlyWhatNoCopyShares<PoorHash>();
}

TEST(PersistentMap, OldCopiesStayAsTheyWere) {
  PersistentMap<Item> map;
  for (int i = 0; i < 100; i++) map = map.With(std::make_shared<Item>(Item{std::to_string(i), i}));
  const PersistentMap<Item> before = map;
  map = map.With(std::make_shared<Item>(Item{"7", -7})).Without("8");
  EXPECT_EQ((*before.Find("7"))->value, 7);
  EXPECT_NE(before.Find("8"), nullptr);
  EXPECT_EQ((*map.Find("7"))->value, -7);
  EXPECT_EQ(map.Find("8"), nullptr);
}

struct Follower final : ChangeListener {
  std::vector<Change> heard;
  int calls = 0;
  void OnChanges(const std::vector<Change>& changes) override {
    ++calls;
    heard.insert(heard.end(), changes.begin(), changes.end());
  }
};

TEST(Catalog, AContainerOfBothFamiliesHasTwoLeases) {
  LeaseRow v4, v6;
  v4.network = v6.network = "shopnet";
  v4.name = v6.name = "web";
  v4.ip = *IpAddress::Parse("10.40.0.7");
  v6.ip = *IpAddress::Parse("fd00::7");
  EXPECT_NE(KeyOf(v4), KeyOf(v6));
}

TEST(Catalog, StampsRowsAndMakesNoRevisionWithoutAChange) {
  Catalog catalog("n1", 7);
  EXPECT_TRUE(catalog.Upsert(Endpoint("a")));
  EXPECT_FALSE(catalog.Upsert(Endpoint("a")));
  EXPECT_EQ(catalog.revision(), 1u);
  auto row = catalog.Find("endpoint/n1/a");
  ASSERT_TRUE(row);
  EXPECT_EQ(row->epoch, 7u);
  EXPECT_EQ(row->sequence, 1u);
  EXPECT_EQ(row->node, "n1");
  EXPECT_TRUE(catalog.Remove("endpoint/n1/a"));
  EXPECT_FALSE(catalog.Remove("endpoint/n1/a"));
  EXPECT_EQ(catalog.revision(), 2u);
}

TEST(Catalog, ListenersHearEveryChangeInOrder) {
  Catalog catalog("n1", 1);
  Follower follower;
  catalog.Watch(follower);
  catalog.Upsert(Endpoint("a"));
  catalog.Remove("endpoint/n1/a");
  catalog.MarkSynced();
  ASSERT_EQ(follower.heard.size(), 2u);
  EXPECT_TRUE(follower.heard[0].row);
  EXPECT_FALSE(follower.heard[1].row);
  EXPECT_EQ(follower.calls, 3);
  catalog.Unwatch(follower);
  catalog.Upsert(Endpoint("b"));
  EXPECT_EQ(follower.calls, 3);
}

TEST(Catalog, LogGivesEachKeyOnceAndEndsWhereItsCapacityEnds) {
  Catalog catalog("n1", 1, 3);
  for (uint16_t port : {1, 2, 3}) catalog.Upsert(Endpoint("a", "web", port));
  catalog.Upsert(Endpoint("b"));
  auto changed = catalog.ChangedSince(1, 10);
  ASSERT_TRUE(changed);
  EXPECT_THAT(changed->keys, ElementsAre("endpoint/n1/a", "endpoint/n1/b"));
  EXPECT_EQ(changed->up_to, 4u);
  EXPECT_FALSE(catalog.ChangedSince(0, 10));
  auto first = catalog.ChangedSince(1, 1);
  EXPECT_THAT(first->keys, ElementsAre("endpoint/n1/a"));
  EXPECT_EQ(first->up_to, 3u);
}

TEST(Catalog, ALaterContainerThatDiffersIsRejectedAndTheEarlierStays) {
  Catalog catalog("n1", 1);
  catalog.Upsert(Endpoint("a"));
  EndpointRow other = Endpoint("b");
  other.services[0].routes[0].hosts = {"typo.example"};
  catalog.Upsert(other);
  EXPECT_TRUE(catalog.Find("endpoint/n1/a")->endpoint()->services[0].published());
  const ServiceEntry rejected = catalog.Find("endpoint/n1/b")->endpoint()->services[0];
  EXPECT_FALSE(rejected.published());
  EXPECT_THAT(rejected.problems, ElementsAre("rejected: differs in host from container container-a"));
  EXPECT_FALSE(catalog.Upsert(other));
}

TEST(Catalog, OfContainersThatDisagreeTheOldestHoldsInWhateverOrderTheyAreHeardOf) {
  std::vector<EndpointRow> rows = {Endpoint("x"), Endpoint("y"), Endpoint("z"), Endpoint("w")};
  for (size_t i = 0; i < rows.size(); i++) {
    rows[i].created_wall = static_cast<Nanos>(100 + i);
    if (i % 2 == 1) rows[i].services[0].routes[0].hosts = {"typo.example"};
  }
  std::vector<size_t> order = {0, 1, 2, 3};
  do {
    Catalog catalog("n1", 1);
    for (size_t i : order) catalog.Upsert(rows[i]);
    for (size_t i = 0; i < rows.size(); i++) {
      const ServiceEntry entry = catalog.Find(KeyOf(rows[i]))->endpoint()->services[0];
      EXPECT_EQ(entry.published(), i % 2 == 0) << i << " of " << testing::PrintToString(order);
      if (i % 2 == 1) EXPECT_THAT(entry.problems, ElementsAre(testing::StartsWith("rejected: differs in host from container")));
    }
    catalog.Remove(KeyOf(rows[0]));
    catalog.Remove(KeyOf(rows[2]));
    EXPECT_TRUE(catalog.Find(KeyOf(rows[1]))->endpoint()->services[0].published());
    EXPECT_TRUE(catalog.Find(KeyOf(rows[3]))->endpoint()->services[0].published());
  } while (std::ranges::next_permutation(order).found);
}

TEST(Catalog, ALaterContainerWithAnotherRuleOrPriorityIsRejected) {
  Catalog catalog("n1", 1);
  EndpointRow first = Endpoint("a"), other = Endpoint("b"), third = Endpoint("c");
  first.services[0].routes = {{{}, "/", {}, "Host(`a`)", 0}};
  other.services[0].routes = {{{}, "/", {}, "Host(`b`)", 0}};
  third.services[0].routes = {{{}, "/", {}, "Host(`a`)", 7}};
  for (const EndpointRow& row : {first, other, third}) catalog.Upsert(row);
  auto problems = [&](const char* key) { return catalog.Find(key)->endpoint()->services[0].problems; };
  EXPECT_THAT(problems("endpoint/n1/a"), IsEmpty());
  EXPECT_THAT(problems("endpoint/n1/b"), ElementsAre("rejected: differs in rule from container container-a"));
  EXPECT_THAT(problems("endpoint/n1/c"), ElementsAre("rejected: differs in priority from container container-a"));
}

TEST(Catalog, ARejectedContainerIsAdmittedWhenTheHoldersAreGone) {
  Catalog catalog("n1", 1);
  catalog.Upsert(Endpoint("a"));
  EndpointRow other = Endpoint("b");
  other.services[0].protocol = "h2c";
  catalog.Upsert(other);
  catalog.Remove("endpoint/n1/a");
  const ServiceEntry admitted = catalog.Find("endpoint/n1/b")->endpoint()->services[0];
  EXPECT_TRUE(admitted.published());
  EXPECT_THAT(admitted.problems, IsEmpty());
}

// The oldest container is replaced by others, as in a deploy: what they say of their service stays as old as it was.
TEST(Catalog, AServicesClaimStaysAsOldAsTheOldestContainerThatEverMadeIt) {
  Catalog catalog("n1", 1);
  auto made = [](const char* id, Nanos created) {
    EndpointRow row = Endpoint(id);
    row.created_wall = created;
    return row;
  };
  auto claimed = [&](const char* id) { return catalog.Find(Cat("endpoint/n1/", id))->endpoint()->services[0].claimed_wall; };
  catalog.Upsert(made("c", 300));
  catalog.Upsert(made("b", 200));
  catalog.Upsert(made("a", 100));
  EXPECT_EQ(claimed("a"), 0);
  catalog.Upsert(made("d", 400));
  EXPECT_EQ(claimed("d"), 100);
  EXPECT_TRUE(catalog.Remove("endpoint/n1/a"));
  EXPECT_EQ(claimed("b"), 100);  // heard before the oldest one, and its heir now
  EndpointRow between = made("e", 150);
  between.services[0].routes[0].hosts = {"typo.example"};
  catalog.Upsert(between);
  EXPECT_FALSE(catalog.Find("endpoint/n1/e")->endpoint()->services[0].published());
  for (const char* id : {"b", "c", "d"}) catalog.Remove(Cat("endpoint/n1/", id));
  EXPECT_TRUE(catalog.Find("endpoint/n1/e")->endpoint()->services[0].published());
  EXPECT_EQ(claimed("e"), 0);
  catalog.Upsert(made("f", 500));
  EXPECT_FALSE(catalog.Find("endpoint/n1/f")->endpoint()->services[0].published());
}

TEST(Catalog, FindsAnEndpointAsItWasUpsertedThoughItWasRejected) {
  Catalog catalog("host1", 1);
  auto row = [](std::string id, Nanos created, std::string protocol) {
    EndpointRow made{.uid = id, .node = "host1", .engine_id = id, .name = id};
    made.created_wall = created;
    made.services.push_back({.service = "web", .protocol = std::move(protocol), .ip = *IpAddress::Parse("10.0.0.1"), .port = 80});
    return made;
  };
  catalog.Upsert(row("a", 1, "http"));
  catalog.Upsert(row("b", 2, "tcp"));
  ASSERT_FALSE(catalog.Find("endpoint/host1/b")->endpoint()->services[0].published());
  EXPECT_EQ(*catalog.FindEndpoint("endpoint/host1/a"), row("a", 1, "http"));
  EXPECT_EQ(*catalog.FindEndpoint("endpoint/host1/b"), row("b", 2, "tcp"));
  EXPECT_EQ(catalog.FindEndpoint("endpoint/host1/c"), nullptr);
}

}  // namespace
}  // namespace fairlead::discovery
