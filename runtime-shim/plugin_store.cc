#include "runtime-shim/plugin_store.h"

#include <sqlite3.h>

#include <nlohmann/json.hpp>

namespace fairlead::runtime {
namespace {

using Json = nlohmann::json;

constexpr const char* kSchema =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=1000;"
    "CREATE TABLE IF NOT EXISTS object (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id))"
    " WITHOUT ROWID;";

constexpr const char* kPool = "pool";
constexpr const char* kNetwork = "network";
constexpr const char* kEndpoint = "endpoint";
constexpr const char* kPin = "pin";

template <class T>
Json Texts(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(value.ToString());
  return list;
}

// What the file holds was written by us; a row that does not read any more is a damaged file, not a default.
class Reader {
 public:
  explicit Reader(const Json& json) : json_(json) {}
  std::string Text(const char* name) {
    auto found = json_.find(name);
    if (found != json_.end() && found->is_string()) return found->get<std::string>();
    ok_ = false;
    return "";
  }
  int Integer(const char* name) {
    auto found = json_.find(name);
    if (found != json_.end() && found->is_number_integer()) return found->get<int>();
    ok_ = false;
    return 0;
  }
  // A field that files of older releases do not have.
  int Integer(const char* name, int missing) { return json_.contains(name) ? Integer(name) : missing; }
  std::vector<std::string> Texts(const char* name) {
    std::vector<std::string> list;
    auto found = json_.find(name);
    ok_ = ok_ && found != json_.end() && found->is_array();
    for (const Json& item : ok_ ? *found : Json::array()) list.push_back(item.is_string() ? item.get<std::string>() : "");
    return list;
  }
  Labels Map(const char* name) {
    Labels map;
    auto found = json_.find(name);
    ok_ = ok_ && found != json_.end() && found->is_object();
    for (const auto& [key, value] : (ok_ ? *found : Json::object()).items()) map[key] = value.is_string() ? value.get<std::string>() : "";
    return map;
  }
  template <class T>
  T Parsed(const std::string& text) {
    if (text.empty()) return {};
    auto value = T::Parse(text);
    if (!value.ok()) ok_ = false;
    return value.ok() ? *value : T();
  }
  template <class T>
  T Parsed(const char* name) {
    return Parsed<T>(Text(name));
  }
  template <class T>
  std::vector<T> List(const char* name) {
    std::vector<T> list;
    auto found = json_.find(name);
    if (found == json_.end() || !found->is_array()) {
      ok_ = false;
      return list;
    }
    for (const Json& item : *found) list.push_back(Parsed<T>(item.is_string() ? item.get<std::string>() : "?"));
    return list;
  }
  bool ok() const { return ok_; }

