#include "ipam/sqlite_lease_store.h"

#include <utility>

#include "base/check.h"
#include "ipam/pool_json.h"
#include "ipam/sqlite.h"

namespace fairlead::ipam {

namespace {

constexpr int64_t kSchemaVersion = 2;
constexpr int64_t kApplicationId = 0x466c6970;  // "Flip": file(1) and our own open tell the file from others
constexpr int kBusyTimeoutMs = 2000;            // an operator's shell holds the lock for moments

constexpr char kSchema[] = R"sql(
  CREATE TABLE store(id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL) STRICT;
  INSERT INTO store VALUES (1, 0);
  CREATE TABLE pools(
    name TEXT PRIMARY KEY, spec TEXT NOT NULL, revision INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE leases(
    network TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, family INTEGER NOT NULL,
    pool TEXT NOT NULL, ip TEXT NOT NULL, mac TEXT NOT NULL, project TEXT NOT NULL,
    attached INTEGER NOT NULL, provisional INTEGER NOT NULL, ephemeral INTEGER NOT NULL,
    since_wall INTEGER NOT NULL, acquired_wall INTEGER NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (network, scope, name, family), UNIQUE (pool, ip)) STRICT, WITHOUT ROWID;
  CREATE TABLE history(
    pool TEXT NOT NULL, seq INTEGER NOT NULL, ip TEXT NOT NULL,
    network TEXT NOT NULL, scope TEXT NOT NULL, name TEXT NOT NULL, family INTEGER NOT NULL,
    from_wall INTEGER NOT NULL, to_wall INTEGER NOT NULL, rest_until_wall INTEGER NOT NULL,
    PRIMARY KEY (pool, seq)) STRICT, WITHOUT ROWID;
)sql";
// Of a lease of version 1 nobody knows whether it was used; it is in use, or was before it was detached.
constexpr char kFromVersion1[] = R"sql(
  ALTER TABLE leases ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE leases ADD COLUMN observed INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE leases ADD COLUMN used INTEGER NOT NULL DEFAULT 1;
  ALTER TABLE leases ADD COLUMN stand_in_for TEXT NOT NULL DEFAULT '';
  CREATE INDEX history_of_address ON history(pool, ip);
  CREATE INDEX history_by_end ON history(to_wall);
)sql";

LeaseKey KeyAt(const Statement& s, int column) {
  return {s.Text(column), s.Text(column + 1), s.Text(column + 2), s.Int(column + 3) == 6};
}

void BindKey(Statement& s, int index, const LeaseKey& key) {
  s.Bind(index, key.network);
  s.Bind(index + 1, key.scope);
  s.Bind(index + 2, key.name);
  s.Bind(index + 3, int64_t{key.v6 ? 6 : 4});
}

}  // namespace

struct SqliteLeaseStore::Connection {
  Status Open(const std::string& file, const Options& options);
  Status Prepare();
  Status Check();
  Status Failed(int rc, std::string_view what) const;
  Status Exec(std::string_view sql, std::string_view what);
  StatusOr<int64_t> Number(std::string_view sql, std::string_view what);

  Status Apply(const LeaseBatch& batch, int64_t revision);
  Status RunOnce(Statement& statement, std::string_view what);
  // One row had the expected revision, or somebody else was here.
  Status RunCas(Statement& statement, std::string_view what);
  Status AddHistory(const HistoryEntry& entry);
  StatusOr<std::vector<StoredPool>> Pools();
  StatusOr<std::vector<Lease>> Leases();
  StatusOr<std::vector<HistoryEntry>> ReadHistory(Statement& statement);

  struct Statements {
    explicit Statements(sqlite3* db);
    Statement revision, set_revision, delete_pool, insert_pool, delete_lease, insert_lease, add_history, trim_history,
        address_history, forget_history;
  };

  std::string path;
  uint64_t history_per_pool = kHistoryPerPool;
  Database db;
  std::unique_ptr<Statements> prepared;  // finalized before `db` closes
};

