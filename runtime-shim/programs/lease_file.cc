#include "runtime-shim/programs/lease_file.h"

#include <sqlite3.h>

#include <memory>
#include <nlohmann/json.hpp>

namespace fairlead::programs {
namespace {

using nlohmann::json;

// The same name may have a lease of the fleet's scope and one of this node's: the node's own counts.
constexpr const char* kSelect =
    "SELECT l.ip, p.spec FROM leases l JOIN pools p ON p.name = l.pool"
    " WHERE l.network = ?1 AND l.name = ?2 AND l.family = ?3 AND l.provisional = 0 ORDER BY l.scope = 'fleet' LIMIT 1";

std::string TextOf(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Length and gateway are the pool's.
StatusOr<KnownLease> Complete(const std::string& ip_text, const std::string& spec) {
  ASSIGN_OR_RETURN(const IpAddress ip, IpAddress::Parse(ip_text));
  const json pool = json::parse(spec, nullptr, /*allow_exceptions=*/false);
  const json& prefixes = pool.is_object() && pool.contains("prefixes") ? pool["prefixes"] : json::array();
  for (const json& entry : prefixes) {
    auto prefix = Prefix::Parse(TextOf(entry, "cidr"));
    if (!prefix.ok() || !prefix->Contains(ip)) continue;
    KnownLease lease{{ip, prefix->length()}, {}};
    if (auto gateway = IpAddress::Parse(TextOf(entry, "gateway")); gateway.ok()) lease.gateway = *gateway;
    // As PrefixSpec::Gateway(): the first address, where there is one to spare.
    if (!lease.gateway.is_set() && prefix->length() < ip.bits() - 1) lease.gateway = prefix->network().Plus(1);
    return lease;
  }
  return DataLoss("no prefix of its pool holds ", ip_text);
}

}  // namespace

StatusOr<std::vector<KnownLease>> ReadLeases(const std::string& file, const std::string& network, const std::string& name) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> db(raw, &sqlite3_close);
  auto failure = [&] { return Unavailable("lease file ", file, ": ", sqlite3_errmsg(db.get())); };
  if (opened != SQLITE_OK) return failure();
  sqlite3_busy_timeout(db.get(), 200);
  std::vector<KnownLease> leases;
  for (int family : {4, 6}) {
    sqlite3_stmt* prepared = nullptr;
    if (sqlite3_prepare_v2(db.get(), kSelect, -1, &prepared, nullptr) != SQLITE_OK) return failure();
    const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> select(prepared, &sqlite3_finalize);
    sqlite3_bind_text(prepared, 1, network.data(), static_cast<int>(network.size()), SQLITE_STATIC);
    sqlite3_bind_text(prepared, 2, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
    sqlite3_bind_int(prepared, 3, family);
    const int step = sqlite3_step(prepared);
    if (step == SQLITE_DONE) continue;
    if (step != SQLITE_ROW) return failure();
    auto column = [&](int at) { return reinterpret_cast<const char*>(sqlite3_column_text(prepared, at)); };
    ASSIGN_OR_RETURN(KnownLease lease, Complete(column(0), column(1)));
    leases.push_back(lease);
  }
  if (leases.empty()) return NotFound("name ", name, " has no address on network ", network, " yet");
  return leases;
}

}  // namespace fairlead::programs
