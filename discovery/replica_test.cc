#include "discovery/replica.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/random.h"
#include "discovery/frame.h"
#include "discovery/row_codec.h"
#include "discovery/state_file.h"
#include "discovery/subscriber.h"
#include "discovery/test_rows.h"

namespace fairlead::discovery {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Hands everything that the subscriber has to the replica.
void Deliver(Subscriber& subscriber, Replica& replica) {
  while (auto update = subscriber.Next()) ASSERT_TRUE(replica.Apply(Received(*update)).ok());
}

Subscriber Connect(const Catalog& catalog, Replica& replica, Kinds kinds = {}) {
  Subscriber subscriber(catalog);
  replica.StreamBegins();
  EXPECT_TRUE(subscriber.OnSubscribe({"test", replica.positions(), std::move(kinds)}).ok());
  return subscriber;
}

TEST(Subscriber, ANewConsumerGetsTheFullStateThenOnlyChanges) {
  Catalog catalog("n1", 1);
  catalog.Upsert(Endpoint("a"));
  catalog.Upsert(Endpoint("b"));
  catalog.MarkSynced();
  Replica replica;
  Subscriber subscriber = Connect(catalog, replica);
  Deliver(subscriber, replica);
  EXPECT_EQ(Plain(replica.rows()), Plain(catalog));
  EXPECT_TRUE(replica.synced("n1"));
  catalog.Remove("endpoint/n1/a");
  auto update = subscriber.Next();
  ASSERT_TRUE(update);
  EXPECT_FALSE(update->full);
  EXPECT_THAT(update->removes, ElementsAre("endpoint/n1/a"));
  EXPECT_FALSE(subscriber.Next());
}

TEST(Subscriber, ASlowReaderFindsOneUpdateWithTheNewestState) {
  Catalog catalog("n1", 1);
  Replica replica;
  Subscriber subscriber = Connect(catalog, replica);
  Deliver(subscriber, replica);
  for (int i = 1; i <= 10'000; i++) catalog.Upsert(Endpoint("a", "web", static_cast<uint16_t>(i)));
  auto update = subscriber.Next();
  ASSERT_TRUE(update);
  ASSERT_EQ(update->upserts.size(), 1u);
  EXPECT_EQ(Unpack(*update->upserts[0])->endpoint()->services[0].port, 10'000);
  EXPECT_FALSE(subscriber.Next());
}

TEST(Subscriber, BeyondTheLogTheFullStateIsSentAgain) {
  Catalog catalog("n1", 1, 2);
  Replica replica;
  Subscriber subscriber = Connect(catalog, replica);
  Deliver(subscriber, replica);
  for (const char* id : {"a", "b", "c"}) catalog.Upsert(Endpoint(id));
  catalog.Remove("endpoint/n1/a");
  Deliver(subscriber, replica);
  EXPECT_EQ(subscriber.full_states(), 2u);
  EXPECT_EQ(Plain(replica.rows()), Plain(catalog));
}

TEST(Subscriber, AnAckOfWhatWasNotSentIsRefused) {
  Catalog catalog("n1", 1);
  catalog.Upsert(Endpoint("a"));
  Replica replica;
  Subscriber subscriber = Connect(catalog, replica);
  EXPECT_FALSE(subscriber.OnAck({{"n1", 1, 1}}).ok());
  Deliver(subscriber, replica);
  EXPECT_TRUE(subscriber.OnAck({{"n1", 1, 1}}).ok());
  EXPECT_EQ(subscriber.acked_revision(), 1u);
  EXPECT_FALSE(subscriber.OnAck({{"n1", 2, 1}}).ok());
}

TEST(Subscriber, RowsOfOtherKindsAreNotSentAndCountAsConfirmedWithWhatWas) {
  Catalog catalog("n1", 1);
  catalog.Upsert(Endpoint("a"));
  catalog.Upsert(Lease("a"));
  catalog.MarkSynced();
  Replica replica({"endpoint"});
  Subscriber subscriber = Connect(catalog, replica, {"endpoint"});
  auto full = subscriber.Next();
  ASSERT_TRUE(full);
  EXPECT_EQ(full->upserts.size(), 1u);
  catalog.Upsert(Lease("a", false));
  EXPECT_FALSE(subscriber.Next());
  EXPECT_EQ(subscriber.acked_revision(), 0u);  // what was before it
  ASSERT_TRUE(subscriber.OnAck({full->position}).ok());
  EXPECT_EQ(subscriber.acked_revision(), 3u);
  catalog.Remove(KeyOf(Lease("a")));
  EXPECT_FALSE(subscriber.Next());
  EXPECT_EQ(subscriber.acked_revision(), 4u);
}

TEST(Subscriber, BehindManyRowsOfOtherKindsItFindsItsOwn) {
  Catalog catalog("n1", 1);
  Replica replica({"endpoint"});
  Subscriber subscriber = Connect(catalog, replica, {"endpoint"});
  Deliver(subscriber, replica);
  for (size_t i = 0; i < 3 * Subscriber::kRowsPerUpdate; i++) catalog.Upsert(Lease(std::to_string(i)));
  catalog.Upsert(Endpoint("a"));
  auto update = subscriber.Next();
  ASSERT_TRUE(update);
  EXPECT_EQ(update->upserts.size(), 1u);
  EXPECT_EQ(update->position.revision, catalog.revision());
}

TEST(Subscriber, AHeartbeatMovesTheKnownPositionPastRowsOfOtherKinds) {
  Catalog catalog("n1", 1);
  Replica replica({"endpoint"});
  Subscriber subscriber = Connect(catalog, replica, {"endpoint"});
  Deliver(subscriber, replica);
  catalog.Upsert(Lease("a"));
  EXPECT_FALSE(subscriber.Next());
  ASSERT_TRUE(replica.Apply(Received(subscriber.Heartbeat())).ok());
  EXPECT_THAT(replica.positions(), ElementsAre(Position{"n1", 1, 1}));
}

TEST(Subscriber, ALargeStateComesInPartsBelowTheFrameLimit) {
  Catalog catalog("n1", 1);
  for (int i = 0; i < 3000; i++) {
    EndpointRow row = Endpoint(std::to_string(i));
    row.aliases = {std::string(3000, 'x')};
    catalog.Upsert(row);
  }
  Replica replica;
  Subscriber subscriber = Connect(catalog, replica);
  int parts = 0;
  while (auto update = subscriber.Next()) {
    std::string frame;
    EncodeFrame(*update, frame);
    EXPECT_LT(frame.size(), kMaxFrameBytes / 2);
    ASSERT_TRUE(replica.Apply(Received(*update)).ok());
    ++parts;
  }
  EXPECT_GT(parts, 5);
  EXPECT_EQ(replica.rows().size(), 3000u);
}

TEST(Subscriber, ARowBeyondTheLimitIsLeftOutAndCounted) {
  Catalog catalog("n1", 1);
  Replica replica;
  Subscriber subscriber = Connect(catalog, replica);
  EndpointRow row = Endpoint("a");
  catalog.Upsert(row);
  Deliver(subscriber, replica);
  row.aliases = {std::string(Subscriber::kMaxRowBytes, 'x')};
  catalog.Upsert(row);
  Deliver(subscriber, replica);
  EXPECT_TRUE(replica.rows().empty());
  EXPECT_EQ(subscriber.oversize_rows(), 1u);
}

TEST(Replica, KeepsTheOldEpochsRowsUntilTheOwnerIsSynced) {
  Replica replica;
  {
    Catalog catalog("n1", 1);
    for (const char* id : {"a", "b"}) catalog.Upsert(Endpoint(id));
    catalog.MarkSynced();
    Subscriber subscriber = Connect(catalog, replica);
    Deliver(subscriber, replica);
  }
  Catalog restarted("n1", 2);
  Subscriber subscriber = Connect(restarted, replica);
  Deliver(subscriber, replica);
  EXPECT_EQ(replica.rows().size(), 2u);
  EXPECT_FALSE(replica.synced("n1"));
  restarted.Upsert(Endpoint("b"));
  Deliver(subscriber, replica);
  EXPECT_EQ(replica.rows().size(), 2u);
  restarted.MarkSynced();
  Deliver(subscriber, replica);
  EXPECT_EQ(Plain(replica.rows()), Plain(restarted));
}

TEST(Replica, AnotherOwnersRowsStay) {
  Replica replica;
  Catalog one("n1", 1), two("n2", 1);
  one.Upsert(Endpoint("a"));
  EndpointRow b = Endpoint("b");
  b.node = "n2";
  two.Upsert(b);
  one.MarkSynced();
  two.MarkSynced();
  Subscriber first = Connect(one, replica);
  Deliver(first, replica);
  Subscriber second = Connect(two, replica);
  Deliver(second, replica);
  EXPECT_EQ(replica.rows().size(), 2u);
  EXPECT_EQ(replica.positions().size(), 2u);
}

TEST(Replica, RefusesAnOlderEpochAndRowsOfAnotherOwner) {
  Replica replica;
  Catalog now("n1", 5);
  Subscriber subscriber = Connect(now, replica);
  Deliver(subscriber, replica);
  Update old;
  old.position = {"n1", 4, 1};
  old.full = true;
  EXPECT_THAT(std::string(Message(replica.Apply(old).status())), HasSubstr("older than 5"));
  Catalog other("n2", 5);
  other.Upsert(Endpoint("x"));
  Update foreign;
  foreign.position = {"n1", 5, 1};
  foreign.upserts = {other.Find("endpoint/n1/x")};
  EXPECT_FALSE(replica.Apply(foreign).ok());
  EXPECT_TRUE(replica.rows().empty());
}

TEST(Replica, DropsRowsOfOtherKindsFromAgentsAndDisksThatKnowNoKinds) {
  Catalog catalog("n1", 1);
  catalog.Upsert(Endpoint("a"));
  catalog.Upsert(Lease("a"));
  Replica all, endpoints({"endpoint"}), restored({"endpoint"});
  Subscriber first = Connect(catalog, all), second = Connect(catalog, endpoints);
  Deliver(first, all);
  Deliver(second, endpoints);
  EXPECT_EQ(all.rows().size(), 2u);
  EXPECT_EQ(endpoints.rows().size(), 1u);
  EXPECT_EQ(restored.Restore(*DecodeState(EncodeState(all.positions(), all.rows()))).size(), 1u);
}

TEST(Replica, ChangesThatFollowNothingKnownAreRefused) {
  Replica replica;
  Update delta;
  delta.position = {"n1", 1, 5};
  EXPECT_FALSE(replica.Apply(delta).ok());
}

TEST(StateFile, RestoresRowsAndPositionSoThatOnlyChangesFollow) {
  Catalog catalog("n1", 3);
  for (int i = 0; i < 600; i++) catalog.Upsert(Endpoint(std::to_string(i)));
  catalog.MarkSynced();
  Replica before;
  Subscriber first = Connect(catalog, before);
  Deliver(first, before);

  auto saved = DecodeState(EncodeState(before.positions(), before.rows()));
  ASSERT_TRUE(saved.ok()) << saved.status();
  Replica after;
  EXPECT_EQ(after.Restore(*saved).size(), 600u);
  EXPECT_FALSE(after.synced("n1"));
  EXPECT_EQ(Plain(after.rows()), Plain(before.rows()));
  catalog.Remove("endpoint/n1/7");
  Subscriber second = Connect(catalog, after);
  Deliver(second, after);
  EXPECT_EQ(second.full_states(), 0u);
  EXPECT_EQ(Plain(after.rows()), Plain(catalog));
}

TEST(StateFile, IsRefusedWhenCutOrChangedAnywhere) {
  Catalog catalog("n1", 3);
  catalog.Upsert(Endpoint("a"));
  Replica replica;
  Subscriber subscriber = Connect(catalog, replica);
  Deliver(subscriber, replica);
  const std::string whole = EncodeState({{"n1", 3, 1}}, replica.rows());
  for (size_t i = 0; i < whole.size(); i++) {
    EXPECT_FALSE(DecodeState(std::string_view(whole).substr(0, i)).ok()) << "cut at " << i;
    std::string changed = whole;
    changed[i] ^= 0x20;
    EXPECT_FALSE(DecodeState(changed).ok()) << "changed at " << i;
  }
}

// One consumer over a stream of bytes that may be cut anywhere, an agent that may restart, a consumer that may restart
// from its disk: after every storm the rows are the catalog's.
class Storm {
 public:
  Storm(uint64_t seed, Kinds kinds) : random_(seed), kinds_(std::move(kinds)), replica_(kinds_) { RestartAgent(); }

  void Step() {
    switch (random_.Below(10)) {
      case 0: Cut(); break;
      case 1:
        if (random_.OneIn(4)) RestartAgent();
        break;
      case 2:
        if (random_.OneIn(4)) RestartConsumer();
        break;
      case 3:
        if (random_.OneIn(2)) catalog_->MarkSynced();
        break;
      case 4: case 5: case 6: Change(); break;
      default: Pump(1 + random_.Below(600)); break;
    }
  }
  void Settle() {
    catalog_->MarkSynced();
    Pump(SIZE_MAX);
  }
  void ExpectSame() {
    PlainRows wanted = Plain(*catalog_);
    std::erase_if(wanted, [&](const auto& row) { return !Follows(kinds_, row.first); });
    ASSERT_EQ(Plain(replica_->rows()), wanted);
    ASSERT_EQ(Plain(replica_->rows()), Plain(followed_));
  }

 private:
  void Change() {
    for (uint64_t n = 1 + random_.Below(8); n > 0; n--) {
      const std::string id = std::to_string(random_.Below(40));
      if (random_.OneIn(3)) {
        catalog_->Remove("endpoint/n1/" + id);
      } else if (random_.OneIn(3)) {
        catalog_->Upsert(Lease(id, random_.OneIn(2)));
      } else {
        catalog_->Upsert(Endpoint(id, "s" + id, static_cast<uint16_t>(1 + random_.Below(9))));
      }
    }
  }
  void Cut() {
    subscriber_.reset();
    wire_.clear();
  }
  void RestartAgent() {
    Cut();
    catalog_.emplace("n1", ++epoch_, 1 + random_.Below(20));
    for (int i = 0; i < 10; i++) Change();
  }
  void RestartConsumer() {
    Cut();
    auto saved = DecodeState(EncodeState(replica_->positions(), replica_->rows()));
    ASSERT_TRUE(saved.ok());
    replica_.emplace(kinds_);
    followed_ = RowMap();
    Follow(replica_->Restore(*saved));
  }
  // Moves at most `bytes` of the stream.
  void Pump(size_t bytes) {
    if (!subscriber_) {
      subscriber_.emplace(*catalog_);
      replica_->StreamBegins();
      decoder_.emplace(kMaxFrameBytes);
      ASSERT_TRUE(subscriber_->OnSubscribe({"c", replica_->positions(), kinds_}).ok());
    }
    while (true) {
      if (wire_.empty()) {
        auto update = subscriber_->Next();
        if (!update) return;
        EncodeFrame(*update, wire_);
      }
      const size_t n = std::min(bytes, wire_.size());
      decoder_->Feed(wire_.substr(0, n));
      wire_.erase(0, n);
      bytes -= n;
      while (true) {
        auto frame = decoder_->Next();
        ASSERT_TRUE(frame.ok());
        if (!*frame) break;
        auto update = DecodeUpdate(**frame);
        ASSERT_TRUE(update.ok()) << update.status();
        auto changes = replica_->Apply(*update);
        ASSERT_TRUE(changes.ok()) << changes.status();
        Follow(*changes);
      }
      if (bytes == 0) return;
    }
  }
  void Follow(const std::vector<discovery::Change>& changes) {
    for (const auto& change : changes) followed_ = change.row ? followed_.With(change.row) : followed_.Without(change.key);
  }

  SeededRandom random_;
  const Kinds kinds_;
  uint64_t epoch_ = 0;
  std::optional<Catalog> catalog_;
  std::optional<Subscriber> subscriber_;
  std::optional<Replica> replica_;
  std::optional<FrameDecoder> decoder_;
  std::string wire_;
  RowMap followed_;  // built from the changes alone
};

TEST(Replica, EqualsTheCatalogAfterAnyChangesCutsAndRestarts) {
  for (uint64_t seed = 1; seed <= 150; seed++) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Storm storm(seed, seed % 2 == 0 ? Kinds{} : Kinds{"endpoint"});
    for (int i = 0; i < 120; i++) storm.Step();
    storm.Settle();
    ASSERT_NO_FATAL_FAILURE(storm.ExpectSame());
  }
}

}  // namespace
}  // namespace fairlead::discovery
