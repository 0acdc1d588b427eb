// What is SqliteLeaseStore's own: damaged files, other versions, full disks, crashes between any two writes.
#include "ipam/sqlite_lease_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "ipam/faulty_vfs.h"
#include "ipam/ipam_harness.h"
#include "ipam/sqlite.h"
#include "ipam/temp_dir.h"

namespace fairlead::ipam {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SqliteLeaseStoreTest : public testing::Test {
 protected:
  std::unique_ptr<SqliteLeaseStore> Open(std::string_view vfs = "") {
    return *SqliteLeaseStore::Open(path_, {.vfs = std::string(vfs)});
  }
  Status OpenStatus() { return SqliteLeaseStore::Open(path_).status(); }
  void Sql(std::string_view sql) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &raw), SQLITE_OK);
    Database db(raw);
    ASSERT_EQ(sqlite3_exec(raw, std::string(sql).c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
  }
  LeaseBatch OneLease(int i) {
    Lease lease{.key = Key(Cat("web-", i)), .pool = "shop", .ip = Ip("10.40.0.0").Plus(static_cast<uint64_t>(i) + 2)};
    return {.leases = {{lease.key, 0, lease}}};
  }

  TempDir dir_;
  std::string path_ = dir_.File("leases.db");
};

TEST_F(SqliteLeaseStoreTest, WritesWithFullSyncIntoAWriteAheadLog) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(OneLease(1)).ok());
  EXPECT_TRUE(std::filesystem::exists(path_ + "-wal"));
}
TEST_F(SqliteLeaseStoreTest, RefusesAFileOfANewerReleaseAndNamesTheWayOut) {
  Open();
  Sql("PRAGMA user_version = 3");
  Status refused = OpenStatus();
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(refused), Cat("lease store ", path_,
                                  " is of schema 3, this program knows up to 2; run the newer release, or restore the "
                                  "backup from before the upgrade"));
}
// As the first release wrote it.
TEST_F(SqliteLeaseStoreTest, TakesOverAFileOfTheFirstReleaseWithItsLeases) {
  Sql("CREATE TABLE store(id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL) STRICT;"
      "INSERT INTO store VALUES (1, 7);"
      "CREATE TABLE pools(name TEXT PRIMARY KEY, spec TEXT NOT NULL, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
      "CREATE TABLE leases(network TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, family INTEGER NOT NULL,"
      " pool TEXT NOT NULL, ip TEXT NOT NULL, mac TEXT NOT NULL, project TEXT NOT NULL, attached INTEGER NOT NULL,"
      " provisional INTEGER NOT NULL, ephemeral INTEGER NOT NULL, since_wall INTEGER NOT NULL,"
      " acquired_wall INTEGER NOT NULL, revision INTEGER NOT NULL,"
      " PRIMARY KEY (network, scope, name, family), UNIQUE (pool, ip)) STRICT, WITHOUT ROWID;"
      "CREATE TABLE history(pool TEXT NOT NULL, seq INTEGER NOT NULL, ip TEXT NOT NULL, network TEXT NOT NULL,"
      " scope TEXT NOT NULL, name TEXT NOT NULL, family INTEGER NOT NULL, from_wall INTEGER NOT NULL,"
      " to_wall INTEGER NOT NULL, rest_until_wall INTEGER NOT NULL, PRIMARY KEY (pool, seq)) STRICT, WITHOUT ROWID;"
      "INSERT INTO pools VALUES ('shop', '{\"name\":\"shop\",\"project\":\"p\",\"quota\":0,\"fleet_names\":false,"
      "\"retain_ns\":1,\"quarantine_ns\":2,\"prefixes\":[{\"cidr\":\"10.40.0.0/24\",\"gateway\":\"\",\"ranges\":[],"
      "\"exclude\":[]}]}', 3);"
      "INSERT INTO leases VALUES ('shopnet', 'host1', 'web', 4, 'shop', '10.40.0.9', '02:00:00:00:00:01', 'p', 0, 0, 0, 5,"
      " 4, 7);"
      "PRAGMA user_version = 1;");
  std::unique_ptr<SqliteLeaseStore> store = Open();
  StatusOr<StoredState> state = store->Load();
  ASSERT_TRUE(state.ok()) << Message(state.status());
  ASSERT_EQ(state->leases.size(), 1u);
  EXPECT_EQ(state->leases[0].ip, Ip("10.40.0.9"));
  EXPECT_TRUE(state->leases[0].used);
  EXPECT_EQ(*store->Commit({.leases = {{Key("web"), 7}}}), 8u);
}
TEST_F(SqliteLeaseStoreTest, RefusesTheDatabaseOfAnotherProgram) {
  Sql("CREATE TABLE theirs(x)");
  EXPECT_THAT(std::string(Message(OpenStatus())), AllOf(HasSubstr(path_), HasSubstr("another program")));
}
TEST_F(SqliteLeaseStoreTest, RefusesWhatIsNoDatabase) {
  std::ofstream(path_) << std::string(8192, 'x');
  Status refused = OpenStatus();
  EXPECT_EQ(refused.code(), StatusCode::kDataLoss);
  EXPECT_THAT(std::string(Message(refused)), AllOf(HasSubstr(path_), HasSubstr("restore it from a backup, or move")));
}
TEST_F(SqliteLeaseStoreTest, NoticesADamagedPageAtOpen) {
  {
    auto store = Open();
    LeaseBatch batch;
    for (int i = 0; i < 2000; i++) batch.leases.push_back(OneLease(i).leases[0]);
    ASSERT_TRUE(store->Commit(batch).ok());
  }
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(20 * 4096 + 8);
    file << std::string(2048, '\xa5');
  }
  Status refused = OpenStatus();
  EXPECT_EQ(refused.code(), StatusCode::kDataLoss) << refused;
  EXPECT_THAT(std::string(Message(refused)), AllOf(HasSubstr(path_), HasSubstr("damaged")));
}
TEST_F(SqliteLeaseStoreTest, NoticesAPoolThatIsNotAsItWasWritten) {
  ASSERT_TRUE(Open()->Commit({.pools = {{"shop", 0, Shop()}}}).ok());
  Sql("UPDATE pools SET spec = '{\"name\": 7}'");
  EXPECT_EQ(Open()->Load().status().code(), StatusCode::kDataLoss);
}
TEST_F(SqliteLeaseStoreTest, NamesAMissingDirectory) {
  path_ = dir_.File("missing/leases.db");
  EXPECT_THAT(std::string(Message(OpenStatus())), AllOf(HasSubstr(path_), HasSubstr("directory must exist")));
}
TEST_F(SqliteLeaseStoreTest, NoticesASecondWriter) {
  auto a = Open(), b = Open();
  ASSERT_TRUE(a->Commit(OneLease(1)).ok());
  EXPECT_EQ(b->Commit(OneLease(1)).status().code(), StatusCode::kAborted);
}

