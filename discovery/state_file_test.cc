#include "discovery/state_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "base/sim/sim_files.h"
#include "discovery/replica.h"
#include "discovery/subscriber.h"
#include "discovery/test_rows.h"

namespace fairlead::discovery {
namespace {

using testing::HasSubstr;

constexpr const char* kPath = "/state";
constexpr const char* kChanges = "/state.changes";

// A consumer's rows with a disk below them, and the catalog that they follow.
class StateFileTest : public testing::Test {
 protected:
  void Change(const std::string& id, uint16_t port) {
    catalog_.Upsert(Endpoint(id, "s", port));
    Follow();
  }
  void Remove(const std::string& id) {
    catalog_.Remove("endpoint/n1/" + id);
    Follow();
  }
  void Follow() {
    if (!subscriber_.subscribed()) ASSERT_TRUE(subscriber_.OnSubscribe({"c", {}}).ok());
    while (auto update = subscriber_.Next()) {
      auto changes = replica_.Apply(Received(*update));
      ASSERT_TRUE(changes.ok());
      for (const auto& change : *changes) changed_.insert(change.key);
    }
  }
  Status Save(StateFile& file) {
    const StateFile::Keys changed = std::exchange(changed_, {});
    return file.Write(replica_.positions(), replica_.rows(), &changed);
  }
  // What a program that starts now finds.
  Replica Restarted() {
    Replica replica;
    StateFile file(files_, kPath);
    if (auto saved = file.Read(); saved.ok()) replica.Restore(*saved);
    return replica;
  }
  void ExpectRestored() {
    const Replica found = Restarted();
    EXPECT_EQ(Plain(found.rows()), Plain(replica_.rows()));
    EXPECT_EQ(found.positions(), replica_.positions());
  }

  SeededRandom random_{1};
  sim::SimFiles files_{random_};
  Catalog catalog_{"n1", 3};
  Subscriber subscriber_{catalog_};
  Replica replica_;
  StateFile::Keys changed_;
};

TEST_F(StateFileTest, AChangeIsWrittenBesideTheState) {
  StateFile file(files_, kPath);
  for (int i = 0; i < 300; i++) Change(std::to_string(i), 80);
  ASSERT_TRUE(Save(file).ok());
  const std::string state = files_.files().at(kPath);
  Change("7", 81);
  Remove("8");
  ASSERT_TRUE(Save(file).ok());
  Change("300", 80);
  ASSERT_TRUE(Save(file).ok());
  EXPECT_EQ(files_.files().at(kPath), state);
  EXPECT_LT(files_.files().at(kChanges).size(), state.size() / 20);
  ExpectRestored();
}

TEST_F(StateFileTest, ARestartedProgramWritesOn) {
  {
    StateFile file(files_, kPath);
    Change("a", 80);
    ASSERT_TRUE(Save(file).ok());
    Change("a", 81);
    ASSERT_TRUE(Save(file).ok());
  }
  StateFile file(files_, kPath);
  ASSERT_TRUE(file.Read().ok());
  Change("b", 80);
  ASSERT_TRUE(Save(file).ok());
  ExpectRestored();
  EXPECT_THAT(files_.files().at(kChanges), HasSubstr("/2 "));
}

TEST_F(StateFileTest, AllIsWrittenAnewWhenTheChangesGrowLong) {
  StateFile file(files_, kPath);
  Change("a", 80);
  ASSERT_TRUE(Save(file).ok());
  size_t longest = 0;
  const std::string first = files_.files().at(kPath);
  for (uint16_t port = 1; files_.files().at(kPath) == first; port++) {
    for (int i = 0; i < 200; i++) Change(std::to_string(i), port);
    ASSERT_TRUE(Save(file).ok());
    if (files_.files().contains(kChanges)) longest = std::max(longest, files_.files().at(kChanges).size());
    ASSERT_LT(longest, 2 * StateFile::kMinChangesBytes);
  }
  EXPECT_GE(longest, StateFile::kMinChangesBytes);
  EXPECT_EQ(files_.files().at(kChanges), "");
  ExpectRestored();
}

TEST_F(StateFileTest, ADamagedLineEndsTheChangesAndTheNextSaveWritesAll) {
  StateFile file(files_, kPath);
  Change("a", 80);
  ASSERT_TRUE(Save(file).ok());
  for (uint16_t port = 1; port <= 3; port++) {
    Change(std::to_string(port), port);
    ASSERT_TRUE(Save(file).ok());
  }
  const std::string whole = files_.files().at(kChanges);
  const RowMap now = replica_.rows();
  for (size_t i = 0; i < whole.size(); i += 3) {
    std::string changed = whole;
    changed[i] ^= 0x04;
    files_.Put(kChanges, changed);
    const Replica found = Restarted();
    // As much as one saw at some time: rows and position belong together.
    const uint64_t revision = found.positions().at(0).revision;
    EXPECT_EQ(found.rows().size(), revision) << "changed at " << i;
    EXPECT_LE(revision, now.size()) << "changed at " << i;
  }
  std::string changed = whole;
  changed[whole.size() / 2] ^= 0x04;
  files_.Put(kChanges, changed);
  StateFile again(files_, kPath);
  ASSERT_TRUE(again.Read().ok());
  Change("b", 80);
  ASSERT_TRUE(Save(again).ok());
  ExpectRestored();
}

TEST_F(StateFileTest, AFullDiskIsCaughtUpWithByTheNextSave) {
  StateFile file(files_, kPath);
  Change("a", 80);
  ASSERT_TRUE(Save(file).ok());
  files_.SetFull(true);
  Change("b", 80);
  EXPECT_FALSE(Save(file).ok());
  files_.SetFull(false);
  Change("c", 80);
  ASSERT_TRUE(Save(file).ok());
  ExpectRestored();
}

TEST_F(StateFileTest, ACrashAtAnyStepOfAWholeWriteLeavesOneThatIsWhole) {
  using enum sim::SimFiles::CrashPoint;
  for (auto point : {kInTheTemporaryFile, kBeforeRename, kBeforeFolderSync, kAfterwards}) {
    StateFile file(files_, kPath);
    Change("a", 80);
    ASSERT_TRUE(Save(file).ok());
    Change("a", 81);
    ASSERT_TRUE(Save(file).ok());
    Change("a", 82);
    files_.CrashAt(point);
    EXPECT_FALSE(file.Write(replica_.positions(), replica_.rows(), nullptr).ok());
    files_.Restart();
    const Replica found = Restarted();
    const uint64_t now = replica_.positions().at(0).revision, revision = found.positions().at(0).revision;
    EXPECT_TRUE(revision == now || revision == now - 1) << revision << " of " << now;
    EXPECT_EQ((*found.rows().Find("endpoint/n1/a"))->sequence, revision);
    Remove("a");
  }
}

}  // namespace
}  // namespace fairlead::discovery