SqliteLeaseStore::Connection::Statements::Statements(sqlite3* db)
    : revision(db, "SELECT revision FROM store"),
      set_revision(db, "UPDATE store SET revision = ?1"),
      delete_pool(db, "DELETE FROM pools WHERE name = ?1 AND revision = ?2"),
      insert_pool(db, "INSERT INTO pools(name, spec, revision) VALUES (?1, ?2, ?3)"),
      delete_lease(db,
                   "DELETE FROM leases WHERE network = ?1 AND scope = ?2 AND name = ?3 AND family = ?4"
                   " AND revision = ?5"),
      insert_lease(db,
                   "INSERT INTO leases(network, scope, name, family, pool, ip, mac, project, attached, provisional,"
                   " ephemeral, since_wall, acquired_wall, revision, reserved, observed, used, stand_in_for)"
                   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"),
      add_history(db,
                  "INSERT INTO history(pool, seq, ip, network, scope, name, family, from_wall, to_wall,"
                  " rest_until_wall) VALUES (?1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM history WHERE pool = ?1),"
                  " ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
      trim_history(db,
                   "DELETE FROM history WHERE pool = ?1"
                   " AND seq <= (SELECT MAX(seq) FROM history WHERE pool = ?1) - ?2 AND rest_until_wall <= ?3"),
      address_history(db,
                      "SELECT pool, ip, network, scope, name, family, from_wall, to_wall, rest_until_wall"
                      " FROM history WHERE pool = ?1 AND ip = ?2 ORDER BY seq DESC"),
      forget_history(db, "DELETE FROM history WHERE (pool, seq) IN"
                     " (SELECT pool, seq FROM history WHERE to_wall < ?1 AND rest_until_wall <= ?1 LIMIT ?2)") {}

Status SqliteLeaseStore::Connection::Failed(int rc, std::string_view what) const {
  std::string_view reason = db != nullptr ? sqlite3_errmsg(db.get()) : sqlite3_errstr(rc);
  switch (rc & 0xff) {
    case SQLITE_FULL:
      return ResourceExhausted("lease store ", path, ": ", what, ": the disk is full; nothing was lost; free some space");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return DataLoss("lease store ", path, " is damaged (", reason,
                      "); restore it from a backup, or move it away to start with no leases");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return PermissionDenied("lease store ", path, ": ", what, ": ", reason,
                              "; its directory must exist and be writable for the agent");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Unavailable("lease store ", path, ": ", what, ": another program holds its lock; close it");
    case SQLITE_CONSTRAINT:
      return Aborted("lease store ", path, ": ", what, ": ", reason, "; another program writes to it");
    default:
      return Internal("lease store ", path, ": ", what, ": ", reason);
  }
}

Status SqliteLeaseStore::Connection::Exec(std::string_view sql, std::string_view what) {
  int rc = sqlite3_exec(db.get(), std::string(sql).c_str(), nullptr, nullptr, nullptr);
  return rc == SQLITE_OK ? OkStatus() : Failed(rc, what);
}

StatusOr<int64_t> SqliteLeaseStore::Connection::Number(std::string_view sql, std::string_view what) {
  Statement s(db.get(), sql);
  int rc = s.Step();
  if (rc != SQLITE_ROW) return Failed(rc, what);
  return s.Int(0);
}

Status SqliteLeaseStore::Connection::Open(const std::string& file, const Options& options) {
  path = file;
  history_per_pool = options.history_per_pool;
  sqlite3* raw = nullptr;
  int rc = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                           options.vfs.empty() ? nullptr : options.vfs.c_str());
  db.reset(raw);
  if (rc != SQLITE_OK) return Failed(rc, "open");
  // SQLite opens what it may only read, and each write would fail then.
  if (sqlite3_db_readonly(db.get(), "main") == 1) return Failed(SQLITE_READONLY, "open");
  sqlite3_extended_result_codes(db.get(), 1);
  sqlite3_busy_timeout(db.get(), kBusyTimeoutMs);
  RETURN_IF_ERROR(Exec("PRAGMA journal_mode = WAL", "open"));
  RETURN_IF_ERROR(Exec("PRAGMA synchronous = FULL", "open"));
  RETURN_IF_ERROR(Prepare());
  RETURN_IF_ERROR(Check());
  prepared = std::make_unique<Statements>(db.get());
  return OkStatus();
}

Status SqliteLeaseStore::Connection::Prepare() {
  ASSIGN_OR_RETURN(int64_t version, Number("PRAGMA user_version", "read its version"));
  if (version > kSchemaVersion)
    return FailedPrecondition("lease store ", path, " is of schema ", version, ", this program knows up to ",
                              kSchemaVersion, "; run the newer release, or restore the backup from before the upgrade");
  if (version == kSchemaVersion) return OkStatus();
  ASSIGN_OR_RETURN(int64_t objects, Number("SELECT COUNT(*) FROM sqlite_schema", "read its schema"));
  if (objects != 0 && version == 0)
    return DataLoss("lease store ", path, " is a database of another program; give another state_dir, or move it away");
  std::string sql = Cat("BEGIN IMMEDIATE;", version == 0 ? kSchema : "", kFromVersion1, "PRAGMA application_id = ", kApplicationId,
                        "; PRAGMA user_version = ", kSchemaVersion, "; COMMIT;");
  Status made = Exec(sql, "create");
  if (!made.ok() && sqlite3_get_autocommit(db.get()) == 0) sqlite3_exec(db.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return made;
}

Status SqliteLeaseStore::Connection::Check() {
  Statement s(db.get(), "PRAGMA integrity_check(1)");
  int rc = s.Step();
  if (rc != SQLITE_ROW) return Failed(rc, "check");
  std::string verdict = s.Text(0);
  if (verdict == "ok") return OkStatus();
  return DataLoss("lease store ", path, " is damaged (", verdict,
                  "); restore it from a backup, or move it away to start with no leases");
}

StatusOr<std::unique_ptr<SqliteLeaseStore>> SqliteLeaseStore::Open(const std::string& path, const Options& options) {
  auto connection = std::make_unique<Connection>();
  RETURN_IF_ERROR(connection->Open(path, options));
  return std::unique_ptr<SqliteLeaseStore>(new SqliteLeaseStore(std::move(connection)));
}

SqliteLeaseStore::SqliteLeaseStore(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
SqliteLeaseStore::~SqliteLeaseStore() = default;

Status SqliteLeaseStore::Connection::RunOnce(Statement& statement, std::string_view what) {
  int rc = statement.Run();
  return rc == SQLITE_OK ? OkStatus() : Failed(rc, what);
}

Status SqliteLeaseStore::Connection::RunCas(Statement& statement, std::string_view what) {
  RETURN_IF_ERROR(RunOnce(statement, what));
  if (sqlite3_changes(db.get()) == 1) return OkStatus();
  return Aborted("lease store ", path, ": ", what, ": the row changed meanwhile; another program writes to it");
}

Status SqliteLeaseStore::Connection::AddHistory(const HistoryEntry& e) {
  Statement& add = prepared->add_history;
  add.Bind(1, e.pool);
  add.Bind(2, e.ip.ToString());
  BindKey(add, 3, e.key);
  add.Bind(7, e.from_wall);
  add.Bind(8, e.to_wall);
  add.Bind(9, e.rest_until_wall);
  RETURN_IF_ERROR(RunOnce(add, "write history"));
  Statement& trim = prepared->trim_history;
  trim.Bind(1, e.pool);
  trim.Bind(2, static_cast<int64_t>(history_per_pool));
  trim.Bind(3, e.to_wall);
  return RunOnce(trim, "trim history");
}

Status SqliteLeaseStore::Connection::Apply(const LeaseBatch& batch, int64_t revision) {
  Statements& s = *prepared;
  for (const PoolWrite& w : batch.pools) {
    if (w.expected != 0) {
      s.delete_pool.Bind(1, w.name);
      s.delete_pool.Bind(2, static_cast<int64_t>(w.expected));
      RETURN_IF_ERROR(RunCas(s.delete_pool, Cat("write pool ", w.name)));
    }
    if (!w.spec) continue;
    s.insert_pool.Bind(1, w.name);
    s.insert_pool.Bind(2, PoolToJson(*w.spec));
    s.insert_pool.Bind(3, revision);
    RETURN_IF_ERROR(RunOnce(s.insert_pool, Cat("write pool ", w.name)));
  }
  for (const LeaseWrite& w : batch.leases) {
    if (w.expected == 0) continue;
    BindKey(s.delete_lease, 1, w.key);
    s.delete_lease.Bind(5, static_cast<int64_t>(w.expected));
    RETURN_IF_ERROR(RunCas(s.delete_lease, Cat("write lease ", w.key.ToString())));
  }
  for (const LeaseWrite& w : batch.leases) {
    if (!w.lease) continue;
    const Lease& l = *w.lease;
    BindKey(s.insert_lease, 1, w.key);
    s.insert_lease.Bind(5, l.pool);
    s.insert_lease.Bind(6, l.ip.ToString());
    s.insert_lease.Bind(7, l.mac.ToString());
    s.insert_lease.Bind(8, l.project);
    s.insert_lease.Bind(9, int64_t{l.attached});
    s.insert_lease.Bind(10, int64_t{l.provisional});
    s.insert_lease.Bind(11, int64_t{l.ephemeral});
    s.insert_lease.Bind(12, l.since_wall);
    s.insert_lease.Bind(13, l.acquired_wall);
    s.insert_lease.Bind(14, revision);
    s.insert_lease.Bind(15, int64_t{l.reserved});
    s.insert_lease.Bind(16, int64_t{l.observed});
    s.insert_lease.Bind(17, int64_t{l.used});
    s.insert_lease.Bind(18, l.stand_in_for);
    RETURN_IF_ERROR(RunOnce(s.insert_lease, Cat("write lease ", w.key.ToString())));
  }
  for (const HistoryEntry& e : batch.ended) RETURN_IF_ERROR(AddHistory(e));
  s.set_revision.Bind(1, revision);
  return RunOnce(s.set_revision, "write revision");
}

StatusOr<uint64_t> SqliteLeaseStore::Commit(const LeaseBatch& batch) {
  Connection& c = *connection_;
  RETURN_IF_ERROR(c.Exec("BEGIN IMMEDIATE", "begin"));
  StatusOr<int64_t> revision = c.Number("SELECT revision + 1 FROM store", "read revision");
  Status applied = revision.ok() ? c.Apply(batch, *revision) : revision.status();
  if (applied.ok()) applied = c.Exec("COMMIT", "commit");
  if (applied.ok()) return static_cast<uint64_t>(*revision);
  // SQLite has rolled back itself after some errors, not after all.
  if (sqlite3_get_autocommit(c.db.get()) == 0) sqlite3_exec(c.db.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  return applied;
}

StatusOr<std::vector<StoredPool>> SqliteLeaseStore::Connection::Pools() {
  std::vector<StoredPool> pools;
  Statement s(db.get(), "SELECT name, spec, revision FROM pools");
  int rc;
  while ((rc = s.Step()) == SQLITE_ROW) {
    StatusOr<PoolSpec> spec = PoolFromJson(s.Text(1));
    if (!spec.ok()) return DataLoss("lease store ", path, ": pool ", s.Text(0), ": ", Message(spec.status()));
    pools.push_back({*std::move(spec), static_cast<uint64_t>(s.Int(2))});
  }
  if (rc != SQLITE_DONE) return Failed(rc, "read pools");
  return pools;
}

StatusOr<std::vector<Lease>> SqliteLeaseStore::Connection::Leases() {
  std::vector<Lease> leases;
  Statement s(db.get(),
              "SELECT network, scope, name, family, pool, ip, mac, project, attached, provisional, ephemeral,"
              " since_wall, acquired_wall, revision, reserved, observed, used, stand_in_for FROM leases");
  int rc;
  while ((rc = s.Step()) == SQLITE_ROW) {
    StatusOr<IpAddress> ip = IpAddress::Parse(s.Text(5));
    StatusOr<MacAddress> mac = MacAddress::Parse(s.Text(6));
    if (!ip.ok() || !mac.ok())
      return DataLoss("lease store ", path, ": lease of ", KeyAt(s, 0).ToString(), ": ",
                      Message(ip.ok() ? mac.status() : ip.status()));
    leases.push_back(Lease{.key = KeyAt(s, 0),
                           .pool = s.Text(4),
                           .ip = *ip,
                           .mac = *mac,
                           .project = s.Text(7),
                           .attached = s.Int(8) != 0,
                           .provisional = s.Int(9) != 0,
                           .ephemeral = s.Int(10) != 0,
                           .reserved = s.Int(14) != 0,
                           .observed = s.Int(15) != 0,
                           .used = s.Int(16) != 0,
                           .stand_in_for = s.Text(17),
                           .revision = static_cast<uint64_t>(s.Int(13)),
                           .since_wall = s.Int(11),
                           .acquired_wall = s.Int(12)});
  }
  if (rc != SQLITE_DONE) return Failed(rc, "read leases");
  return leases;
}

StatusOr<std::vector<HistoryEntry>> SqliteLeaseStore::Connection::ReadHistory(Statement& s) {
  std::vector<HistoryEntry> entries;
  int rc;
  while ((rc = s.Step()) == SQLITE_ROW) {
    StatusOr<IpAddress> ip = IpAddress::Parse(s.Text(1));
    if (!ip.ok()) return DataLoss("lease store ", path, ": history: ", Message(ip.status()));
    entries.push_back({s.Text(0), *ip, KeyAt(s, 2), s.Int(6), s.Int(7), s.Int(8)});
  }
  s.Reset();
  if (rc != SQLITE_DONE) return Failed(rc, "read history");
  return entries;
}

StatusOr<StoredState> SqliteLeaseStore::Load() {
  Connection& c = *connection_;
  StoredState state;
  ASSIGN_OR_RETURN(state.pools, c.Pools());
  ASSIGN_OR_RETURN(state.leases, c.Leases());
  // SQLite gives the other columns of the row that has the maximum ("Bare columns in an aggregate query").
  Statement last(c.db.get(),
                 "SELECT pool, ip, network, scope, name, family, from_wall, to_wall, rest_until_wall, MAX(seq) AS last"
                 " FROM history GROUP BY pool, ip ORDER BY last");
  ASSIGN_OR_RETURN(state.released, c.ReadHistory(last));
  return state;
}

StatusOr<std::vector<HistoryEntry>> SqliteLeaseStore::History(std::string_view pool, const IpAddress& ip) {
  Statement& s = connection_->prepared->address_history;
  s.Bind(1, pool);
  s.Bind(2, ip.ToString());
  return connection_->ReadHistory(s);
}

Status SqliteLeaseStore::ForgetHistory(Nanos to_wall) {
  Statement& s = connection_->prepared->forget_history;
  s.Bind(1, to_wall);
  s.Bind(2, static_cast<int64_t>(kForgetAtOnce));
  return connection_->RunOnce(s, "forget old history");
}

}  // namespace fairlead::ipam
