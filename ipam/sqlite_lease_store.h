// SqliteLeaseStore keeps leases in one SQLite file (with its -wal and -shm beside it). The schema makes a second holder
// of an address impossible; WAL with synchronous=FULL makes a commit durable when it returns. The file can be read with
// the sqlite3 shell while the agent runs. One thread, as LeaseStore says.
#pragma once

#include <memory>
#include <string>

#include "ipam/lease_store.h"

namespace fairlead::ipam {

class SqliteLeaseStore final : public LeaseStore {
 public:
  struct Options {
    std::string vfs = {};  // SQLite's name of a file layer; "": the system's. Tests put faults there
    uint64_t history_per_pool = kHistoryPerPool;
  };

  // Opens or creates the file and checks it whole. Errors name it and the way out: DataLoss when it is damaged or no
  // database, FailedPrecondition when it is of a newer release, ResourceExhausted when the disk is full.
  static StatusOr<std::unique_ptr<SqliteLeaseStore>> Open(const std::string& path, const Options& options);
  static StatusOr<std::unique_ptr<SqliteLeaseStore>> Open(const std::string& path) { return Open(path, Options()); }
  ~SqliteLeaseStore() override;

  StatusOr<StoredState> Load() override;
  StatusOr<uint64_t> Commit(const LeaseBatch& batch) override;
  StatusOr<std::vector<HistoryEntry>> History(std::string_view pool, const IpAddress& ip) override;
  Status ForgetHistory(Nanos to_wall) override;

 private:
  struct Connection;
  explicit SqliteLeaseStore(std::unique_ptr<Connection> connection);
  std::unique_ptr<Connection> connection_;
};

}  // namespace fairlead::ipam
