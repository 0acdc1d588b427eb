#include "runtime-shim/attachment_store.h"

#include <sqlite3.h>

#include "runtime-shim/json_fields.h"

namespace fairlead::runtime {
namespace {

constexpr const char* kSchema =
    // NORMAL: a commit outlives the process, not a crash of the host. That ends the containers as well.
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=1000;"
    "CREATE TABLE IF NOT EXISTS attachment (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS kept_network (name TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;";

struct Statement {
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &handle, nullptr); }
  ~Statement() { sqlite3_finalize(handle); }
  Statement(const Statement&) = delete;
  void Bind(int at, std::string_view text) {
    sqlite3_bind_text(handle, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  sqlite3_stmt* handle = nullptr;
};

Json TextsOf(const std::vector<InterfaceAddress>& addresses) {
  Json texts = Json::array();
  for (const InterfaceAddress& address : addresses) texts.push_back(address.ToString());
  return texts;
}

StatusOr<std::vector<InterfaceAddress>> ReadAddresses(const Json& texts) {
  if (!texts.is_array()) return DataLoss("a field is missing");
  std::vector<InterfaceAddress> addresses;
  for (const Json& text : texts) {
    ASSIGN_OR_RETURN(InterfaceAddress address, InterfaceAddress::Parse(text.is_string() ? text.get<std::string>() : ""));
    addresses.push_back(address);
  }
  return addresses;
}

std::string BodyOf(const AttachmentRecord& attachment) {
  return DumpJson({{"container", attachment.container_id},
                   {"interface", attachment.interface},
                   {"netns", attachment.netns},
                   {"network", attachment.network},
                   {"name", attachment.name},
                   {"addresses", TextsOf(attachment.addresses)},
                   {"mac", attachment.mac.is_set() ? attachment.mac.ToString() : ""},
                   {"addresses_only", attachment.addresses_only}});
}

// What the file holds was written by us; a row that does not read any more is a damaged file, not a default.
StatusOr<AttachmentRecord> ReadAttachment(const Json& body) {
  AttachmentRecord record{.container_id = Text(body, "container"), .interface = Text(body, "interface"),
                          .netns = Text(body, "netns"),            .network = Text(body, "network"),
                          .name = Text(body, "name"),              .addresses_only = Flag(body, "addresses_only")};
  if (record.container_id.empty() || record.network.empty() || record.name.empty()) return DataLoss("a field is missing");
  ASSIGN_OR_RETURN(record.addresses, ReadAddresses(Member(body, "addresses")));
  if (std::string mac = Text(body, "mac"); !mac.empty()) {
    ASSIGN_OR_RETURN(record.mac, MacAddress::Parse(mac));
  }
  return record;
}

std::string BodyOf(const dataplane::NetworkSpec& network) {
  return DumpJson({{"id", network.id},
                   {"name", network.name},
                   {"mode", network.mode},
                   {"bridge", network.bridge},
                   {"gateways", TextsOf(network.gateways)},
                   {"mtu", network.mtu},
                   {"internal", network.internal}});
}

StatusOr<dataplane::NetworkSpec> ReadNetwork(const Json& body) {
  dataplane::NetworkSpec network{.id = Text(body, "id"), .name = Text(body, "name"), .mode = Text(body, "mode"),
                                 .bridge = Text(body, "bridge"), .mtu = static_cast<int>(Integer(body, "mtu")),
                                 .internal = Flag(body, "internal")};
  if (network.id.empty() || network.name.empty()) return DataLoss("a field is missing");
  ASSIGN_OR_RETURN(network.gateways, ReadAddresses(Member(body, "gateways")));
  return network;
}

}  // namespace

StatusOr<std::unique_ptr<AttachmentStore>> AttachmentStore::Open(const std::string& path) {
  sqlite3* db = nullptr;
  int opened = sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<AttachmentStore> store(new AttachmentStore(db, path));
  if (opened != SQLITE_OK || sqlite3_exec(db, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK) return store->Failure("open");
  return store;
}

AttachmentStore::~AttachmentStore() { sqlite3_close(db_); }

template <class T>
StatusOr<std::vector<T>> AttachmentStore::LoadAll(const char* select, StatusOr<T> (*read)(const Json&)) {
  std::vector<T> all;
  Statement rows(db_, select);
  if (rows.handle == nullptr) return Failure("read");
  int step;
  while ((step = sqlite3_step(rows.handle)) == SQLITE_ROW) {
    auto column = [&](int at) { return reinterpret_cast<const char*>(sqlite3_column_text(rows.handle, at)); };
    auto one = read(Json::parse(column(0), nullptr, /*allow_exceptions=*/false));
    if (!one.ok())
      return DataLoss("attachments ", path_, ": ", column(1), " is damaged: ", Message(one.status()),
                      "; move the file away and restart the containers of CNI and netavark");
    all.push_back(*std::move(one));
  }
  if (step != SQLITE_DONE) return Failure("read");
  return all;
}

Status AttachmentStore::Write(const char* sql, const std::string& key, const std::string& body) {
  Statement statement(db_, sql);
  if (statement.handle == nullptr) return Failure("write");
  statement.Bind(1, key);
  if (!body.empty()) statement.Bind(2, body);
  return sqlite3_step(statement.handle) == SQLITE_DONE ? OkStatus() : Failure("write");
}

StatusOr<std::vector<AttachmentRecord>> AttachmentStore::Load() {
  return LoadAll("SELECT body, id FROM attachment ORDER BY id", ReadAttachment);
}

Status AttachmentStore::Put(const AttachmentRecord& attachment) {
  return Write("INSERT INTO attachment VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body", attachment.id(), BodyOf(attachment));
}

Status AttachmentStore::Remove(const std::string& id) { return Write("DELETE FROM attachment WHERE id = ?1", id); }

StatusOr<std::vector<dataplane::NetworkSpec>> AttachmentStore::LoadNetworks() {
  return LoadAll("SELECT body, name FROM kept_network ORDER BY name", ReadNetwork);
}

Status AttachmentStore::PutNetwork(const dataplane::NetworkSpec& network) {
  return Write("INSERT INTO kept_network VALUES (?1, ?2) ON CONFLICT DO UPDATE SET body = excluded.body", network.name, BodyOf(network));
}

Status AttachmentStore::RemoveNetwork(const std::string& name) { return Write("DELETE FROM kept_network WHERE name = ?1", name); }

Status AttachmentStore::Failure(std::string_view what) const {
  int code = sqlite3_errcode(db_);
  std::string message = Cat("attachments ", path_, ": cannot ", what, ": ", sqlite3_errmsg(db_));
  if (code == SQLITE_FULL) return ResourceExhausted(message, "; free space on its disk");
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
    return DataLoss(message, "; move the file away and restart the containers of CNI and netavark");
  return Unavailable(message);
}

}  // namespace fairlead::runtime