 private:
  const Json& json_;
  bool ok_ = true;
};

bool Read(const Json& json, PoolRecord& pool) {
  Reader r(json);
  pool.pool = r.Text("pool");
  pool.subnet = r.Parsed<Prefix>("subnet");
  pool.implicit = r.Integer("implicit") != 0;
  pool.gateway = r.Parsed<IpAddress>("gateway");
  pool.auxiliary = r.List<IpAddress>("auxiliary");
  pool.network_id = r.Text("network_id");
  pool.explicit_subnet = r.Integer("explicit_subnet", 0) != 0;
  return r.ok();
}

bool Read(const Json& json, PinRecord& pin) {
  Reader r(json);
  pin.container = r.Text("container");
  pin.network = r.Text("network");
  pin.ipv4 = r.Parsed<IpAddress>("ipv4");
  pin.ipv6 = r.Parsed<IpAddress>("ipv6");
  pin.settings.ipv4 = r.Parsed<IpAddress>("configured_ipv4");
  pin.settings.ipv6 = r.Parsed<IpAddress>("configured_ipv6");
  pin.settings.aliases = r.Texts("aliases");
  pin.settings.links = r.Texts("links");
  pin.settings.driver_opts = r.Map("driver_opts");
  pin.settings.mac = r.Parsed<MacAddress>("mac");
  pin.under_way = r.Integer("under_way") != 0;
  return r.ok();
}

bool Read(const Json& json, NetworkRecord& network) {
  Reader r(json);
  network.name = r.Text("name");
  network.mode = r.Text("mode");
  network.bridge = r.Text("bridge");
  network.mtu = r.Integer("mtu");
  network.internal = r.Integer("internal") != 0;
  network.gateways = r.List<InterfaceAddress>("gateways");
  return r.ok();
}

bool Read(const Json& json, EndpointRecord& endpoint) {
  Reader r(json);
  endpoint.network_id = r.Text("network_id");
  endpoint.addresses = r.List<InterfaceAddress>("addresses");
  endpoint.mac = r.Parsed<MacAddress>("mac");
  endpoint.interface_name = r.Text("interface");
  return r.ok();
}

template <class Record>
bool Append(const std::string& id, const Json& json, std::vector<Record>& records) {
  records.push_back({.id = id});
  return Read(json, records.back());
}

struct Statement {
  Statement(sqlite3* db, const char* sql) { sqlite3_prepare_v2(db, sql, -1, &handle, nullptr); }
  ~Statement() { sqlite3_finalize(handle); }
  Statement(const Statement&) = delete;
  void Bind(int at, std::string_view text) {
    sqlite3_bind_text(handle, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  std::string Column(int at) {
    auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle, at));
    return text == nullptr ? "" : text;
  }
  sqlite3_stmt* handle = nullptr;
};

}  // namespace

StatusOr<std::unique_ptr<PluginStore>> PluginStore::Open(const std::string& path) {
  sqlite3* db = nullptr;
  int opened = sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<PluginStore> store(new PluginStore(db, path));
  if (opened != SQLITE_OK) return store->Failure("open");
  if (sqlite3_exec(db, kSchema, nullptr, nullptr, nullptr) != SQLITE_OK) return store->Failure("open");
  return store;
}

PluginStore::~PluginStore() { sqlite3_close(db_); }

StatusOr<PluginStore::Contents> PluginStore::Load() {
  Contents contents;
  Statement select(db_, "SELECT kind, id, body FROM object ORDER BY kind, id");
  if (select.handle == nullptr) return Failure("read");
  int step;
  while ((step = sqlite3_step(select.handle)) == SQLITE_ROW) {
    std::string kind = select.Column(0), id = select.Column(1);
    Json json = Json::parse(select.Column(2), nullptr, /*allow_exceptions=*/false);
    bool ok = json.is_object() && (kind == kPool       ? Append(id, json, contents.pools)
                                   : kind == kNetwork  ? Append(id, json, contents.networks)
                                   : kind == kEndpoint ? Append(id, json, contents.endpoints)
                                   : kind == kPin      ? Append(id, json, contents.pins)
                                                       : false);
    if (!ok) {
      return DataLoss("plugin state ", path_, ": ", kind, " ", id, " is damaged; move the file away and recreate the "
                      "engine's Fairlead networks");
    }
  }
  if (step != SQLITE_DONE) return Failure("read");
  return contents;
}

Status PluginStore::Put(const PoolRecord& pool) {
  Json json{{"pool", pool.pool},
            {"subnet", pool.subnet.ToString()},
            {"implicit", pool.implicit ? 1 : 0},
            {"gateway", pool.gateway.ToString()},
            {"auxiliary", Texts(pool.auxiliary)},
            {"network_id", pool.network_id},
            {"explicit_subnet", pool.explicit_subnet ? 1 : 0}};
  return Write(kPool, pool.id, json.dump());
}

Status PluginStore::Put(const NetworkRecord& network) {
  Json json{{"name", network.name},     {"mode", network.mode},
            {"bridge", network.bridge}, {"mtu", network.mtu},
            {"internal", network.internal ? 1 : 0}, {"gateways", Texts(network.gateways)}};
  return Write(kNetwork, network.id, json.dump());
}

Status PluginStore::Put(const EndpointRecord& endpoint) {
  Json json{{"network_id", endpoint.network_id},
            {"addresses", Texts(endpoint.addresses)},
            {"mac", endpoint.mac.is_set() ? endpoint.mac.ToString() : ""},
            {"interface", endpoint.interface_name}};
  return Write(kEndpoint, endpoint.id, json.dump());
}

Status PluginStore::Put(const PinRecord& pin) {
  Json json{{"container", pin.container},
            {"network", pin.network},
            {"ipv4", pin.ipv4.ToString()},
            {"ipv6", pin.ipv6.ToString()},
            {"configured_ipv4", pin.settings.ipv4.ToString()},
            {"configured_ipv6", pin.settings.ipv6.ToString()},
            {"aliases", pin.settings.aliases},
            {"links", pin.settings.links},
            {"driver_opts", Json(pin.settings.driver_opts)},
            {"mac", pin.settings.mac.is_set() ? pin.settings.mac.ToString() : ""},
            {"under_way", pin.under_way ? 1 : 0}};
  return Write(kPin, pin.id, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string PinId(const std::string& container, const std::string& network) { return Cat(container, "/", network); }

Status PluginStore::RemovePool(const std::string& id) { return Remove(kPool, id); }
Status PluginStore::RemoveNetwork(const std::string& id) { return Remove(kNetwork, id); }
Status PluginStore::RemoveEndpoint(const std::string& id) { return Remove(kEndpoint, id); }
Status PluginStore::RemovePin(const std::string& id) { return Remove(kPin, id); }

Status PluginStore::Write(const char* kind, const std::string& id, const std::string& body) {
  Statement upsert(db_, "INSERT INTO object VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = excluded.body");
  if (upsert.handle == nullptr) return Failure("write");
  upsert.Bind(1, kind);
  upsert.Bind(2, id);
  upsert.Bind(3, body);
  return sqlite3_step(upsert.handle) == SQLITE_DONE ? OkStatus() : Failure("write");
}

Status PluginStore::Remove(const char* kind, const std::string& id) {
  Statement remove(db_, "DELETE FROM object WHERE kind = ?1 AND id = ?2");
  if (remove.handle == nullptr) return Failure("write");
  remove.Bind(1, kind);
  remove.Bind(2, id);
  return sqlite3_step(remove.handle) == SQLITE_DONE ? OkStatus() : Failure("write");
}

Status PluginStore::Failure(std::string_view what) const {
  int code = sqlite3_errcode(db_);
  std::string message = Cat("plugin state ", path_, ": cannot ", what, ": ", sqlite3_errmsg(db_));
  if (code == SQLITE_FULL) return ResourceExhausted(message, "; free space on its disk");
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) {
    return DataLoss(message, "; move the file away and recreate the engine's Fairlead networks");
  }
  return Unavailable(message);
}

}  // namespace fairlead::runtime