TEST_F(SqliteLeaseStoreTest, LosesNothingOnAFullDiskAndGoesOnWhenThereIsRoom) {
  FaultyVfs vfs;
  auto store = Open(vfs.name());
  ASSERT_TRUE(store->Commit(OneLease(1)).ok());
  vfs.FailFrom(1, SQLITE_FULL, true);
  Status full = store->Commit(OneLease(2)).status();
  EXPECT_EQ(full.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(Message(full)), AllOf(HasSubstr(path_), HasSubstr("free some space")));
  EXPECT_EQ(store->Load()->leases.size(), 1u);
  vfs.Heal();
  EXPECT_TRUE(store->Commit(OneLease(2)).ok());
  EXPECT_EQ(store->Load()->leases.size(), 2u);
}

// The process dies at its n-th change of the file system, for every n that a run of commits has.
TEST_F(SqliteLeaseStoreTest, KeepsEveryAcknowledgedCommitOverACrashBetweenAnyTwoWrites) {
  bool met = true;
  int n = 0;
  while (met) {
    std::filesystem::remove(path_), std::filesystem::remove(path_ + "-wal"), std::filesystem::remove(path_ + "-shm");
    Open();  // the empty file is there
    int acknowledged = 0;
    {
      FaultyVfs vfs;
      auto store = Open(vfs.name());
      vfs.FailFrom(++n, SQLITE_IOERR_WRITE, true);
      for (int i = 0; i < 8 && store->Commit(OneLease(i)).ok(); i++) acknowledged++;
      met = vfs.met();
      store.reset();  // its own last writes fail too
    }
    auto reopened = SqliteLeaseStore::Open(path_);
    ASSERT_TRUE(reopened.ok()) << n << ": " << reopened.status();
    auto state = (*reopened)->Load();
    ASSERT_TRUE(state.ok()) << n;
    size_t kept = state->leases.size();
    ASSERT_GE(kept, static_cast<size_t>(acknowledged)) << n;
    ASSERT_LE(kept, static_cast<size_t>(acknowledged) + 1) << n;  // one may have been on its way
  }
  EXPECT_GT(n, 16);
}

// The same while the file is made: the next start makes it anew or finds it whole.
TEST_F(SqliteLeaseStoreTest, OpensAfterACrashAtAnyPointOfItsCreation) {
  bool met = true;
  int n = 0;
  while (met) {
    std::filesystem::remove(path_), std::filesystem::remove(path_ + "-wal"), std::filesystem::remove(path_ + "-shm");
    {
      FaultyVfs vfs;
      vfs.FailFrom(++n, SQLITE_IOERR_WRITE, true);
      auto store = SqliteLeaseStore::Open(path_, {.vfs = vfs.name()});
      met = vfs.met();
    }
    auto reopened = SqliteLeaseStore::Open(path_);
    ASSERT_TRUE(reopened.ok()) << n << ": " << reopened.status();
    ASSERT_TRUE((*reopened)->Commit(OneLease(1)).ok()) << n;
  }
  EXPECT_GT(n, 3);
}

}  // namespace
}  // namespace fairlead::ipam
